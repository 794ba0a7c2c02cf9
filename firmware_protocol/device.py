"""A device that keeps the specification, without port, thread or clock (SPEC 6).

It owns sequence numbers, configuration, the cadence of INFO and HEARTBEAT, command cache, watchdog, test patterns
and the loss account. The caller owns the pace: it tells the device's time with every call, pushes what lies at
the converters' inputs and hands on what `poll` returns at whatever rate its link has. The simulated board and the
conformance tests run on this class.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from firmware_protocol._configuration import Configuration, DeviceConfig, Outcome
from firmware_protocol._framer import Framer
from firmware_protocol._outbox import Account, Outbox
from firmware_protocol.codec import Decoder
from firmware_protocol.codes import (
    DeviceState,
    EventCode,
    EventSource,
    Flag,
    LeadOff,
    LogLevel,
    Opcode,
    Pattern,
    Status,
)
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command, Event, Heartbeat, Info, Log, Response, Unknown
from firmware_protocol.layout import COMMANDS, HEARTBEAT
from firmware_protocol.limits import (
    CACHE_MS,
    CACHE_SIZE,
    HEARTBEAT_PERIOD_MS,
    INFO_PERIOD_MS,
    MAX_PAGE_CHANNELS,
    WATCHDOG_DEFAULT_MS,
    WATCHDOG_MAX_MS,
    WATCHDOG_MIN_MS,
)

__all__ = ["DeviceConfig", "ReferenceDevice"]

_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A command that was obeyed, when, and how it ended."""

    command: Command
    at_us: int
    outcome: Outcome


class ReferenceDevice:
    """One boot of a device. A reset is a new object with another `boot_id`.

    Time is µs since boot and never runs backwards: an earlier time counts as the latest one told.
    `supply_mv` (0: not measured) and `temperature_c` (None) are the caller's to set; HEARTBEATs carry them.

    Raises
    ------
    FrameError
        If `config` describes a device that this protocol cannot carry; `field` names what does not fit.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.supply_mv = 0
        self.temperature_c: float | None = None
        self._config = config
        self._state = DeviceState.IDLE
        self._setup = Configuration(config)
        self._decoder = Decoder()
        self._outbox = Outbox(
            capacity=config.queue_bytes, link_seq=config.link_seq, sample_index=config.sample_index
        )
        self._owed: dict[str, Callable[[], bool]] = {}  # packets that must come and found no room yet
        self._framer = Framer(config, self._setup, self._outbox, self._described)
        self._rx_errors = 0
        self._dropped_at_reset = 0
        self._remembered: deque[_Remembered] = deque(maxlen=CACHE_SIZE)
        self._now_us = 0
        self._watchdog_us = 0
        self._deadline_us: int | None = None
        self._info_due_us = self._heartbeat_due_us = 0
        for page in self.info():
            page.pack()

    # ---- what the caller may ask ----

    @property
    def state(self) -> DeviceState:
        return self._state

    @property
    def streaming(self) -> bool:
        return self._state == DeviceState.STREAMING

    @property
    def config_id(self) -> int:
        return self._framer.config_id

    @property
    def next_sample(self) -> int:
        """64-bit number that the next conversion will carry."""
        return self._framer.next_sample

    @property
    def rate(self) -> Fraction:
        """Sampling rate in Hz."""
        return self._setup.rate

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        """Per channel, at its present gain."""
        return self._setup.uv_per_count

    @property
    def pattern(self) -> Pattern:
        """What it sends in place of samples; OFF: nothing."""
        return self._setup.pattern

    @property
    def lead_off(self) -> LeadOff:
        """The excitation that the caller's samples should show."""
        return self._setup.lead_off

    @property
    def setup(self) -> Configuration:
        """What commands have set: to read, for those who push what lies at the inputs."""
        return self._setup

    @property
    def queued_bytes(self) -> int:
        """Wire bytes that wait, at their most; responses not counted."""
        return self._outbox.size

    @property
    def dropped(self) -> int:
        """Conversions dropped since boot or RESET_COUNTERS."""
        return self._outbox.final.dropped - self._dropped_at_reset

    def info(self) -> list[Info]:
        """All INFO pages as they would be sent now."""
        config = self._config
        scales = self.uv_per_count
        starts = range(0, len(config.labels), MAX_PAGE_CHANNELS)
        return [
            Info(
                link_seq=0,
                flags=0,
                page=page,
                pages=len(starts),
                first_channel=first,
                device_id=config.device_id,
                firmware=config.firmware,
                boot_id=config.boot_id,
                state=self._state,
                rate_num=self.rate.numerator,
                rate_den=self.rate.denominator,
                config_id=self.config_id,
                n_channels=len(config.labels),
                n_samples=config.samples_per_frame,
                labels=config.labels[first : first + MAX_PAGE_CHANNELS],
                uv_per_count=scales[first : first + MAX_PAGE_CHANNELS],
                has_status=config.has_status,
                channels_per_converter=config.channels_per_converter,
                lead_off=self.lead_off,
            )
            for page, first in enumerate(starts)
        ]

    # ---- what happens to the device ----

    def receive(self, data: bytes, now_us: int) -> None:
        """Bytes from the host. Commands act at once; what is damaged is counted and never answered."""
        self._advance(now_us)
        for event in self._decoder.feed(data):
            if isinstance(event, Command):
                self._obey(event)
            elif not isinstance(event, Unknown):  # damage, or a packet that no host sends
                self._rx_errors = self._rx_errors + 1 & _U32

    def push_samples(
        self,
        counts: Iterable[Sequence[int]],
        t_us: int | Sequence[int],
        *,
        lead_off_p: int = 0,
        lead_off_n: int = 0,
        gpio: int = 0,
        trigger: bool = False,
    ) -> int:
        """Conversions of what lies at the inputs.

        Parameters
        ----------
        counts : (n_samples, n_channels), list of rows or array of integers
            Counts at the present `uv_per_count`; beyond full scale they saturate.
        t_us : int, or one for each row
            Device time of the (first) data-ready; from a single one the others follow at the nominal rate.
        lead_off_p, lead_off_n : int
            Lead-off comparators, bit k for channel k; shown while lead-off excitation is on.
        gpio : int
            Four bits, the same for every converter.
        trigger : bool
            Level of the trigger line.

        Returns
        -------
        int
            Conversions made: fewer than pushed if the watchdog ended the stream, 0 without a stream.

        Raises
        ------
        FrameError
            If a row has another number of channels.
        """
        rows: list[Sequence[int]] = list(counts.tolist() if hasattr(counts, "tolist") else counts)
        n_channels = len(self._config.labels)
        for row in rows:
            if len(row) != n_channels:
                raise FrameError(f"a row of {len(row)} samples for {n_channels} channels", field="counts")
        if not rows or not self.streaming:
            return 0
        times = self._framer.times(t_us, len(rows))
        n_in_time = len(rows)
        if self._deadline_us is not None:
            n_in_time = next((k for k, t in enumerate(times) if t >= self._deadline_us), n_in_time)
        status = self._framer.status_words(lead_off_p, lead_off_n, gpio)
        self._framer.add(rows[:n_in_time], times, status, trigger=trigger)
        self._advance(times[min(n_in_time, len(times) - 1)])
        return n_in_time

    def miss(self, n: int) -> None:
        """The next `n` conversions were made and never fetched: they are counted as dropped."""
        if self.streaming:
            self._framer.skip(n)

    def event(
        self, source: int, code: int, value: int = 0, *, now_us: int, sample_index: int | None = None
    ) -> bool:
        """Send an EVENT at conversion `sample_index` (default: the next); False if there is no room."""
        self._advance(now_us)
        index = self.next_sample if sample_index is None else sample_index
        return self._send(Event(0, 0, index & _U32, now_us & _U32, source, code, value))

    def end_run(self, now_us: int) -> bool:
        """Send what is left of a run, then EVENT RUN_END with the number after its last conversion."""
        self._framer.cut()
        return self.event(EventSource.DEVICE, EventCode.RUN_END, now_us=now_us)

    def log(self, text: str, *, now_us: int, level: LogLevel = LogLevel.INFO) -> bool:
        """Send a LOG; False if there is no room."""
        self._advance(now_us)
        return self._send(Log(0, 0, now_us & _U32, level, text))

    def mark_clock_step(self) -> None:
        """The device's time was set: the next DATA says so."""
        self._framer.cut()
        self._framer.once |= Flag.CLOCK_STEPPED

    def poll(self, now_us: int, room: int | None = None) -> bytes:
        """Wire bytes for the link: as many whole packets as fit into `room` bytes (None: all that wait).

        Responses come first. A packet may take up to 659 bytes; with less room than the next one needs: b"".
        """
        self._advance(now_us)
        if now_us >= self._info_due_us:
            self._info_due_us = _next_due(self._info_due_us, now_us, INFO_PERIOD_MS)
            self._send_info()
        if now_us >= self._heartbeat_due_us:
            self._heartbeat_due_us = _next_due(self._heartbeat_due_us, now_us, HEARTBEAT_PERIOD_MS)
            self._send_heartbeat()
        self._pay()
        return self._outbox.take(room)

    # ---- commands ----

    def _obey(self, command: Command) -> None:
        """SPEC 5.2: a repeated command is answered again, not done again."""
        if self._deadline_us is not None:
            self._deadline_us = self._now_us + self._watchdog_us
        if command.opcode == Opcode.KEEPALIVE:
            return
        while self._remembered and self._now_us - self._remembered[0].at_us >= CACHE_MS * 1000:
            self._remembered.popleft()
        for earlier in self._remembered:
            if earlier.command.request_id == command.request_id:
                same = (earlier.command.opcode, earlier.command.payload) == (command.opcode, command.payload)
                self._respond(command, earlier.outcome if same else Outcome(Status.ID_REUSED))
                return
        outcome = self._execute(command)
        self._remembered.append(_Remembered(command, self._now_us, outcome))
        self._respond(command, outcome)

    def _respond(self, command: Command, outcome: Outcome) -> None:
        t_us = self._now_us & _U64
        response = Response(0, 0, command.request_id, command.opcode, outcome.status, t_us, outcome.results)
        self._outbox.put_response(response.pack())

    def _execute(self, command: Command) -> Outcome:
        if command.opcode not in COMMANDS:
            return Outcome(Status.UNKNOWN_OPCODE)
        opcode = Opcode(command.opcode)
        form = COMMANDS[opcode]
        size, given = form.struct.size, len(command.payload)
        right = given > size if form.more_arguments else given == size or (form.optional and not given)
        if not right:
            return Outcome(Status.BAD_LENGTH)
        if self.streaming and not form.while_streaming:
            return Outcome(Status.BUSY)
        arguments = form.struct.unpack_from(command.payload) if given else ()
        match opcode:
            case Opcode.IDENTIFY:
                return self._identify()
            case Opcode.START:
                return self._start(*arguments)
            case Opcode.STOP:
                return self._stop()
            case Opcode.RESET_COUNTERS:
                return self._reset_counters()
        outcome = self._setup.execute(opcode, arguments, command.payload[size:])
        if outcome.acted:
            self._framer.cut()
            self._framer.once |= Flag.COMMAND_ACTED
        if outcome.rescaled:
            self._framer.config_id = self.config_id + 1 & 0xFF
            outcome = outcome._replace(results=form.result_struct.pack(self.config_id))
        if outcome.acted:
            self._send_info()
        return outcome

    def _identify(self) -> Outcome:
        pages = self.info()
        self._send_info()
        results = COMMANDS[Opcode.IDENTIFY].result_struct.pack(
            self._config.boot_id, self._state, self.config_id, len(self._config.labels), len(pages)
        )
        return Outcome(Status.OK, results)

    def _start(self, watchdog_ms: int = WATCHDOG_DEFAULT_MS) -> Outcome:
        if watchdog_ms and not WATCHDOG_MIN_MS <= watchdog_ms <= WATCHDOG_MAX_MS:
            return Outcome(Status.BAD_ARGUMENT)
        self._state = DeviceState.STREAMING
        self._watchdog_us = watchdog_ms * 1000
        self._deadline_us = self._now_us + self._watchdog_us if watchdog_ms else None
        # What a command changed while idle needs no mark; what was dropped at the end of the stream before does.
        self._framer.once = self._framer.once & Flag.OVERRUN | Flag.FIRST
        self._send_info()
        return Outcome(Status.OK, COMMANDS[Opcode.START].result_struct.pack(self.next_sample & _U64))

    def _stop(self) -> Outcome:
        """Idle already: the same answer. Its counters are those after all DATA still queued (SPEC 6.4)."""
        self._end_stream(DeviceState.IDLE)
        self._send_heartbeat()
        return Outcome(Status.OK, self._heartbeat(self._outbox.final).counters())

    def _reset_counters(self) -> Outcome:
        account = self._outbox.account
        before = self._heartbeat(account).counters()
        self._dropped_at_reset = account.dropped
        self._rx_errors = 0
        return Outcome(Status.OK, before)

    # ---- the stream ----

    def _advance(self, now_us: int) -> None:
        """Time passes; the watchdog ends the stream if nothing came from the host for too long (SPEC 6.5)."""
        self._now_us = max(self._now_us, now_us)
        if self._deadline_us is not None and self._now_us >= self._deadline_us:
            self._end_stream(DeviceState.WATCHDOG)
            index, t_us = self.next_sample & _U32, self._now_us & _U32
            source, code = EventSource.DEVICE, EventCode.WATCHDOG
            event = Event(0, 0, index, t_us, source, code, self._watchdog_us // 1000)
            self._owe("watchdog", lambda: self._send(event))

    def _end_stream(self, state: DeviceState) -> None:
        self._framer.cut()
        self._state = state
        self._deadline_us = None

    def _send(self, frame: Event | Log) -> bool:
        body = frame.pack()
        return self._outbox.put(body, length=len(body))

    def _owe(self, what: str, send: Callable[[], bool]) -> None:
        """Queue what must come: now, or as soon as there is room."""
        if send():
            self._owed.pop(what, None)
        else:
            self._owed[what] = send

    def _pay(self) -> None:
        for what, send in list(self._owed.items()):
            self._owe(what, send)

    def _described(self) -> bool:
        """Whether INFO of the present configuration is on its way: no DATA goes without (SPEC 6.2)."""
        if "info" in self._owed:
            self._pay()
        return "info" not in self._owed

    def _send_info(self) -> None:
        self._owe("info", self._queue_info)

    def _queue_info(self) -> bool:
        """All pages or none: a round that breaks off is of no use, and would be sent again and again."""
        bodies = [page.pack() for page in self.info()]
        if self._outbox.size and not self._outbox.has_room(map(len, bodies)):
            return False
        for body in bodies:
            self._outbox.put(body, length=len(body))
        return True

    def _send_heartbeat(self) -> None:
        def send() -> bool:
            return self._outbox.put(lambda account: self._heartbeat(account).pack(), length=HEARTBEAT.size)

        self._owe("heartbeat", send)

    def _heartbeat(self, account: Account) -> Heartbeat:
        return Heartbeat(
            0,
            0,
            self._config.boot_id,
            self._now_us & _U64,
            account.sample_index & _U64,
            account.dropped - self._dropped_at_reset,
            self._rx_errors,
            self.supply_mv,
            self.temperature_c,
        )


def _next_due(due_us: int, now_us: int, period_ms: int) -> int:
    """The next time after now on the grid of `period_ms`: a slow caller makes it late, never slower."""
    missed = (now_us - due_us) // (period_ms * 1000)
    return due_us + (missed + 1) * period_ms * 1000
