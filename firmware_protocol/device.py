"""A device that keeps the specification, without port, thread or clock (SPEC 6).

It owns sequence numbers, configuration, the cadence of INFO and HEARTBEAT, command cache, watchdog, test
patterns and the loss account. The caller owns the pace: it tells the device's time with every call, pushes
what lies at the converters' inputs and hands on what `poll` returns at whatever rate its link has. Time never
runs backwards. The simulated board and the conformance tests run on this class.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from firmware_protocol._configuration import Configuration, Outcome
from firmware_protocol._outbox import Account, Outbox
from firmware_protocol._samples import pack_counts, status_word
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
    TestSignal,
)
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Command, Data, Event, Fault, Heartbeat, Info, Log, Response, Unknown
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
from firmware_protocol.patterns import FULL_SCALE

__all__ = ["DeviceConfig", "ReferenceDevice"]

_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF
_ADS1299_RATES = frozenset(Fraction(250 * 2**k) for k in range(7))
#: Flags that say something once; if their DATA is dropped, the next one says it.
_ONCE = Flag.OVERRUN | Flag.FIRST | Flag.COMMAND_ACTED | Flag.CLOCK_STEPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """What a device is when it boots.

    Parameters
    ----------
    labels : tuple of str
        Channel labels, at most 15 bytes of UTF-8 each; their number is the number of channels, 1–64.
    rate : Fraction
        Sampling rate in Hz.
    rates : frozenset of Fraction
        What SET_RATE may choose, besides `rate`. Default: 250 Hz … 16 kHz, as an ADS1299.
    samples_per_frame : int
        Conversions in a full DATA packet, 1–32.
    has_status : bool
        Status words among the samples; the number of channels then is a multiple of `channels_per_converter`.
    boot_id : int
        Random 32 bits, new at every boot.
    link_seq, sample_index : int
        Where the counters begin: 0 in a real device, anything in a test of their wraps.
    vref_uv : float
        Reference voltage in µV; one count is vref_uv / gain / (2^23 - 1).
    gain : int
        Of all channels: 1, 2, 4, 6, 8, 12 or 24.
    queue_bytes : int
        Wire bytes of DATA that may wait for the link before conversions are dropped.
    """

    labels: tuple[str, ...]
    rate: Fraction = Fraction(250)
    rates: frozenset[Fraction] = _ADS1299_RATES
    samples_per_frame: int = 4
    channels_per_converter: int = 8
    has_status: bool = True
    device_id: str = "BFP reference device"
    firmware: str = "1.0"
    boot_id: int = 1
    link_seq: int = 0
    sample_index: int = 0
    vref_uv: float = 4.5e6
    gain: int = 24
    queue_bytes: int = 8192


@dataclass(slots=True)
class _Partial:
    """DATA being filled."""

    t_us: int
    flags: Flag
    payload: bytearray
    n_samples: int = 0


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A command that was acted on, and how."""

    command: Command
    at_us: int
    outcome: Outcome


class ReferenceDevice:
    """One boot of a device. Public attributes: `state`, `config_id`, `supply_mv`, `temperature_c`.

    Raises
    ------
    FrameError
        If `config` describes a device that this protocol cannot carry; `field` names what does not fit.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.state = DeviceState.IDLE
        self.config_id = 0
        self.supply_mv = 0
        self.temperature_c: float | None = None
        self._config = config
        self._setup = Configuration(
            len(config.labels),
            per_converter=config.channels_per_converter,
            rate=config.rate,
            rates=config.rates,
            gain=config.gain,
        )
        self._decoder = Decoder()
        self._outbox = Outbox(
            capacity=config.queue_bytes, link_seq=config.link_seq, sample_index=config.sample_index
        )
        self._next_sample = config.sample_index
        self._partial: _Partial | None = None
        self._once = Flag(0)
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
    def streaming(self) -> bool:
        return self.state == DeviceState.STREAMING

    @property
    def rate(self) -> Fraction:
        """Sampling rate in Hz."""
        return self._setup.rate

    @property
    def next_sample(self) -> int:
        """64-bit number that the next conversion will carry."""
        return self._next_sample

    @property
    def lead_off(self) -> LeadOff:
        """The excitation that the caller's samples should show."""
        return self._setup.lead_off

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        """Per channel."""
        return tuple(self._config.vref_uv / gain / (FULL_SCALE - 1) for gain in self._setup.gains())

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
                state=self.state,
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
            elif not isinstance(event, Unknown):  # damage, or a packet no host sends
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

        Returns ------- int Conversions made: fewer than pushed if the watchdog ended the stream, 0 if the
        device does not stream.

        Raises
        ------
        FrameError
            If a row has another number of channels.
        """
        listed = counts.tolist() if hasattr(counts, "tolist") else counts
        rows: list[Sequence[int]] = list(listed)
        n_channels = len(self._config.labels)
        for row in rows:
            if len(row) != n_channels:
                raise FrameError(f"a row of {len(row)} samples for {n_channels} channels", field="counts")
        times = self._times(t_us, len(rows))
        n_before = len(rows)
        if self._deadline_us is not None:
            n_before = next((k for k, t in enumerate(times) if t >= self._deadline_us), n_before)
        if times:
            self._advance(max(times[n_before - 1] if n_before else 0, self._now_us))
        if not self.streaming:
            return 0
        status = self._status_words(lead_off_p, lead_off_n, gpio)
        rows = self._setup.convert(self._next_sample, rows[:n_before], self._config.vref_uv)
        done = 0
        while done < n_before:
            partial = self._partial
            if partial is None:
                partial = self._partial = _Partial(times[done] & _U32, self._frame_flags(), bytearray())
            if trigger:
                partial.flags |= Flag.TRIGGER
            take = min(self._config.samples_per_frame - partial.n_samples, n_before - done)
            partial.payload += pack_counts(
                rows[done : done + take],
                status=status,
                channels_per_converter=self._config.channels_per_converter,
            )
            partial.n_samples += take
            self._next_sample += take
            done += take
            if partial.n_samples == self._config.samples_per_frame:
                self._cut()
        if n_before < len(times):
            self._advance(times[n_before])
        return n_before

    def event(
        self, source: int, code: int, value: int = 0, *, now_us: int, sample_index: int | None = None
    ) -> bool:
        """Send an EVENT at conversion `sample_index` (default: the next); False if there is no room for it."""
        self._advance(now_us)
        index = self._next_sample if sample_index is None else sample_index
        return self._send(Event(0, 0, index & _U32, now_us & _U32, source, code, value))

    def end_run(self, now_us: int) -> bool:
        """Send what is left of a run, then EVENT RUN_END with the number of the conversion after its last."""
        self._cut()
        return self.event(EventSource.DEVICE, EventCode.RUN_END, now_us=now_us)

    def log(self, text: str, *, now_us: int, level: LogLevel = LogLevel.INFO) -> bool:
        """Send a LOG; False if there is no room for it."""
        self._advance(now_us)
        return self._send(Log(0, 0, now_us & _U32, level, text))

    def mark_clock_step(self) -> None:
        """The device's time was set: the next DATA says so."""
        self._cut()
        self._once |= Flag.CLOCK_STEPPED

    def poll(self, now_us: int, room: int | None = None) -> bytes:
        """Wire bytes for the link: as many whole packets as fit into `room` bytes (None: all that wait).

        Responses come first. A packet may take up to 659 bytes; with less room than the next one needs, b"".
        """
        self._advance(now_us)
        if now_us >= self._info_due_us:
            self._send_info()
        if now_us >= self._heartbeat_due_us:
            self._heartbeat_due_us = max(self._heartbeat_due_us, now_us - HEARTBEAT_PERIOD_MS * 1000 + 1)
            self._heartbeat_due_us += HEARTBEAT_PERIOD_MS * 1000
            self._send_heartbeat()
        return self._outbox.take(room)

    # ---- commands ----

    def _obey(self, command: Command) -> None:
        """SPEC 5.2: a repeated command is answered again, not done again."""
        now_us = self._now_us
        if self._deadline_us is not None:
            self._deadline_us = now_us + self._watchdog_us
        if command.opcode == Opcode.KEEPALIVE:
            return
        while self._remembered and now_us - self._remembered[0].at_us >= CACHE_MS * 1000:
            self._remembered.popleft()
        for earlier in self._remembered:
            if earlier.command.request_id == command.request_id:
                same = (earlier.command.opcode, earlier.command.payload) == (command.opcode, command.payload)
                self._respond(command, earlier.outcome if same else Outcome(Status.ID_REUSED))
                return
        outcome = self._execute(command)
        self._remembered.append(_Remembered(command, now_us, outcome))
        self._respond(command, outcome)

    def _respond(self, command: Command, outcome: Outcome) -> None:
        response = Response(
            0, 0, command.request_id, command.opcode, outcome.status, self._now_us & _U64, outcome.results
        )
        self._outbox.put_response(response.pack())

    def _execute(self, command: Command) -> Outcome:
        if command.opcode not in COMMANDS:
            return Outcome(Status.UNKNOWN_OPCODE)
        opcode = Opcode(command.opcode)
        form = COMMANDS[opcode]
        size = form.struct.size
        given = len(command.payload)
        if (
            given != size
            and not (form.more_arguments and given > size)
            and not (form.optional and given == 0)
        ):
            return Outcome(Status.BAD_LENGTH)
        if form.more_arguments and given == size:
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
            self._cut()
            self._once |= Flag.COMMAND_ACTED
        if outcome.rescaled:
            self.config_id = self.config_id + 1 & 0xFF
            outcome = outcome._replace(results=form.result_struct.pack(self.config_id))
        if outcome.acted:
            self._send_info()
        return outcome

    def _identify(self) -> Outcome:
        pages = self.info()
        self._send_info()
        results = COMMANDS[Opcode.IDENTIFY].result_struct.pack(
            self._config.boot_id, self.state, self.config_id, len(self._config.labels), len(pages)
        )
        return Outcome(Status.OK, results)

    def _start(self, watchdog_ms: int = WATCHDOG_DEFAULT_MS) -> Outcome:
        if watchdog_ms and not WATCHDOG_MIN_MS <= watchdog_ms <= WATCHDOG_MAX_MS:
            return Outcome(Status.BAD_ARGUMENT)
        self.state = DeviceState.STREAMING
        self._watchdog_us = watchdog_ms * 1000
        self._deadline_us = self._now_us + self._watchdog_us if watchdog_ms else None
        self._once = Flag.FIRST
        self._send_info()
        return Outcome(Status.OK, COMMANDS[Opcode.START].result_struct.pack(self._next_sample & _U64))

    def _stop(self) -> Outcome:
        """Idle already: the same answer. The counters are those after all DATA still queued (SPEC 6.4)."""
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
        """Time passes; the watchdog bites if no packet came from the host for too long (SPEC 6.5)."""
        self._now_us = now_us
        if self._deadline_us is not None and now_us >= self._deadline_us:
            self._end_stream(DeviceState.WATCHDOG)
            self._send(
                Event(
                    0,
                    0,
                    self._next_sample & _U32,
                    now_us & _U32,
                    EventSource.DEVICE,
                    EventCode.WATCHDOG,
                    self._watchdog_us // 1000,
                )
            )

    def _end_stream(self, state: DeviceState) -> None:
        self._cut()
        self.state = state
        self._deadline_us = None

    def _times(self, t_us: int | Sequence[int], n: int) -> list[int]:
        try:
            first = operator.index(t_us)  # type: ignore[arg-type]
        except TypeError:
            return [int(t) for t in t_us]  # type: ignore[union-attr]
        rate = self.rate
        return [first + k * 1_000_000 * rate.denominator // rate.numerator for k in range(n)]

    def _status_words(self, lead_off_p: int, lead_off_n: int, gpio: int) -> list[int] | None:
        if not self._config.has_status:
            return None
        if self.lead_off == LeadOff.OFF:
            lead_off_p = lead_off_n = 0
        c = self._config.channels_per_converter
        mask = (1 << c) - 1
        return [
            status_word(lead_off_p >> first & mask, lead_off_n >> first & mask, gpio & 0xF)
            for first in range(0, len(self._config.labels), c)
        ]

    def _frame_flags(self) -> Flag:
        flags, self._once = self._once, Flag(0)
        if self._setup.test_signal != TestSignal.OFF or self._setup.pattern != Pattern.OFF:
            flags |= Flag.TEST_SIGNAL
        if self.lead_off in (LeadOff.AC_31_25_HZ, LeadOff.AC_QUARTER_RATE):
            flags |= Flag.AC_LEAD_OFF
        return flags

    def _cut(self) -> None:
        """Queue the DATA being filled, full or not; if there is no room it is dropped and the next one says so."""
        partial, self._partial = self._partial, None
        if partial is None:
            return
        config = self._config
        frame = Data(
            0,
            partial.flags,
            self._next_sample - partial.n_samples & _U32,
            partial.t_us,
            len(config.labels),
            partial.n_samples,
            self.config_id,
            bytes(partial.payload),
            has_status=config.has_status,
            channels_per_converter=config.channels_per_converter,
        )
        if not self._outbox.put_data(frame.pack(), n_samples=partial.n_samples):
            self._once |= partial.flags & _ONCE | Flag.OVERRUN

    def _send(self, frame: Event | Info | Log) -> bool:
        body = frame.pack()
        return self._outbox.put(body, length=len(body))

    def _send_info(self) -> None:
        self._info_due_us = max(self._info_due_us, self._now_us) + INFO_PERIOD_MS * 1000
        for page in self.info():
            self._send(page)

    def _send_heartbeat(self) -> None:
        self._outbox.put(lambda account: self._heartbeat(account).pack(), length=HEARTBEAT.size)

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
