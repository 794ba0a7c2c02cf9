"""The host's side of the command dialogue (SPEC 5): identify, configure, start, stop.

Rules
-----
- A command is sent at most three times, 250 ms apart, with the same request id: the board acts once. Ids
  begin at a random number, so that a program started anew is not taken for the one before it.
- Nothing that arrives during a dialogue is lost: it goes to `deliver` in wire order, whoever waits for what.
- `start` refuses what the link cannot carry before anything is sent. While the board streams, small requests leave
  from the link's own thread, five within the board's watchdog. Any command feeds the watchdog; these are answered
  too, so each is a two-way probe of the board's clock.
- The client itself reads no port and no clock but those it was given, and starts no thread.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from typing import TypeAlias

import numpy as np

from bci.acquisition._heard import Heard
from bci.acquisition.configuration import Configuration, ConfigurationBook
from bci.acquisition.link import Tap
from bci.acquisition.receiver import Received, Receiver
from bci.errors import (
    BudgetError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UnsupportedDeviceError,
)
from bci.language import N_, _
from firmware_protocol import (
    Command,
    Event,
    EventCode,
    EventSource,
    Heartbeat,
    Info,
    LeadOff,
    Opcode,
    Pattern,
    Response,
    Status,
    TestSignal,
    budget,
    encode_command,
)
from firmware_protocol.batch import is_data
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import COMMAND_TRIES, MAX_LOAD_PERCENT, RESPONSE_TIMEOUT_MS, WATCHDOG_DEFAULT_MS

__all__ = ["BoardClient", "Settings"]

TIMEOUT_NS = RESPONSE_TIMEOUT_MS * 1_000_000
PROBES_PER_WATCHDOG = 5
MAX_PROBE_S = 1.0
N_PROBES = 16  # in turn, so that an answer is known from that to the one before
ALL_CHANNELS = 255
MISC1, SRB1 = 0x15, 0x20
STATUS_NAMES = {int(status): status.name for status in Status}
ADVICE: dict[int, str] = {
    Status.BUSY: N_(" (it streams; stop it first)"),
    Status.BAD_ARGUMENT: N_(" (its converter has no such setting)"),
    Status.UNKNOWN_OPCODE: N_(" (its firmware does not know this command)"),
}


#: Settings made so far, in the order of the last time each was made: (opcode, which) -> (arguments, more).
Settings: TypeAlias = dict[tuple[Opcode, tuple[int, ...]], tuple[tuple[int, ...], bytes]]
Deliver = Callable[[Received], None]
#: Leading arguments that say what is set; where a setting is made anew, the old one is forgotten.
SETTINGS = {
    Opcode.SET_RATE: 0,
    Opcode.SET_CHANNEL: 1,
    Opcode.LEAD_OFF: 0,
    Opcode.TEST_SIGNAL: 0,
    Opcode.WRITE_REGISTER: 2,
}
_GAVE_UP = (EventSource.DEVICE, EventCode.WATCHDOG)
#: (written, device's µs at receipt, answer received); times in monotonic ns.
Probe = Callable[[int, int, int], None]


class BoardClient:
    """Dialogue with one board over a link. One thread at a time may use it.

    Parameters
    ----------
    link : Receiver
    deliver : callable, optional
        Is given everything that comes, once, before `poll` or a command returns.
    probed : callable, optional
        Is told of every command that was answered: when it was written and received, and when its answer came.
    clock_ns : callable
        Monotonic time in ns, the link's.
    first_request_id : int, optional
        Default: random.

    Attributes
    ----------
    broken_off : str
        Why the board has ended by itself the run that was started here, in a sentence: it was reset, or its watchdog
        heard nothing. "" while it has not.
    """

    def __init__(
        self,
        link: Receiver,
        *,
        deliver: Deliver = lambda received: None,
        probed: Probe = lambda sent_ns, device_us, received_ns: None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        first_request_id: int | None = None,
    ) -> None:
        self.configuration: Configuration | None = None
        self.last_data_ns = 0
        self.streaming = False
        self.broken_off = ""
        self.watchdog_ms = WATCHDOG_DEFAULT_MS
        self.settings: Settings = {}
        self._link = link
        self.deliver = deliver
        self._probed = probed
        self._clock_ns = clock_ns
        self._request_ids = count(random.randrange(1 << 16) if first_request_id is None else first_request_id)
        self._link_seqs = count()
        self._book = ConfigurationBook()
        self._answers: dict[int, Response] = {}  # the newest, by its request id
        self._sent_ns: dict[int, int] = {}  # the request that is waited for
        self._run_begins = 0
        self._probe_ids: dict[int, int] = {}  # request id of a probe → its place in the turn
        self._heard = Heard()

    # ---- the stream ----

    def poll(self, timeout_s: float) -> bool:
        """Deliver what came since the last call, after waiting at most `timeout_s` for the first; False: nothing.

        Raises
        ------
        DeviceLostError
            If the port failed, once everything that had arrived was delivered.
        """
        return self._pump(timeout_s)

    @property
    def bytes_read(self) -> int:
        """Of the link, since it was opened."""
        return self._link.bytes_read

    @property
    def bytes_skipped(self) -> int:
        """Bytes that came and were given up because they were not polled in time."""
        return self._link.bytes_skipped

    def attach(self, tap: Tap | None) -> None:
        """Begin the stream anew: from the next packet on `tap` sees what is delivered."""
        self._link.attach(tap)

    # ---- commands ----

    def identify(self) -> Configuration:
        """Ask who is there and wait for its INFO.

        Raises
        ------
        DeviceTimeoutError
            If nothing, or nothing that makes sense, answers; the message says what came.
        UnsupportedDeviceError
            If what answers speaks another version of the protocol.
        """
        response = self.request(Opcode.IDENTIFY)
        boot_id, _, config_id, _, _ = COMMANDS[Opcode.IDENTIFY].result_struct.unpack(response.payload)
        self._book.booted(boot_id)
        return self._configured(config_id)

    def start(self, *, watchdog_ms: int = WATCHDOG_DEFAULT_MS) -> int:
        """Begin to stream; returns the 64-bit number of the first conversion.

        Parameters
        ----------
        watchdog_ms : int
            The board stops by itself when it hears nothing for so long; 0 switches that off.

        Raises
        ------
        BudgetError
            If the link cannot carry this many channels at this rate; nothing was sent.
        DeviceRefusedError
            If the board is streaming already.
        """
        configuration = self.configuration or self.identify()
        self._check_budget(configuration)
        results = self.request(Opcode.START, watchdog_ms).payload
        self.streaming, self.watchdog_ms, self.broken_off = True, watchdog_ms, ""
        self._run_begins = int.from_bytes(results, "little")
        every_s = min(watchdog_ms / 1000 / PROBES_PER_WATCHDOG, MAX_PROBE_S) if watchdog_ms else MAX_PROBE_S
        self._link.keep_alive(self._probes(), every_s=every_s)
        return self._run_begins

    def stop(self) -> Heartbeat:
        """End the stream; returns the board's counters as they are once all its queued DATA is sent."""
        self._link.keep_alive(())
        self.streaming, self.broken_off = False, ""
        return self._counters(Opcode.STOP)

    def set_rate(self, rate: Fraction | int) -> Configuration:
        """Choose the sampling rate in Hz; DeviceRefusedError (BUSY) while streaming."""
        rate = Fraction(rate)
        return self._reconfigured(Opcode.SET_RATE, rate.numerator, rate.denominator)

    def set_channel(
        self, channel: int | None, *, gain: int, mux: int = 0, powered: bool = True
    ) -> Configuration:
        """Gain, input (0 electrode, 1 shorted, 5 test signal …) and power of a channel; None means all."""
        number = ALL_CHANNELS if channel is None else channel
        return self._reconfigured(Opcode.SET_CHANNEL, number, gain, mux, powered)

    def set_reference(self, *, common: bool) -> Configuration:
        """One reference electrode for all channels, on the SRB1 pin, or each channel's own negative input.

        DeviceRefusedError (BUSY) while streaming.

        References
        ----------
        .. [1] ADS1299 datasheet SBAS499C, section 9.6.1.15: MISC1 (0x15), bit 5.
        """
        configuration = self.configuration or self.identify()
        per_converter = configuration.channels_per_converter
        for converter in range(-(-configuration.signal.n_channels // per_converter)):
            (misc1,) = self.read_registers(MISC1, converter=converter)
            misc1 = misc1 | SRB1 if common else misc1 & ~SRB1
            configuration = self.write_registers(MISC1, bytes([misc1]), converter=converter)
        return configuration

    def set_lead_off(self, mode: LeadOff) -> None:
        """Lead-off excitation."""
        self.request(Opcode.LEAD_OFF, mode)

    def set_test_signal(self, signal: TestSignal, *, amplitude: int = 1) -> None:
        """The converters' own square wave in all channels, in multiples of VREF/2400."""
        self.request(Opcode.TEST_SIGNAL, signal, amplitude)

    def set_test_pattern(self, pattern: Pattern) -> None:
        """Known numbers in place of samples (SPEC 6.6)."""
        self.request(Opcode.TEST_PATTERN, pattern)

    def read_registers(self, address: int, count: int = 1, *, converter: int = 0) -> bytes:
        """Values of `count` registers of a converter from `address` on."""
        return self.request(Opcode.READ_REGISTER, converter, address, count).payload

    def write_registers(self, address: int, values: bytes, *, converter: int = 0) -> Configuration:
        """Write registers from `address` on; DeviceRefusedError (BUSY) while streaming."""
        return self._reconfigured(Opcode.WRITE_REGISTER, converter, address, more=values)

    def reset_counters(self) -> Heartbeat:
        """Set the board's loss and error counters to 0; returns what they were."""
        return self._counters(Opcode.RESET_COUNTERS)

    def request(self, opcode: Opcode, *arguments: int, more: bytes = b"") -> Response:
        """Send a command, wait for its answer, check that it is OK.

        Raises
        ------
        DeviceRefusedError
            If the board answers with an error status.
        DeviceTimeoutError, UnsupportedDeviceError
            If no answer comes in three tries of 250 ms.
        ValueError
            If an argument does not fit its field (SPEC 5.3).
        """
        layout = COMMANDS[opcode]
        try:
            payload = layout.struct.pack(*arguments) + more
        except struct.error as err:
            raise ValueError(f"{opcode.name} does not take {arguments}: {err}") from err
        request_id = next(self._request_ids) & 0xFFFF
        self._heard = Heard()
        before = self._link.bytes_read
        self._sent_ns = {request_id: self._clock_ns()}  # of the first try, whichever is answered
        for _try in range(COMMAND_TRIES):
            self._link.write(self._command(request_id, opcode, payload))
            if self._wait(lambda: self._answers.get(request_id) is not None):
                response = self._accepted(self._answers.pop(request_id), opcode)
                if opcode in SETTINGS:
                    key = (opcode, arguments[: SETTINGS[opcode]])
                    self.settings.pop(key, None)
                    self.settings[key] = arguments, more
                return response
            if self._heard.foreign_version:
                break
        raise self._heard.instead_of(
            _("the answer to {command}").format(command=opcode.name),
            port=self._link.port,
            baud=self._link.baud,
            n_bytes=self._link.bytes_read - before,
            pending=self._link.pending,
        )

    def restore(self, settings: Settings) -> None:
        """Make settings again that were made on this board before it was lost."""
        for (opcode, _of), (arguments, more) in list(settings.items()):
            if COMMANDS[opcode].result_struct.size:
                self._reconfigured(opcode, *arguments, more=more)
            else:
                self.request(opcode, *arguments, more=more)

    @property
    def port(self) -> str:
        """The link's name, as it stands in messages."""
        return self._link.port

    def _accepted(self, response: Response, opcode: Opcode) -> Response:
        layout = COMMANDS[opcode]
        if response.status != Status.OK:
            status = STATUS_NAMES.get(response.status, f"status {response.status}")
            advice = _(ADVICE[response.status]) if response.status in ADVICE else ""
            raise DeviceRefusedError(
                _("the board on {port} refused {name}: {status}{advice}").format(
                    port=self._link.port, name=opcode.name, status=status, advice=advice
                ),
                port=self._link.port,
                status=status,
            )
        n, expected = len(response.payload), layout.result_struct.size
        if n < expected:
            raise UnsupportedDeviceError(
                _(
                    "the board on {port} answered {name} with {n} bytes, expected {expected} (SPEC 5.3); "
                    "does its firmware speak this protocol version?"
                ).format(port=self._link.port, name=opcode.name, n=n, expected=expected),
                port=self._link.port,
            )
        return response

    def _configured(self, config_id: int) -> Configuration:
        """Wait for the INFO of `config_id`; if it got lost, ask for it."""
        for _try in range(COMMAND_TRIES):
            if self._wait(lambda: self._book.get(config_id) is not None):
                self.configuration = self._book.get(config_id)
                assert self.configuration is not None
                return self.configuration
            self.request(Opcode.IDENTIFY)
        raise DeviceTimeoutError(
            _(
                "the board on {port} answers, but its INFO of configuration {config_id} does not arrive "
                "whole; is the line disturbed? `frame-validator live` shows every byte"
            ).format(port=self._link.port, config_id=config_id),
            port=self._link.port,
        )

    def _reconfigured(self, opcode: Opcode, *arguments: int, more: bytes = b"") -> Configuration:
        return self._configured(self.request(opcode, *arguments, more=more).payload[0])

    def _check_budget(self, configuration: Configuration) -> None:
        needed = budget(
            configuration.signal.n_channels,
            configuration.signal.rate,
            self._link.baud,
            configuration.samples_per_frame,
            has_status=configuration.has_status,
            channels_per_converter=configuration.channels_per_converter,
        )
        if not needed.fits:
            raise BudgetError(
                _(
                    "{port} cannot carry it: {n} channels × {rate:g} SPS take {load:.0%} of {baud} baud, {most} % may "
                    "be used. What would fit: at least {least} baud, or a lower rate"
                ).format(
                    port=self._link.port,
                    n=needed.n_channels,
                    rate=needed.rate_hz,
                    load=needed.load,
                    baud=needed.baud,
                    most=MAX_LOAD_PERCENT,
                    least=needed.min_baud,
                ),
                port=self._link.port,
            )

    def _counters(self, opcode: Opcode) -> Heartbeat:
        return Heartbeat.from_counters(self.request(opcode))

    def _command(self, request_id: int, opcode: Opcode, payload: bytes = b"") -> bytes:
        return encode_command(Command(next(self._link_seqs) & 0xFFFF, 0, request_id, opcode, payload))

    def _probes(self) -> list[bytes]:
        """Requests that change nothing, each with a number of its own; SPEC 5.2 lets the link send them for ever."""
        ids = [next(self._request_ids) & 0xFFFF for _ in range(N_PROBES)]
        self._probe_ids = {request_id: k for k, request_id in enumerate(ids)}
        payload = COMMANDS[Opcode.READ_REGISTER].struct.pack(0, 0, 1)
        return [self._command(request_id, Opcode.READ_REGISTER, payload) for request_id in ids]

    # ---- bytes to events ----

    def _wait(self, done: Callable[[], bool]) -> bool:
        deadline_ns = self._clock_ns() + TIMEOUT_NS
        while not done():
            left_ns = deadline_ns - self._clock_ns()
            if left_ns <= 0:
                self._pump(0.0)  # the answer may be here, and this program have slept since
                return done()
            self._pump(left_ns / 1e9)
        return True

    def _pump(self, timeout_s: float) -> bool:
        came = self._link.receive(timeout_s)
        for received in came:
            batch = received.batch
            self._heard.take(batch)
            if batch.n_data:
                self.last_data_ns = int(received.arrived_ns[is_data(batch.events)][-1])
            if batch.n_data < len(batch.events):
                self._read_answers(received)
            self.deliver(received)
        return bool(came)

    def _read_answers(self, received: Received) -> None:
        batch = received.batch
        rows = np.flatnonzero((batch.events["kind"] == 0) & ~is_data(batch.events))
        for row, frame in zip(rows, batch.other_frames(), strict=True):
            if isinstance(frame, Response):
                self._answered(frame, int(received.arrived_ns[row]))
            elif isinstance(frame, Info):
                self._booted(frame.boot_id)
                self._book.add(frame)
            elif isinstance(frame, Heartbeat):
                self._booted(frame.boot_id)
            elif isinstance(frame, Event) and (frame.source, frame.code) == _GAVE_UP:
                self._gave_up(frame)

    def _booted(self, boot_id: int) -> None:
        if self._book.booted(boot_id) and self.streaming:
            self.broken_off = _(
                "the board on {port} was reset while it streamed; is its supply weak, or was its button pressed?"
            ).format(port=self._link.port)

    def _gave_up(self, event: Event) -> None:
        behind = (event.sample_index - self._run_begins) & 0xFFFF_FFFF
        if self.streaming and behind < 1 << 31:  # else of an earlier run, overtaken by START's answer
            self.broken_off = _(
                "the board on {port} ended the run: it heard nothing from this computer for {seconds:g} s; "
                "was the computer asleep?"
            ).format(port=self._link.port, seconds=event.value / 1000)

    def _answered(self, response: Response, at_ns: int) -> None:
        turn = self._probe_ids.get(response.request_id)
        if turn is not None:
            sent_ns = int(self._link.sent_alive()[turn])
        else:
            sent_ns = self._sent_ns.get(response.request_id, 0)
            self._answers = {response.request_id: response}
        if sent_ns:
            self._probed(sent_ns, response.t_us, at_ns)
