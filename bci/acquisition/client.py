"""The host's side of the command dialogue (SPEC 5): identify, configure, start, stop.

Rules
-----
- A command is sent at most three times, 250 ms apart, with the same request id: the board acts once. Ids
  begin at a random number, so that a program started anew is not taken for the one before it.
- Nothing that arrives during a dialogue is lost: `poll` hands on all frames and faults in wire order.
- `start` refuses what the link cannot carry before anything is sent. While the board streams, keepalives
  leave from the link's own thread, five within the board's watchdog.
- The client itself reads no port and no clock but those it was given, and starts no thread.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import count

from bci.acquisition._heard import Heard
from bci.acquisition.configuration import Configuration, ConfigurationBook
from bci.acquisition.link import Link, Tap
from bci.errors import (
    BudgetError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UnsupportedDeviceError,
)
from firmware_protocol import (
    Command,
    Data,
    Decoder,
    Fault,
    Frame,
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
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import COMMAND_TRIES, RESPONSE_TIMEOUT_MS, WATCHDOG_DEFAULT_MS

__all__ = ["BoardClient"]

TIMEOUT_NS = RESPONSE_TIMEOUT_MS * 1_000_000
KEEPALIVES_PER_WATCHDOG = 5
ALL_CHANNELS = 255
STATUS_NAMES = {int(status): status.name for status in Status}
ADVICE: dict[int, str] = {
    Status.BUSY: " (it streams; stop it first)",
    Status.BAD_ARGUMENT: " (its converter has no such setting)",
    Status.UNKNOWN_OPCODE: " (its firmware does not know this command)",
}


class BoardClient:
    """Dialogue with one board over a link. One thread at a time may use it.

    Parameters
    ----------
    link : Link
    clock_ns : callable
        Monotonic time in ns, the link's.
    first_request_id : int, optional
        Default: random.
    """

    def __init__(
        self,
        link: Link,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        first_request_id: int | None = None,
    ) -> None:
        self.configuration: Configuration | None = None
        self.last_data_ns = 0
        self.bytes_read = 0
        self._link = link
        self._clock_ns = clock_ns
        self._request_ids = count(random.randrange(1 << 16) if first_request_id is None else first_request_id)
        self._link_seqs = count()
        self._decoder = Decoder()
        self._book = ConfigurationBook()
        self._events: list[Frame | Fault] = []
        self._answers: dict[int, Response] = {}  # the newest, by its request id
        self._heard = Heard()

    # ---- the stream ----

    def poll(self, timeout_s: float) -> list[Frame | Fault]:
        """Frames and faults since the last call, after waiting for the first bytes at most `timeout_s`.

        Raises
        ------
        DeviceLostError
            If the port failed, once everything that had arrived was returned.
        """
        self._pump(0.0 if self._events else timeout_s)
        events, self._events = self._events, []
        return events

    @property
    def bytes_skipped(self) -> int:
        """Bytes that came and were given up because they were not polled in time."""
        return self._link.dropped_bytes

    def attach(self, tap: Tap | None) -> None:
        """Begin the stream anew: from the next byte on `tap` sees what `poll` is made of."""
        self._link.attach(tap)
        self._decoder = Decoder()
        self._events.clear()
        self.bytes_read = 0

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
        if watchdog_ms:
            self._link.keepalive(self._keepalive, every_s=watchdog_ms / 1000 / KEEPALIVES_PER_WATCHDOG)
        return int.from_bytes(results, "little")

    def stop(self) -> Heartbeat:
        """End the stream; returns the board's counters as they are once all its queued DATA is sent."""
        self._link.keepalive(None)
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
        for _ in range(COMMAND_TRIES):
            self._link.write(self._command(request_id, opcode, payload))
            if self._wait(lambda: self._answers.get(request_id) is not None):
                return self._accepted(self._answers.pop(request_id), opcode)
            if self._heard.foreign_version:
                break
        raise self._heard.instead_of(
            f"the answer to {opcode.name}", port=self._link.port, baud=self._link.baud
        )

    def _accepted(self, response: Response, opcode: Opcode) -> Response:
        layout = COMMANDS[opcode]
        if response.status != Status.OK:
            status = STATUS_NAMES.get(response.status, f"status {response.status}")
            advice = ADVICE.get(response.status, "")
            raise DeviceRefusedError(
                f"the board on {self._link.port} refused {opcode.name}: {status}{advice}",
                port=self._link.port,
                status=status,
            )
        n, expected = len(response.payload), layout.result_struct.size
        if n < expected:
            raise UnsupportedDeviceError(
                f"the board on {self._link.port} answered {opcode.name} with {n} bytes, expected "
                f"{expected} (SPEC 5.3); does its firmware speak this protocol version?",
                port=self._link.port,
            )
        return response

    def _configured(self, config_id: int) -> Configuration:
        """Wait for the INFO of `config_id`; if it got lost, ask for it."""
        for _ in range(COMMAND_TRIES):
            if self._wait(lambda: self._book.get(config_id) is not None):
                self.configuration = self._book.get(config_id)
                assert self.configuration is not None
                return self.configuration
            self.request(Opcode.IDENTIFY)
        raise DeviceTimeoutError(
            f"the board on {self._link.port} answers, but its INFO of configuration {config_id} does not "
            "arrive whole; is the line disturbed? `frame-validator live` shows every byte",
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
            raise BudgetError(f"{self._link.port} cannot carry it: {needed.advice()}", port=self._link.port)

    def _counters(self, opcode: Opcode) -> Heartbeat:
        return Heartbeat.from_counters(self.request(opcode))

    def _command(self, request_id: int, opcode: Opcode, payload: bytes = b"") -> bytes:
        return encode_command(Command(next(self._link_seqs) & 0xFFFF, 0, request_id, opcode, payload))

    def _keepalive(self) -> bytes:
        """Called from the link's thread; `next` of a counter is safe there."""
        return self._command(next(self._request_ids) & 0xFFFF, Opcode.KEEPALIVE)

    # ---- bytes to events ----

    def _wait(self, done: Callable[[], bool]) -> bool:
        deadline_ns = self._clock_ns() + TIMEOUT_NS
        while not done():
            left_ns = deadline_ns - self._clock_ns()
            if left_ns <= 0:
                return False
            self._pump(left_ns / 1e9)
        return True

    def _pump(self, timeout_s: float) -> None:
        for arrival in self._link.read(timeout_s):
            self.bytes_read += len(arrival.data)
            events = self._decoder.feed(arrival.data)
            self._heard.take(arrival.data, events)
            self._events += events
            for event in events:
                if isinstance(event, Data):
                    self.last_data_ns = arrival.at_ns
                elif isinstance(event, Response):
                    self._answers = {event.request_id: event}
                elif isinstance(event, Info):
                    self._book.booted(event.boot_id)
                    self._book.add(event)
