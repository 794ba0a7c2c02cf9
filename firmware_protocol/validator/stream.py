"""What a capture has said so far: the state that rules look at, one event at a time.

`before(frame)` works out how a frame follows what came earlier: packets missing by `link_seq`, conversions missing
by `sample_index`, time passed by `t_us`. Then rules look. Then `after(frame)` makes it part of the past. A DATA
frame that follows in every respect as it should is *calm*: no rule could say anything about it, so none is asked.
That keeps a long capture cheap and is held by a test that asks all rules all the same.

Counters are 32 bits and wrap; a step is taken modulo 2^32 and read as signed, so a wrap is a step like any other.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from firmware_protocol.codes import Flag, Opcode, Status, Type
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command, Data, Fault, Frame, Heartbeat, Info, Response, frame_type
from firmware_protocol.validator.figures import Figures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["End", "LinkStep", "Received", "Restart", "Setting", "Step", "Stream", "signed32"]

_U32 = 0xFFFFFFFF
#: Flags that mark something out of the ordinary: the frame is looked at by every rule.
_SPECIAL = Flag.OVERRUN | Flag.FIRST | Flag.COMMAND_ACTED | Flag.CLOCK_STEPPED | Flag.MUST_UNDERSTAND
_ODD_KEPT = 4096
_RESTARTS_KEPT = 64
_TIME_SLACK_US = 200  # an interrupt that waits for another; longer ones show in the jitter percentiles


def signed32(difference: int) -> int:
    """A difference of two 32-bit counters as the shorter way round."""
    return (difference + 0x80000000 & _U32) - 0x80000000


@dataclass(frozen=True, slots=True)
class End:
    """The capture is over. `size`: its wire bytes."""

    size: int


@dataclass(slots=True)
class Setting:
    """One config_id within one boot: its INFO pages so far, and the DATA that uses it."""

    config_id: int
    pages: dict[int, Info] = field(default_factory=dict)
    data_frames: int = 0
    first_data: Data | None = None
    first_data_packet: int = 0
    conversions_before_info: int = 0
    reported: bool = False  # that DATA came without INFO
    excused: bool = False  # its INFO may lie before the capture, or in packets that were lost

    @property
    def info(self) -> Info | None:
        """Any of its pages: all of them agree on what is not per channel."""
        return next(iter(self.pages.values()), None)

    @property
    def complete(self) -> bool:
        info = self.info
        return info is not None and len(self.pages) == info.pages

    @property
    def rate(self) -> Fraction | None:
        info = self.info
        return None if info is None else Fraction(info.rate_num, info.rate_den)

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        """Per channel; empty while INFO is not complete."""
        if not self.complete:
            return ()
        return tuple(uv for page in sorted(self.pages) for uv in self.pages[page].uv_per_count)

    @property
    def labels(self) -> tuple[str, ...]:
        """Per channel; empty while INFO is not complete."""
        return () if not self.complete else tuple(x for p in sorted(self.pages) for x in self.pages[p].labels)


@dataclass(frozen=True, slots=True)
class Step:
    """From one DATA frame to the next that was received."""

    before: Data
    after: Data
    packet: int  # number of `after` on the wire
    missing: int  # packets missing between them by link_seq
    damaged: int  # faults between them
    between: int  # whole packets of other types between them
    period_us: float | None  # nominal, by INFO

    @property
    def ahead(self) -> int:
        """Conversions between the end of `before` and the start of `after`; negative: it goes back."""
        return signed32(self.after.sample_index - self.before.sample_index - self.before.n_samples)

    @property
    def dt_us(self) -> int:
        """Time passed by the 32-bit counters, signed."""
        return signed32(self.after.t_us - self.before.t_us)

    @property
    def whole(self) -> bool:
        """Nothing can have been lost on the link between the two."""
        return self.missing == 0 and self.damaged == 0


class LinkStep(NamedTuple):
    """link_seq that is not the one after the packet before. `same_type`: link_seq of the last packet of this type."""

    before: int
    after: int
    same_type: int | None
    n_samples_before: int | None  # of a DATA packet before
    damaged: int
    packet: int
    offset: int


@dataclass(slots=True)
class Restart:
    """The device began anew in the middle of the capture. `before`, `after`: the DATA next to it, once known."""

    offset: int
    packet: int
    boot_before: int | None
    boot_after: int | None  # None until an INFO or HEARTBEAT says it
    before: Data | None
    after: Data | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A COMMAND seen in the capture (TX of a recording, or a wire that carries both directions)."""

    command: Command
    packet: int
    host_ns: int | None = None


class Stream:
    """State of the capture between two events. Attributes are read by rules, written here only."""

    def __init__(self) -> None:
        self.packet = 0  # number of the current packet on the wire, from 1
        self.by_type: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.figures = Figures()
        # the link
        self.previous: Frame | None = None  # last whole packet of the device
        self.missing = 0  # packets missing before the current one
        self.seq_back = False  # link_seq repeats or goes back
        self.damaged = 0  # faults since `previous`
        self.first_offset: int | None = None  # of the first whole packet
        self.odd_links: list[LinkStep] = []
        self.odd_link_count = 0
        self._seq_by_type: dict[type, int] = {}
        # samples and time
        self.data: Data | None = None  # last DATA of this boot
        self.step: Step | None = None  # from it to the current DATA
        self.odd: list[Step] = []
        self.odd_count = 0
        self.plain: list[Step] = []  # the first steps of all
        self.steps = 0
        self._odd_stride = 1
        self._since_data = 0
        self._missing_since_data = 0
        self._damaged_since_data = 0
        self.device_us: int | None = None  # device time of the current packet, unwrapped
        self.first_us: int | None = None
        # configuration, device
        self.settings: dict[int, Setting] = {}
        self.past_settings: deque[Setting] = deque(maxlen=64)  # of earlier boots
        self.boot_id: int | None = None
        self.restarts: list[Restart] = []
        self.info_us: int | None = None  # device time of the newest INFO
        self.heartbeat: Heartbeat | None = None
        self.beats: list[
            tuple[int, int]
        ] = []  # conversions made and µs passed from one heartbeat to the next
        self.heartbeat_gaps = 0  # missing or damaged packets since that heartbeat
        self.reset_since_heartbeat = False
        self.received_since_heartbeat = 0
        self.commands: dict[int, Received] = {}  # awaiting their RESPONSE, by request id
        self.answered = 0
        self.unanswered: list[Received] = []
        self.commands_seen = 0
        self.restarted_here = False
        # the host's side, where it is known
        self.baud: int | None = None
        self.host_ns: int | None = None  # when the newest bytes came
        self.host_resolution_ms = 0.0

    @property
    def faults_with_bytes(self) -> int:
        """Damaged packets; a missing delimiter is none."""
        return sum(self.faults.values()) - self.faults["missing-delimiter"]

    # ---- one event at a time --------------------------------------------------------------------------------

    def is_calm(self, frame: Data) -> bool:
        """Whether a DATA frame follows the packet before it in every respect as it should."""
        last, previous = self.data, self.previous
        if last is None or previous is not last or self.damaged or frame.flags & _SPECIAL:
            return False
        period = self._period_us
        if period is None or frame.link_seq != (last.link_seq + 1) & 0xFFFF:
            return False
        if (
            frame.n_samples != last.n_samples
            or frame.sample_index != (last.sample_index + last.n_samples) & _U32
            or frame.config_id != last.config_id
            or frame.n_channels != last.n_channels
            or frame.has_status != last.has_status
            or frame.sample_type != last.sample_type
            or frame.channels_per_converter != last.channels_per_converter
        ):
            return False
        expected = period * last.n_samples
        dt = (frame.t_us - last.t_us) & _U32
        return abs(dt - expected) <= _TIME_SLACK_US + expected * 0.02

    def take_calm(self, frame: Data) -> None:
        """`before` and `after` of a calm frame."""
        last = self.data
        assert last is not None
        dt = (frame.t_us - last.t_us) & _U32
        self.packet += 1
        self.by_type[Type.DATA] += 1
        self.steps += 1
        if self.device_us is not None:
            self.device_us += signed32(frame.t_us - self.device_us)
        self.figures.step(dt, last.n_samples, self._period_us)
        self.figures.samples += frame.n_samples
        self.received_since_heartbeat += frame.n_samples
        self.settings[frame.config_id].data_frames += 1
        self.previous = self.data = frame
        self._since_data = 0
        self._missing_since_data = self._damaged_since_data = 0

    def calm_steps(self, steps_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of the times that passed to further frames like the last one: which are as they should be."""
        assert self.data is not None and self._period_us is not None
        expected = self._period_us * self.data.n_samples
        calm: NDArray[np.bool_] = abs(steps_us - expected) <= _TIME_SLACK_US + expected * 0.02
        return calm

    def take_calm_run(self, last: Data, steps_us: NDArray[np.int64]) -> None:
        """`take_calm` of as many frames as there are steps, the last of which is `last`."""
        n, period = len(steps_us), self._period_us
        self.packet += n
        self.by_type[Type.DATA] += n
        self.steps += n
        if self.device_us is not None:
            self.device_us += signed32(last.t_us - self.device_us)
        for dt, times in Counter(steps_us.tolist()).items():
            self.figures.step(dt, last.n_samples, period, times)
        self.figures.samples += n * last.n_samples
        self.received_since_heartbeat += n * last.n_samples
        self.settings[last.config_id].data_frames += n
        self.previous = self.data = last
        self._since_data = 0
        self._missing_since_data = self._damaged_since_data = 0

    def before(self, event: Frame | Fault) -> None:
        """Work out how `event` follows what came earlier."""
        self.step = None
        self.restarted_here = False
        if isinstance(event, Fault):
            if event.length:
                self.packet += 1
            return
        self.packet += 1
        self.missing, self.seq_back = 0, False
        if isinstance(event, Command):
            return
        if self.previous is not None:
            gap = (event.link_seq - self.previous.link_seq - 1) & 0xFFFF
            if gap >= 0x8000:
                self.seq_back = True
            else:
                self.missing = gap
            if gap:
                self._note_link(event, self.previous)
        self._follow_time(event)
        if isinstance(event, Data) and self.data is not None:
            self.step = Step(
                self.data,
                event,
                self.packet,
                self._missing_since_data + self.missing,
                self._damaged_since_data,
                self._since_data,
                self._period_us,
            )
        self._notice_restart(event)

    def after(self, event: Frame | Fault) -> None:
        """Make `event` part of the past."""
        if isinstance(event, Fault):
            self.faults[event.kind] += 1
            if event.length:
                self.damaged += 1
                self._damaged_since_data += 1
                self.heartbeat_gaps += 1
            return
        self.by_type[frame_type(event)] += 1
        if isinstance(event, Command):
            self._take_command(event)
            return
        if self.first_offset is None:
            self.first_offset = event.offset
        if self.missing or self.seq_back:
            self.heartbeat_gaps += 1
        self._missing_since_data += self.missing
        self._since_data += 1
        self.figures.packets_missing += self.missing
        self.damaged = 0
        self._seq_by_type[type(event)] = event.link_seq
        match event:
            case Data():
                self._take_data(event)
            case Info():
                self._take_info(event)
            case Heartbeat():
                self._take_heartbeat(event)
            case Response():
                self._take_response(event)
        self.previous = event

    def _note_link(self, event: Frame, previous: Frame) -> None:
        self.odd_link_count += 1
        if len(self.odd_links) < _ODD_KEPT:
            n_before = previous.n_samples if isinstance(previous, Data) else None
            same = self._seq_by_type.get(type(event))
            self.odd_links.append(
                LinkStep(
                    previous.link_seq, event.link_seq, same, n_before, self.damaged, self.packet, event.offset
                )
            )

    # ---- time -----------------------------------------------------------------------------------------------

    @property
    def _period_us(self) -> float | None:
        last = self.data
        if last is None:
            return None
        setting = self.settings.get(last.config_id)
        rate = setting.rate if setting is not None and setting.complete else None
        return None if rate is None else 1e6 * rate.denominator / rate.numerator

    def _follow_time(self, event: Frame) -> None:
        t_us = getattr(event, "t_us", None)
        if t_us is None:
            return
        if isinstance(event, Heartbeat | Response) or self.device_us is None:
            self.device_us = t_us
        else:
            self.device_us += signed32(t_us - self.device_us)
        if self.first_us is None:
            self.first_us = self.device_us

    # ---- restarts -------------------------------------------------------------------------------------------

    def _notice_restart(self, event: Frame) -> None:
        """Another boot_id, or both counters of DATA fall back without a wrap: the device has booted."""
        step = self.step
        if isinstance(event, Info | Heartbeat):
            boot = event.boot_id
            known = self.restarts[-1] if self.restarts else None
            if known is not None and known.boot_after is None and boot == self.boot_id:
                known.boot_after = boot  # the same as before: it should be another one
            if self.boot_id is not None and boot != self.boot_id:
                if known is not None and known.boot_after is None and known.boot_before == self.boot_id:
                    known.boot_after = boot  # DATA has shown this restart already
                else:
                    self._restart(Restart(event.offset, self.packet, self.boot_id, boot, self.data))
                    self.data = None
            self.boot_id = boot
        elif step is not None and fell_back(step):
            self._restart(Restart(event.offset, self.packet, self.boot_id, None, step.before, step.after))

    def _restart(self, restart: Restart) -> None:
        self.restarts.append(restart)
        del self.restarts[_RESTARTS_KEPT:]
        self.figures.restarts += 1
        self.restarted_here = True
        self.missing, self.seq_back = 0, False
        self.past_settings.extend(self.settings.values())
        self.settings = {}
        self.heartbeat = None
        self.info_us = None

    # ---- what each type leaves behind -----------------------------------------------------------------------

    def _take_data(self, frame: Data) -> None:
        step = self.step
        setting = self.settings.get(frame.config_id)
        if setting is None:
            setting = self.settings[frame.config_id] = Setting(frame.config_id)
        if setting.first_data is None:
            setting.first_data = frame
            setting.first_data_packet = self.packet
            setting.excused = self._may_have_missed_info(frame)
        setting.data_frames += 1
        if not setting.complete:
            setting.conversions_before_info += frame.n_samples
        new = frame.n_samples
        if step is not None and not self.restarted_here:
            self.steps += 1
            new = max(0, min(new, new + step.ahead)) if -32 < step.ahead < 0 else new
            if len(self.plain) < 64:
                self.plain.append(step)
            if is_odd(step):
                self._keep_odd(step)
            if 0 < step.ahead < 0x1000000:
                self.figures.conversions_missing += step.ahead
            if not frame.flags & (Flag.FIRST | Flag.CLOCK_STEPPED) and step.dt_us >= 0:
                if step.ahead == 0:
                    self.figures.step(step.dt_us, step.before.n_samples, step.period_us)
        self.figures.samples += new
        self.received_since_heartbeat += new
        if self.data is None and self.restarts and self.restarts[-1].after is None:
            self.restarts[-1].after = frame
        self.data = frame
        self._since_data = self._missing_since_data = self._damaged_since_data = 0

    def _may_have_missed_info(self, frame: Data) -> bool:
        if self.previous is None:
            return frame.link_seq != 0  # else nothing was sent before it
        if self._missing_since_data or self.missing or self._damaged_since_data:
            return True
        began = frame.flags & Flag.FIRST or frame.sample_index == 0
        return self.data is None and not self.restarts and not began

    def _keep_odd(self, step: Step) -> None:
        """Keep the odd steps, thinned out evenly once there are too many."""
        if self.odd_count % self._odd_stride == 0:
            self.odd.append(step)
            if len(self.odd) > _ODD_KEPT:
                self._odd_stride *= 2
                self.odd = self.odd[::2]
        self.odd_count += 1

    def _take_info(self, info: Info) -> None:
        setting = self.settings.get(info.config_id)
        if setting is None:
            setting = self.settings[info.config_id] = Setting(info.config_id)
        setting.pages[info.page] = info
        if info.page == info.pages - 1:
            self.info_us = self.device_us

    def _take_heartbeat(self, beat: Heartbeat) -> None:
        last = self.heartbeat
        if last is not None and last.boot_id == beat.boot_id:
            reset = self.reset_since_heartbeat or beat.dropped < last.dropped
            dropped = beat.dropped - (0 if reset else last.dropped)
            link = beat.sample_index - last.sample_index - dropped - self.received_since_heartbeat
            self.figures.account(dropped, link, self.received_since_heartbeat)
            if len(self.beats) < 64:
                self.beats.append((beat.sample_index - last.sample_index, beat.t_us - last.t_us))
        self.heartbeat = beat
        self.heartbeat_gaps = 0
        self.reset_since_heartbeat = False
        self.received_since_heartbeat = 0

    def _take_response(self, response: Response) -> None:
        if self.commands.pop(response.request_id, None) is not None:
            self.answered += 1
        if response.opcode == Opcode.RESET_COUNTERS and response.status == Status.OK:
            self.reset_since_heartbeat = True
            try:
                before = Heartbeat.from_counters(response)
            except FrameError:
                return
            if self.heartbeat is not None and before.dropped >= self.heartbeat.dropped:
                self.figures.lost_in_device += before.dropped - self.heartbeat.dropped
                self.received_since_heartbeat += before.dropped - self.heartbeat.dropped

    def _take_command(self, command: Command) -> None:
        self.note_command(Received(command, self.packet))

    def note_command(self, received: Received) -> None:
        """A COMMAND on its way to the device."""
        command = received.command
        if command.opcode == Opcode.KEEPALIVE:
            return
        self.commands_seen += 1
        self.commands[command.request_id] = received
        if len(self.commands) > 64:
            oldest = next(iter(self.commands))
            self.unanswered.append(self.commands.pop(oldest))
            del self.unanswered[64:]


def fell_back(step: Step) -> bool:
    """Whether both counters of DATA began anew: neither a wrap, nor a loss, nor an old frame that came again.

    A wrap goes on at the other end of the range, so its step modulo 2^32 is small. After a restart both counters
    are small numbers and agree with each other, whatever they were before.
    """
    before, after = step.before, step.after
    if 0 <= step.ahead < 0x1000000 and step.dt_us >= 0:
        return False
    restarted = after.sample_index < before.sample_index and after.t_us < before.t_us
    return restarted and _far(step.ahead, before.n_samples * 8) and _far(step.dt_us, 20_000)


def _far(difference: int, near: int) -> bool:
    return abs(difference) > near


def is_odd(step: Step) -> bool:
    """Whether counters or time of a step are not what they should be."""
    if step.ahead:
        return True
    if step.after.flags & (Flag.FIRST | Flag.CLOCK_STEPPED):
        return False
    if step.period_us is None:
        return step.dt_us <= 0
    expected = step.period_us * step.before.n_samples
    return abs(step.dt_us - expected) > _TIME_SLACK_US + expected * 0.1
