"""The host's side of the test: it sends, listens and remembers, and lets the passive rules hear all of it.

A step asks (`ask`), sends what no host should (`write`), listens (`listen`) and looks at what came (`heard`). Time
is the line's, so a device in memory is tested in no time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from firmware_protocol.codec import Decoder, encode_command
from firmware_protocol.codes import FaultKind, Opcode
from firmware_protocol.conform.line import Line, PortLine
from firmware_protocol.describe import name_of
from firmware_protocol.frames import Command, Data, Fault, Frame, Heartbeat, Info, Response
from firmware_protocol.host import Arrivals, Sent
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import COMMAND_TRIES, RESPONSE_TIMEOUT_MS
from firmware_protocol.validator.checker import Checker
from firmware_protocol.validator.findings import Hit
from firmware_protocol.validator.report import Selection
from firmware_protocol.validator.wire import WireTail

__all__ = ["Exchange", "Heard", "Host", "NoAnswer", "Plan", "Skip", "words"]

F = TypeVar("F", bound=Frame)
TIMEOUT_S = RESPONSE_TIMEOUT_MS / 1000
_PATIENCE_S = 1.0  # for a first answer: a late one is told from none
_TICK_S = 0.05
_KEPT_EXCHANGES = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """How thoroughly to test, and over what."""

    baud: int = 115_200
    soak_s: float = 600.0
    quick: bool = False
    reboot_s: float = 0.0  # how long to wait for somebody to reset the device; 0: do not
    seed: int | None = None
    overload: bool = True
    selection: Selection = field(default_factory=Selection)  # of rules


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet of the device, when the host had it, and its number on the wire."""

    frame: Frame
    at_s: float
    packet: int


@dataclass(slots=True)
class Exchange:
    """A COMMAND and what came back."""

    command: Command
    sent_s: float
    sent_held_s: float = 0.0  # how long this program had been held up by then
    held_s: float = 0.0  # for how long of that the first answer may have been here: no time of the device
    answers: list[tuple[Response, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return words(self.command.opcode, self.command.payload)


class NoAnswer(Exception):
    """The device does not answer a COMMAND that has to be answered."""

    def __init__(self, exchange: Exchange, waited_s: float) -> None:
        super().__init__(f"{exchange.name} was not answered")
        self.exchange = exchange
        self.waited_s = waited_s


class Skip(Exception):
    """A step does not apply to this device or line; its text says why.

    `see`: the step that has failed for the same reason; if it has not, this one does.
    """

    def __init__(self, why: str, *, see: str = "") -> None:
        super().__init__(why)
        self.see = see


class Host:
    """One conversation with a device.

    Parameters
    ----------
    line : Line
    plan : Plan
    """

    def __init__(self, line: Line, plan: Plan) -> None:
        self.plan = plan
        self.line = line
        self.rng = random.Random(plan.seed)
        self.heard: list[Heard] = []  # of the present step
        self.keepalive_s: float | None = None  # a KEEPALIVE this often while listening
        # What the suite's own rules look at in the end.
        self.exchanges: list[Exchange] = []
        self.latencies_s: list[float] = []
        self.late: list[tuple[Exchange, float, Response]] = []
        self.twice: list[tuple[Response, Exchange]] = []
        self.strays: list[Response] = []
        self.boots: list[tuple[int, Frame]] = []  # each new boot_id, with the frame that told it
        self.frames = 0
        self.conversions = 0  # received
        self.damage = 0  # faults and packets missing
        self.transit_s = float("inf")  # least of host time minus device time of an answer, plus anything
        self.size = 0  # bytes heard
        self.packet = 0
        self.checkers = [self._checker(frozenset())]
        self._decoder = Decoder()
        self._sent_seq = self.rng.randrange(1 << 16)
        self._next_id = self.rng.randrange(1 << 16)
        self._asked: dict[int, Exchange] = {}
        self._last_seq: int | None = None
        self._keepalive_due_s = 0.0
        self._wire = WireTail()
        self._held_s = (self.held_up_s,) * 3  # at the end of the last three reads
        self.on_idle: Callable[[], None] = lambda: None  # called now and then while time passes

    def _checker(self, ignore: frozenset[str]) -> Checker:
        # The suite sends damage on purpose, so what the device counts of it is no remark. FP791 judges late answers.
        chosen = self.plan.selection
        silent = (*chosen.ignore, "FP506", "FP509", *sorted(ignore))
        return Checker(selection=replace(chosen, ignore=silent, max_errors=0), baud=self.plan.baud)

    def begin(self) -> None:
        """Forget what came so far: opening the port may have reset the board, and its boot loader may have talked."""
        self.checkers.clear()
        self.listen_apart(frozenset())
        self.boots.clear()
        self.heard.clear()

    def listen_apart(self, ignore: frozenset[str]) -> None:
        """From here on the passive rules begin anew, some of them silent: what follows is provoked."""
        self.checkers.append(self._checker(ignore))
        self._decoder = Decoder()
        self.size = 0
        self.packet = 0
        self._wire = WireTail()
        self._last_seq = None

    # ---- time and bytes --------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return self.line.now_s()

    @property
    def held_up_s(self) -> float:
        """How long other programs kept this one from running, in all: a device in memory waits meanwhile."""
        return self.line.held_up_s() if isinstance(self.line, PortLine) else 0.0

    def write(self, data: bytes) -> None:
        """Bytes of any kind to the device."""
        self.checkers[-1].sent(Sent(int(self.now_s * 1e9), data))
        self.line.write(data)

    def listen(
        self, seconds: float, until: Callable[[Frame], bool] | None = None, *, since: int | None = None
    ) -> Heard | None:
        """Listen for `seconds`, or up to the first packet that `until` is true of, which is returned.

        `since`: packets from this place of `heard` on are looked at too.
        """
        end_s = self.now_s + seconds
        seen = len(self.heard) if since is None else since
        while True:
            if until is not None:
                for heard in self.heard[seen:]:
                    if until(heard.frame):
                        return heard
                seen = len(self.heard)
            now_s = self.now_s
            if self.keepalive_s is not None and now_s >= self._keepalive_due_s:
                self._keepalive_due_s = now_s + self.keepalive_s
                self.send(Opcode.KEEPALIVE)
            if now_s >= end_s:
                return None
            self._hear(max(0.0, min(_TICK_S, end_s - now_s)))

    def quiet(self, seconds: float, at_most_s: float) -> None:
        """Listen until nothing but INFO, HEARTBEAT and DATA came for `seconds`."""
        end_s = self.now_s + at_most_s
        while self.now_s < end_s and self.listen(seconds, lambda f: isinstance(f, Response)):
            pass

    def drain(self, seconds: float, at_most_s: float = 3.0) -> None:
        """Listen until nothing at all came for `seconds`: what the device had queued is here."""
        end_s = self.now_s + at_most_s
        silent_s = self.now_s
        while (now_s := self.now_s) < end_s and now_s - silent_s < seconds:
            size = self.size
            self._hear(min(_TICK_S, seconds))
            if self.size != size:
                silent_s = self.now_s

    def _hear(self, timeout_s: float) -> None:
        data = self.line.read(timeout_s)
        # What is read now may have come since the read before it gave up, and that may have been held up, too.
        self._held_s = (*self._held_s[1:], self.held_up_s)
        self.on_idle()
        if not data:
            return
        now_s = self.now_s
        checker = self.checkers[-1]
        checker.arrived(Arrivals(((self.size, int(now_s * 1e9)),)))
        checker.feed(data)
        self._wire.add(data)
        self.size += len(data)
        for event in self._decoder.feed(data):
            if isinstance(event, Fault):
                self.damage += event.kind != FaultKind.MISSING_DELIMITER
                self.packet += event.length > 0
            else:
                self._take(event, now_s)
        self._wire.trim()

    def _take(self, frame: Frame, now_s: float) -> None:
        self.packet += 1
        self.frames += 1
        self.heard.append(Heard(frame, now_s, self.packet))
        if self._last_seq is not None and (frame.link_seq - self._last_seq) & 0xFFFF != 1:
            self.damage += 1
        self._last_seq = frame.link_seq
        match frame:
            case Data():
                self.conversions += frame.n_samples
            case Response():
                self._answered(frame, now_s)
            case Info() | Heartbeat():
                if not self.boots or self.boots[-1][0] != frame.boot_id:
                    self.boots.append((frame.boot_id, frame))

    def _answered(self, response: Response, now_s: float) -> None:
        exchange = self._asked.get(response.request_id)
        if exchange is None:
            self.strays.append(response)
            return
        if exchange.answers:
            self.twice.append((response, exchange))
        else:
            exchange.held_s = self._held_s[2] - max(self._held_s[0], exchange.sent_held_s)
            latency_s = now_s - exchange.sent_s - exchange.held_s
            self.latencies_s.append(latency_s)
            self.transit_s = min(self.transit_s, now_s - response.t_us / 1e6)
            if latency_s > TIMEOUT_S:
                self.late.append((exchange, latency_s, response))
        exchange.answers.append((response, now_s))

    # ---- commands --------------------------------------------------------------------------------------------

    def command(
        self, opcode: int, *arguments: int, more: bytes = b"", request_id: int | None = None
    ) -> Command:
        """A COMMAND with the next request id (or `request_id`); arguments of an opcode that has none go in `more`."""
        payload = more
        if arguments:
            payload = COMMANDS[Opcode(opcode)].struct.pack(*arguments) + more
        if request_id is None:
            request_id = self._next_id
            self._next_id = (self._next_id + 1) & 0xFFFF
        self._sent_seq = (self._sent_seq + 1) & 0xFFFF
        return Command(self._sent_seq, 0, request_id, opcode, payload)

    def send(
        self, opcode: int, *arguments: int, more: bytes = b"", request_id: int | None = None
    ) -> Exchange:
        """Send a COMMAND and do not wait."""
        return self.send_all([self.command(opcode, *arguments, more=more, request_id=request_id)])[0]

    def send_all(self, commands: list[Command]) -> list[Exchange]:
        """Send COMMANDs back to back."""
        exchanges = [self.track(command) for command in commands]
        self.write(b"".join(map(encode_command, commands)))
        for exchange in exchanges:  # a program that is held up has not sent them yet
            exchange.sent_s, exchange.sent_held_s = self.now_s, self.held_up_s
        return exchanges

    def track(self, command: Command) -> Exchange:
        """Look out for the answer to a COMMAND that is on its way from now on."""
        exchange = Exchange(command, self.now_s, self.held_up_s)
        if command.opcode != Opcode.KEEPALIVE:
            self._asked[command.request_id] = exchange
            self.exchanges.append(exchange)
            del self.exchanges[:-_KEPT_EXCHANGES]
        if len(self._asked) > 2 * _KEPT_EXCHANGES:
            for request_id in list(self._asked)[:_KEPT_EXCHANGES]:
                del self._asked[request_id]
        return exchange

    def ask(self, opcode: int, *arguments: int, more: bytes = b"", request_id: int | None = None) -> Response:
        """The answer to a COMMAND, sent again with the same request id if none comes.

        Raises
        ------
        NoAnswer
            If none of the tries is answered.
        """
        exchange = self.send(opcode, *arguments, more=more, request_id=request_id)
        waited_s = 0.0
        for number in range(COMMAND_TRIES):
            if number:
                self.write(encode_command(exchange.command))
            patience_s = _PATIENCE_S if not number else TIMEOUT_S
            if (answer := self.answer_to(exchange, patience_s)) is not None:
                return answer
            waited_s += patience_s
        raise NoAnswer(exchange, waited_s)

    def answer_to(self, exchange: Exchange, seconds: float) -> Response | None:
        """The first answer to what was sent, if it comes in time."""
        if not exchange.answers:
            self.listen(seconds, lambda frame: bool(exchange.answers))
        return exchange.answers[0][0] if exchange.answers else None

    # ---- what was heard --------------------------------------------------------------------------------------

    def of(self, kind: type[F], since: int = 0) -> list[F]:
        """Frames of a kind heard in this step, from place `since` of `heard` on."""
        return [heard.frame for heard in self.heard[since:] if isinstance(heard.frame, kind)]

    def span(self, frame: Frame | None) -> tuple[int, int]:
        """Wire bytes of a packet; the newest byte without one."""
        if frame is None or frame.offset < 0:
            return max(self.size - 1, 0), max(self.size, 1)
        coded = self._wire.stretch(frame.offset)
        return frame.offset, frame.offset + max(len(coded), 1)

    def place(self, frame: Frame) -> int:
        """Of a packet among those heard in this step."""
        return next((k for k, heard in enumerate(self.heard) if heard.frame is frame), 0)

    def hit(
        self, text: str, got: str = "", expected: str = "", *, frame: Frame | None = None, key: str = ""
    ) -> Hit:
        """What a step yields: something that the device should not have done, shown by `frame`."""
        number = next((heard.packet for heard in self.heard if heard.frame is frame), None)
        t_us = getattr(frame, "t_us", None)
        return Hit(self.span(frame), text, got, expected, key, None if t_us is None else t_us, number)

    def window(self, span: tuple[int, int]) -> tuple[int, bytes]:
        """Wire bytes around a place, as far as they are still there: where they begin, and they."""
        start = max(span[0] - 8, self._wire.start)
        return start, self._wire.part(start, max(start + 32, min(span[1], start + 64)))


def words(opcode: int, payload: bytes = b"") -> str:
    """A COMMAND in words: its name and its arguments."""
    name = name_of(Opcode, opcode) if opcode in frozenset(Opcode) else f"opcode 0x{opcode:02X}"
    if not payload:
        return name
    form = COMMANDS.get(Opcode(opcode)) if opcode in frozenset(Opcode) else None
    if (
        form is None
        or len(payload) < form.struct.size
        or (len(payload) > form.struct.size) != bool(form.more_arguments)
    ):
        shown = payload[:8].hex(" ") + (" …" if len(payload) > 8 else "")
        return f"{name} with {len(payload)} bytes ({shown})"
    arguments = [str(value) for value in form.struct.unpack_from(payload)]
    rest = payload[form.struct.size :].hex(" ")
    return f"{name}({', '.join([*arguments, *([rest] if rest else [])])})"
