"""What a capture has said so far: the state that rules look at, one event at a time.

`before(frame)` works out how a frame follows what came earlier: packets missing by `link_seq`, conversions missing
by `sample_index`, time passed by `t_us`. Then rules look. Then `after(frame)` makes it part of the past. A DATA
frame that follows in every respect as it should is *calm*: no rule could say anything about it, so none is asked.
That keeps a long capture cheap and is held by a test that asks all rules all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from firmware_protocol.codes import Flag, Opcode, Status, Type
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command, Data, Fault, Frame, Heartbeat, Info, Response, frame_type
from firmware_protocol.validator.figures import Figures
from firmware_protocol.validator.steps import (
    LinkStep,
    Received,
    Restart,
    Setting,
    Step,
    as_stated,
    fell_back,
    is_odd,
    on_time,
    signed32,
)
from firmware_protocol.validator.thinned import Thinned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SPECIAL", "Stream"]

_U32 = 0xFFFFFFFF
#: Flags that mark something out of the ordinary: the frame is looked at by every rule.
SPECIAL = Flag.OVERRUN | Flag.FIRST | Flag.COMMAND_ACTED | Flag.CLOCK_STEPPED | Flag.MUST_UNDERSTAND
_NEW_TIME = Flag.FIRST | Flag.CLOCK_STEPPED
_BEGINS = 8  # packets that came in order before a first DATA: INFO would have been among them
_ODD_KEPT = 4096
_PLAIN_KEPT = _BEATS_KEPT = _WAITING_KEPT = _RESTARTS_KEPT = 64


class Stream:
    """State of the capture between two events. Attributes are read by rules, written here only."""

    def __init__(self) -> None:
        self.packet = 0  # number of the current packet on the wire, from 1
        self.joined = False  # the capture began inside a packet
        self.by_type: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.figures = Figures()
        # the link
        self.previous: Frame | None = None  # last whole packet of the device
        self.missing = 0  # packets missing before the current one
        self.seq_back = False  # link_seq repeats or goes back
        self.damaged = 0  # faults since `previous`
        self.odd_links: list[LinkStep] = []
        self._first_seq: int | None = None
        self._seq_by_type: dict[type, int] = {}
        # samples and time
        self.data: Data | None = None  # last DATA of this boot
        self.step: Step | None = None  # from it to the current DATA
        self._odd: Thinned[Step] = Thinned(_ODD_KEPT)
        self.plain: list[Step] = []  # the first steps of all
        self.steps = 0
        self._as_info = False  # the last DATA is as its INFO says
        self._since_data = 0
        self._missing_since_data = 0
        self._damaged_since_data = 0
        self.device_us: int | None = None  # device time of the current packet, unwrapped
        self.first_us: int | None = None
        # configuration, device
        self.settings: dict[int, Setting] = {}
        self.boot_id: int | None = None
        self.restarts: list[Restart] = []
        self.restarted_here = False
        self.gaps = 0  # places where packets are missing or damaged
        self.info_us: int | None = None  # device time right behind the newest INFO
        self._info_came = False
        self.info_gaps = 0  # `gaps` then
        self.heartbeat: Heartbeat | None = None
        self.beats: list[
            tuple[int, float, int]
        ] = []  # conversions, µs they take, µs by HEARTBEAT's own clock
        self._heartbeat_gaps = 0  # `gaps` then
        self.reset_since_heartbeat = False
        self.received_since_heartbeat = 0
        self._steady_since_heartbeat = False
        self.cadence_us: list[int] = []  # how far t_us of DATA got from one heartbeat to the next
        self._data_us: int | None = None  # t_us of DATA at the newest heartbeat
        self.commands: dict[int, Received] = {}  # awaiting their RESPONSE, by request id
        self.answered = 0
        self.unanswered: list[Received] = []
        self.commands_seen = 0
        # the host's side, where it is known
        self.baud: int | None = None
        self.host_ns: int | None = None  # when the newest bytes came
        self.host_resolution_ms = 0.0

    @property
    def faults_with_bytes(self) -> int:
        """Damaged packets; a missing delimiter is none."""
        return self.faults.total() - self.faults["missing-delimiter"]

    @property
    def odd(self) -> list[Step]:
        """Steps of DATA that are not as they should be; of very many an even selection."""
        return self._odd.kept

    @property
    def heartbeat_gaps(self) -> int:
        """Places since the newest HEARTBEAT where packets are missing or damaged."""
        return self.gaps - self._heartbeat_gaps

    @property
    def setting(self) -> Setting | None:
        """That of the newest DATA."""
        return None if self.data is None else self.settings.get(self.data.config_id)

    @property
    def period_us(self) -> float | None:
        """Nominal time between two conversions, once INFO states it."""
        setting = self.setting
        rate = setting.rate if setting is not None and setting.complete else None
        return None if rate is None else 1e6 * rate.denominator / rate.numerator

    # ---- frames that are as they should be --------------------------------------------------------------------

    def is_calm(self, frame: Data) -> bool:
        """Whether a DATA frame follows the packet before it in every respect as it should."""
        last, previous = self.data, self.previous
        if last is None or previous is not last or self.damaged or frame.flags & SPECIAL:
            return False
        period = self.period_us
        return (
            period is not None
            and self._as_info
            and frame.link_seq == (last.link_seq + 1) & 0xFFFF
            and frame.sample_index == (last.sample_index + last.n_samples) & _U32
            and frame.n_samples == last.n_samples
            and (frame.flags ^ last.flags) & Flag.TEST_SIGNAL == 0
            and frame.config_id == last.config_id
            and frame.n_channels == last.n_channels
            and frame.has_status == last.has_status
            and frame.sample_type == last.sample_type
            and frame.channels_per_converter == last.channels_per_converter
            and on_time((frame.t_us - last.t_us) & _U32, period * last.n_samples)
        )

    def take_calm(self, last: Data, steps_us: Mapping[int, int]) -> None:
        """Take calm frames, the last of which is `last`; `steps_us`: times that passed, and how often each."""
        n, period = sum(steps_us.values()), self.period_us
        self.packet += n
        self.by_type[Type.DATA] += n
        self.steps += n
        if self.device_us is not None:
            self.device_us += signed32(last.t_us - self.device_us)
        for dt, times in steps_us.items():
            self.figures.step(dt, last.n_samples, period, times)
        self.figures.samples += n * last.n_samples
        self.received_since_heartbeat += n * last.n_samples
        self.settings[last.config_id].data_frames += n
        self.previous = self.data = last
        self._seq_by_type[Data] = last.link_seq
        self._since_data = self._missing_since_data = self._damaged_since_data = 0

    def calm_steps(self, steps_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of the times that passed to further frames like the last one: which are as they should be."""
        assert self.data is not None
        assert self.period_us is not None
        calm: NDArray[np.bool_] = on_time(steps_us, self.period_us * self.data.n_samples)  # type: ignore[arg-type, assignment]
        return calm

    # ---- one event at a time ----------------------------------------------------------------------------------

    def before(self, event: Frame | Fault) -> None:
        """Work out how `event` follows what came earlier."""
        self.step = None
        self.restarted_here = False
        if isinstance(event, Fault):
            self.packet += event.length > 0
            return
        self.packet += 1
        self.missing, self.seq_back = 0, False
        if isinstance(event, Command):
            return
        if self._first_seq is None:
            self._first_seq = event.link_seq
        if self.previous is not None:
            gap = (event.link_seq - self.previous.link_seq - 1) & 0xFFFF
            self.seq_back = gap >= 0x8000
            self.missing = 0 if self.seq_back else gap
            if gap:
                self._note_link(event, self.previous)
        self._follow_time(event)
        if isinstance(event, Data) and self.data is not None:
            missing = self._missing_since_data + self.missing
            damaged, between = self._damaged_since_data, self._since_data
            self.step = Step(self.data, event, self.packet, missing, damaged, between, self.period_us)
        self._notice_restart(event)

    def after(self, event: Frame | Fault) -> None:
        """Make `event` part of the past."""
        if isinstance(event, Fault):
            self.faults[event.kind] += 1
            if event.length:
                self.damaged += 1
                self._damaged_since_data += 1
                self.gaps += 1
            return
        self.by_type[frame_type(event)] += 1
        if isinstance(event, Command):
            self.note_command(Received(event, self.packet))
            return
        if self.missing or self.seq_back:
            self.gaps += 1
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

    def note_command(self, received: Received) -> None:
        """A COMMAND on its way to the device."""
        command = received.command
        if command.opcode == Opcode.KEEPALIVE:
            return
        self.commands_seen += 1
        self.commands[command.request_id] = received
        if len(self.commands) > _WAITING_KEPT:
            self.unanswered.append(self.commands.pop(next(iter(self.commands))))
            del self.unanswered[_WAITING_KEPT:]

    def _note_link(self, event: Frame, previous: Frame) -> None:
        if len(self.odd_links) < _ODD_KEPT:
            n_before = previous.n_samples if isinstance(previous, Data) else None
            same = self._seq_by_type.get(type(event))
            self.odd_links.append(
                LinkStep(
                    previous.link_seq, event.link_seq, same, n_before, self.damaged, self.packet, event.offset
                )
            )

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
        if self._info_came:  # INFO carries no time: it came before this
            self.info_us, self._info_came = self.device_us, False

    # ---- restarts ---------------------------------------------------------------------------------------------

    def _notice_restart(self, event: Frame) -> None:
        """Another boot_id, or both counters of DATA fall back without a wrap: the device has booted."""
        step = self.step
        if isinstance(event, Info | Heartbeat):
            boot = event.boot_id
            known = self.restarts[-1] if self.restarts else None
            awaited = known is not None and known.boot_after is None
            if known is not None and awaited and boot == self.boot_id:
                known.boot_after = boot  # the same as before: it should be another one
            if self.boot_id is not None and boot != self.boot_id:
                if known is not None and awaited and known.boot_before == self.boot_id:
                    known.boot_after = boot  # DATA has shown this restart already
                elif known is not None and known.after is None and self.data is None:
                    known.boot_after = boot  # and again, before there was any DATA
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
        self.settings = {}
        self.heartbeat = None
        self.info_us = None

    # ---- what each type leaves behind -------------------------------------------------------------------------

    def _take_data(self, frame: Data) -> None:
        setting = self._setting_of(frame.config_id)
        if setting.first_data is None:
            setting.first_data = frame
            setting.first_data_packet = self.packet
            setting.excused = self._may_have_missed_info(frame)
            setting.gaps = self.gaps
        setting.data_frames += 1
        if not setting.complete:
            setting.conversions_before_info += frame.n_samples
        if frame.flags & _NEW_TIME or (self.data is not None and self.data.config_id != frame.config_id):
            self._steady_since_heartbeat = False
        new = frame.n_samples
        if self.step is not None and not self.restarted_here:
            new = self._take_step(self.step)
        self.figures.samples += new
        self.received_since_heartbeat += new
        self._as_info = setting.info is not None and as_stated(frame, setting.info)
        if self.data is None and self.restarts and self.restarts[-1].after is None:
            self.restarts[-1].after = frame
        self.data = frame
        self._since_data = self._missing_since_data = self._damaged_since_data = 0

    def _take_step(self, step: Step) -> int:
        """Conversions that had not been received before."""
        self.steps += 1
        if len(self.plain) < _PLAIN_KEPT:
            self.plain.append(step)
        if is_odd(step):
            self._odd.add(step)
        ahead, frame = step.ahead, step.after
        if 0 < ahead < 0x1000000:
            self.figures.conversions_missing += ahead
        if ahead == 0 and step.dt_us >= 0 and not frame.flags & _NEW_TIME:
            self.figures.step(step.dt_us, step.before.n_samples, step.period_us)
        return max(0, frame.n_samples + ahead) if -32 < ahead < 0 else frame.n_samples

    def _may_have_missed_info(self, frame: Data) -> bool:
        """Whether the INFO of this, a first DATA, may have come where the capture does not look."""
        if self.data is not None or self.restarts:
            return bool(self._missing_since_data or self.missing or self._damaged_since_data)
        whole = not (self.joined or self._missing_since_data or self.missing or self._damaged_since_data)
        if whole and (self._first_seq == 0 or self._since_data >= _BEGINS):
            return False
        began = frame.flags & Flag.FIRST or frame.sample_index == 0
        return not (whole and began)

    def _setting_of(self, config_id: int) -> Setting:
        return self.settings.setdefault(config_id, Setting(config_id))

    def _take_info(self, info: Info) -> None:
        self._setting_of(info.config_id).pages[info.page] = info
        if info.page == info.pages - 1:
            self._info_came = True
            self.info_gaps = self.gaps

    def _take_heartbeat(self, beat: Heartbeat) -> None:
        last, period = self.heartbeat, self.period_us
        if last is not None and last.boot_id == beat.boot_id:
            reset = self.reset_since_heartbeat or beat.dropped < last.dropped
            dropped = beat.dropped - (0 if reset else last.dropped)
            made = beat.sample_index - last.sample_index
            self.figures.account(
                dropped, made - dropped - self.received_since_heartbeat, self.received_since_heartbeat
            )
            if period is not None and self._steady_since_heartbeat and len(self.beats) < _BEATS_KEPT:
                self.beats.append((made, made * period, beat.t_us - last.t_us))
            steady = self._steady_since_heartbeat and not self.heartbeat_gaps
            if self._data_us is not None and self.data is not None and steady:
                self.cadence_us = [*self.cadence_us, (self.data.t_us - self._data_us) & _U32][-_BEATS_KEPT:]
        self._data_us = None if self.data is None else self.data.t_us
        self.heartbeat = beat
        self._heartbeat_gaps = self.gaps
        self.reset_since_heartbeat = False
        self.received_since_heartbeat = 0
        self._steady_since_heartbeat = self.data is not None

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
