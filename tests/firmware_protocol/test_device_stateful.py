"""The reference device under any sequence of commands, conversions, damage, waiting and reading, against a model.

The model is a few lines of SPEC: which status each command gets, what the state is, which conversions were made. Each
frame that comes out is checked against it, and against the counters of all frames before.
"""

from __future__ import annotations

import struct
from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from firmware_protocol import (
    Command,
    Data,
    Decoder,
    DeviceConfig,
    DeviceState,
    Event,
    Fault,
    Flag,
    Frame,
    Heartbeat,
    Info,
    Opcode,
    ReferenceDevice,
    Response,
    Status,
    encode_command,
)
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import CACHE_MS, CACHE_SIZE, MAX_RESPONSE_PAYLOAD

N_CHANNELS = 8
#: Commands that are OK when idle, with arguments and whether they begin a new config_id.
GOOD = [
    (Opcode.SET_RATE, struct.pack("<II", 500, 1), True),
    (Opcode.SET_RATE, struct.pack("<II", 250, 1), True),
    (Opcode.SET_CHANNEL, bytes([0, 12, 0, 1]), True),
    (Opcode.SET_CHANNEL, bytes([255, 24, 5, 0]), True),
    (Opcode.LEAD_OFF, b"\x03", False),
    (Opcode.TEST_SIGNAL, b"\x02\x01", False),
    (Opcode.TEST_PATTERN, b"\x01", False),
    (Opcode.READ_REGISTER, bytes([0, 0, 24]), False),
    (Opcode.WRITE_REGISTER, bytes([0, 5, 0x60]), True),
    (Opcode.IDENTIFY, b"", False),
    (Opcode.RESET_COUNTERS, b"", False),
]
BAD = [
    (0x7F, b"", Status.UNKNOWN_OPCODE),
    (0x00, bytes(100), Status.UNKNOWN_OPCODE),
    (Opcode.IDENTIFY, b"x", Status.BAD_LENGTH),
    (Opcode.START, b"\x01", Status.BAD_LENGTH),
    (Opcode.START, struct.pack("<I", 99), Status.BAD_ARGUMENT),
    (Opcode.SET_CHANNEL, bytes([8, 24, 0, 1]), Status.BAD_ARGUMENT),
    (Opcode.SET_RATE, struct.pack("<II", 250, 0), Status.BAD_ARGUMENT),
    (Opcode.LEAD_OFF, b"\x09", Status.BAD_ARGUMENT),
    (Opcode.READ_REGISTER, bytes([0, 0, MAX_RESPONSE_PAYLOAD + 1]), Status.BAD_ARGUMENT),
]


class DeviceMachine(RuleBasedStateMachine):
    """Rules are what may happen to a device; `_hear` is what must hold of whatever it sends."""

    @initialize(
        wraps=st.booleans(), queue=st.sampled_from([400, 2000, 8192]), frame=st.sampled_from([1, 4, 7])
    )
    def boot(self, wraps: bool, queue: int, frame: int) -> None:
        self.first = 2**32 - 40 if wraps else 0
        config = DeviceConfig(
            labels=tuple(f"E{k}" for k in range(N_CHANNELS)),
            samples_per_frame=frame,
            queue_bytes=queue,
            sample_index=self.first,
            link_seq=65_530 if wraps else 0,
            boot_id=77,
        )
        self.device = ReferenceDevice(config)
        self.decoder = Decoder()
        self.now_us = 2**32 - 100_000 if wraps else 0
        self.link_seq = config.link_seq
        self.state = DeviceState.IDLE
        self.config_id = 0
        self.deadline_us: int | None = None
        self.watchdog_us = 0
        self.made = 0  # conversions
        self.sent = 0  # of them, in DATA that was heard
        self.account_known = True
        self.sound = True
        self.forgotten = 0  # dropped before RESET_COUNTERS, by its own answer
        self.rx_errors = 0
        self.resets: set[int] = set()  # request ids whose answer was heard
        self.next_id = 0
        self.remembered: deque[tuple[int, int, int, bytes, Status]] = deque(maxlen=CACHE_SIZE)
        self.expected: deque[tuple[int, int, Status]] = deque(maxlen=CACHE_SIZE)
        self.described: set[int] = set()  # config_ids whose INFO was heard
        self.next_index: int | None = None

    # ---- what happens ------------------------------------------------------------------------------------------

    def _pass(self, us: int) -> None:
        self.now_us += us
        self._see_watchdog()

    def _see_watchdog(self) -> None:
        if self.deadline_us is not None and self.now_us >= self.deadline_us:
            self.state, self.deadline_us = DeviceState.WATCHDOG, None

    def _send(self, opcode: int, payload: bytes, status: Status, request_id: int | None = None) -> None:
        """A COMMAND that is new or repeated, and the status that the model gives it."""
        self.next_id += 1
        request_id = self.next_id if request_id is None else request_id
        if self.deadline_us is not None:
            self.deadline_us = self.now_us + self.watchdog_us
        self.device.receive(encode_command(Command(0, 0, request_id, opcode, payload)), self.now_us)
        if opcode == Opcode.KEEPALIVE:
            return
        while self.remembered and self.now_us - self.remembered[0][0] >= CACHE_MS * 1000:
            self.remembered.popleft()
        for _, known_id, known_opcode, known_payload, known_status in self.remembered:
            if known_id == request_id:
                same = (known_opcode, known_payload) == (opcode, payload)
                self._expect(request_id, opcode, known_status if same else Status.ID_REUSED)
                return
        self.remembered.append((self.now_us, request_id, opcode, payload, status))
        self._expect(request_id, opcode, status)
        if status == Status.OK:
            self._done(opcode, payload)

    def _expect(self, request_id: int, opcode: int, status: Status) -> None:
        """Of more than eight answers that nobody reads the oldest is lost; with it what RESET_COUNTERS forgot."""
        if len(self.expected) == CACHE_SIZE and self.expected[0][1] == Opcode.RESET_COUNTERS:
            self.account_known = False
        self.expected.append((request_id, opcode, status))

    def _done(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.START:
            (ms,) = struct.unpack("<I", payload) if payload else (5000,)
            self.state = DeviceState.STREAMING
            self.watchdog_us = ms * 1000
            self.deadline_us = self.now_us + self.watchdog_us if ms else None
        elif opcode == Opcode.STOP:
            self.state, self.deadline_us = DeviceState.IDLE, None
        elif opcode == Opcode.RESET_COUNTERS:
            self.rx_errors = 0
        elif any(rescales for known, given, rescales in GOOD if (known, given) == (opcode, payload)):
            self.config_id = (self.config_id + 1) & 0xFF

    @rule(watchdog_ms=st.sampled_from([None, 0, 100, 700, 3_600_000]))
    def start(self, watchdog_ms: int | None) -> None:
        payload = b"" if watchdog_ms is None else struct.pack("<I", watchdog_ms)
        status = Status.BUSY if self.state == DeviceState.STREAMING else Status.OK
        self._send(Opcode.START, payload, status)

    @rule()
    def stop(self) -> None:
        self._send(Opcode.STOP, b"", Status.OK)

    @rule()
    def keepalive(self) -> None:
        self._send(Opcode.KEEPALIVE, b"", Status.OK)

    @rule(which=st.sampled_from(GOOD))
    def good_command(self, which: tuple[Opcode, bytes, bool]) -> None:
        opcode, payload, _ = which
        busy = self.state == DeviceState.STREAMING and not COMMANDS[opcode].while_streaming
        self._send(opcode, payload, Status.BUSY if busy else Status.OK)

    @rule(which=st.sampled_from(BAD))
    def bad_command(self, which: tuple[int, bytes, Status]) -> None:
        opcode, payload, status = which
        known = opcode in frozenset(Opcode) and status != Status.BAD_LENGTH
        if known and self.state == DeviceState.STREAMING and not COMMANDS[Opcode(opcode)].while_streaming:
            status = Status.BUSY
        self._send(opcode, payload, status)

    @precondition(lambda self: self.remembered)
    @rule(place=st.integers(0, CACHE_SIZE - 1), other=st.booleans())
    def repeat(self, place: int, other: bool) -> None:
        """A request_id that was used lately comes again, with the same content or with another."""
        _, request_id, opcode, payload, _ = self.remembered[place % len(self.remembered)]
        if self.now_us - self.remembered[place % len(self.remembered)][0] >= CACHE_MS * 1000:
            return  # forgotten: what it would do now is the business of the other rules
        if other:
            opcode, payload = Opcode.LEAD_OFF, b"\x01"
        self._send(opcode, payload, Status.OK, request_id)

    @rule(
        noise=st.sampled_from(
            [b"\x00half a comm\x00", b"\x00\x05\x18\x00", b"\x00" + b"\x07" * 300 + b"\x00"]
        )
    )
    def damage(self, noise: bytes) -> None:
        self.device.receive(noise, self.now_us)
        self.rx_errors += 1

    @rule(n=st.integers(1, 30))
    def convert(self, n: int) -> None:
        rows = [[k + c for c in range(N_CHANNELS)] for k in range(n)]
        times = [self.now_us + 2000 * (k + 1) for k in range(n)]
        expected = 0
        if self.state == DeviceState.STREAMING:
            expected = n if self.deadline_us is None else sum(t < self.deadline_us for t in times)
        assert self.device.push_samples(rows, times) == expected
        self.made += expected
        if self.state == DeviceState.STREAMING:
            self._pass(2000 * min(expected + 1, n))

    @rule(ms=st.sampled_from([1, 50, 400, 1100]))
    def wait(self, ms: int) -> None:
        self._pass(ms * 1000)

    @rule(room=st.sampled_from([None, 100, 659, 2000]))
    def read(self, room: int | None) -> None:
        wire = self.device.poll(self.now_us, room)
        assert room is None or len(wire) <= room
        self.sound = False
        for event in self.decoder.feed(wire):
            assert not isinstance(event, Fault)
            self._hear(event)
        self.sound = True

    def teardown(self) -> None:
        if getattr(self, "sound", False):  # it runs behind a failure, too, and would hide it
            self.stop()
            self.read(None)
            assert not self.expected
            assert self.device.queued_bytes == 0
            assert self.first + self.made == self.device.next_sample

    # ---- what must hold ----------------------------------------------------------------------------------------

    def _hear(self, frame: Frame) -> None:
        assert frame.link_seq == self.link_seq
        self.link_seq = (self.link_seq + 1) & 0xFFFF
        match frame:
            case Response():
                assert (frame.request_id, frame.opcode, frame.status) == self.expected.popleft()
                if frame.opcode == Opcode.RESET_COUNTERS and frame.status == Status.OK:
                    self._reset_heard(frame)
            case Info():
                self.described.add(frame.config_id)
                assert frame.boot_id == 77
            case Data():
                self._hear_data(frame)
            case Heartbeat():
                account = frame.sample_index - self.first - frame.dropped - self.forgotten
                assert account == self.sent or not self.account_known
                assert frame.boot_id == 77
            case Event():
                assert (frame.source, frame.code) == (3, 2)
            case _:
                raise AssertionError(frame)

    def _reset_heard(self, response: Response) -> None:
        """Its account is that of its place in the stream; the answer to a repetition tells the same once more."""
        if response.request_id not in self.resets:
            self.resets.add(response.request_id)
            self.forgotten += Heartbeat.from_counters(response).dropped

    def _hear_data(self, frame: Data) -> None:
        assert frame.config_id in self.described
        index = self.first + (frame.sample_index - self.first & 0xFFFFFFFF)
        if self.next_index is not None:
            assert (index > self.next_index) == bool(frame.flags & Flag.OVERRUN)
            assert index >= self.next_index
        self.next_index = index + frame.n_samples
        self.sent += frame.n_samples


DeviceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDevice = DeviceMachine.TestCase
