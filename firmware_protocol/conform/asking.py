"""What several steps need: an answer with its status, what INFO says, a stream that is stopped in the end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from firmware_protocol.codes import Opcode, Status
from firmware_protocol.conform.host import Heard, Host, Skip, words
from firmware_protocol.converter import GAINS
from firmware_protocol.describe import name_of
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Data, Heartbeat, Info, Response
from firmware_protocol.layout import COMMANDS
from firmware_protocol.validator.findings import Hit

__all__ = [
    "About",
    "Stream",
    "about",
    "changed",
    "counters",
    "expect",
    "put_back",
    "status_hit",
    "streaming",
    "unchanged",
]

INFO_WAIT_S = 1.0
_WATCHDOG_MS = 4000
_DRAINED_S = 3.0
_ALL = 255  # channels


@dataclass(frozen=True, slots=True)
class About:
    """What IDENTIFY and the INFO pages behind it say."""

    response: Response
    boot_id: int
    state: int
    config_id: int
    n_channels: int
    pages: int
    infos: tuple[Info, ...]

    @property
    def complete(self) -> bool:
        return [info.page for info in self.infos] == list(range(self.pages)) and bool(self.infos)

    @property
    def info(self) -> Info:
        return self.infos[0]

    @property
    def rate(self) -> Fraction:
        return Fraction(self.info.rate_num, self.info.rate_den)

    @property
    def uv_per_count(self) -> tuple[float, ...]:
        return tuple(uv for info in self.infos for uv in info.uv_per_count)

    @property
    def n_converters(self) -> int:
        return -(-self.n_channels // self.info.channels_per_converter)


def about(host: Host, *, whole: bool = True) -> About:
    """Ask the device who it is and collect the INFO that follows.

    Raises
    ------
    NoAnswer
    Skip
        If `whole` and its answer or INFO is not complete: that is for the step `identify` to say.
    """
    response = host.ask(Opcode.IDENTIFY)
    place = host.place(response)
    form = COMMANDS[Opcode.IDENTIFY].result_struct
    if response.status != Status.OK or len(response.payload) != form.size:
        if whole:
            raise Skip("IDENTIFY does not say who the device is", see="identify")
        return About(response, 0, 0, 0, 0, 0, ())
    boot_id, state, config_id, n_channels, pages = form.unpack(response.payload)

    def rounds() -> tuple[Info, ...]:
        found: dict[int, Info] = {}
        for info in host.of(Info, place):
            if info.config_id == config_id:
                found.setdefault(info.page, info)
        return tuple(found[page] for page in sorted(found))

    if len(rounds()) < pages:
        host.listen(INFO_WAIT_S, lambda frame: len(rounds()) >= pages)
    result = About(response, boot_id, state, config_id, n_channels, pages, rounds())
    if whole and not result.complete:
        raise Skip("INFO does not follow IDENTIFY in full", see="identify")
    return result


def status_hit(host: Host, response: Response, *wanted: Status, payload: bytes = b"") -> Iterator[Hit]:
    """A hit if the status is none of those wanted."""
    if response.status not in wanted:
        asked = words(response.opcode, payload)
        got = name_of(Status, response.status)
        expected = " or ".join(status.name for status in wanted)
        text = f"{asked} is answered {got}"
        yield host.hit(text, f"status {response.status}", expected, frame=response, key=asked.split("(")[0])


def expect(
    host: Host, wanted: Status | tuple[Status, ...], opcode: int, *arguments: int, more: bytes = b""
) -> Generator[Hit, None, Response]:
    """Ask, and yield a hit if the status is another one than wanted; the answer is returned."""
    response = host.ask(opcode, *arguments, more=more)
    payload = host.exchanges[-1].command.payload
    wants = wanted if isinstance(wanted, tuple) else (wanted,)
    yield from status_hit(host, response, *wants, payload=payload)
    return response


def unchanged(host: Host, before: About, why: str) -> Iterator[Hit]:
    """A hit if state, configuration or scale are not what they were."""
    after = about(host, whole=False)
    for name in ("state", "config_id", "n_channels"):
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            yield host.hit(
                f"{why}, yet {name} changed", str(now), str(was), frame=after.response, key="changed"
            )
    if before.complete and after.complete:
        for name in ("rate", "uv_per_count"):
            if getattr(before, name) != getattr(after, name):
                yield host.hit(f"{why}, yet {name} of INFO changed", frame=after.info, key="changed")


def counters(host: Host) -> Heartbeat:
    """The device's counters now, by RESET_COUNTERS: `dropped` and `rx_errors` begin anew.

    Raises
    ------
    Skip
        If the device does not tell them.
    """
    response = host.ask(Opcode.RESET_COUNTERS)
    try:
        if response.status == Status.OK:
            return Heartbeat.from_counters(response)
    except FrameError:
        pass
    raise Skip("RESET_COUNTERS does not tell the counters", see="reset-counters")


class Stream:
    """A stream that was started: its first conversion, and what came since."""

    def __init__(self, host: Host, response: Response, place: int) -> None:
        (self.first,) = COMMANDS[Opcode.START].result_struct.unpack(response.payload)
        self.response = response
        self.place = place  # of the answer among what was heard
        self._host = host

    def heard(self) -> list[Heard]:
        return self._host.heard[self.place :]

    def data(self) -> list[Data]:
        """DATA since START."""
        return self._host.of(Data, self.place)

    def number(self, sample_index: int) -> int:
        """All 64 bits of a conversion number of this stream."""
        return int(self.first + (sample_index - self.first & 0xFFFFFFFF))

    def listen_for(self, conversions: int, at_most_s: float) -> list[Data]:
        """DATA since now with at least so many conversions, if they come in time."""
        place = len(self._host.heard)
        got = 0

        def enough(frame: object) -> bool:
            nonlocal got
            got += frame.n_samples if isinstance(frame, Data) else 0
            return got >= conversions

        self._host.listen(at_most_s, enough)
        return self._host.of(Data, place)


@contextmanager
def streaming(host: Host, watchdog_ms: int = _WATCHDOG_MS, *, feed: bool = True) -> Iterator[Stream]:
    """A stream, stopped in the end; `feed`: with a KEEPALIVE four times in `watchdog_ms`.

    Raises
    ------
    Skip
        If the device does not start: that is for the step `start` to say.
    """
    response = host.ask(Opcode.START, watchdog_ms)
    if response.status != Status.OK or len(response.payload) != COMMANDS[Opcode.START].result_struct.size:
        host.ask(Opcode.STOP)
        raise Skip(f"START is answered {name_of(Status, response.status)}", see="start")
    place = host.place(response)
    host.keepalive_s = watchdog_ms / 4000 if feed and watchdog_ms else None
    try:
        yield Stream(host, response, place)
    finally:
        host.keepalive_s = None
        stop(host)


def stop(host: Host) -> None:
    """STOP, and wait for the HEARTBEAT that says that the queue is empty."""
    response = host.ask(Opcode.STOP)
    try:
        end = Heartbeat.from_counters(response).sample_index
    except FrameError:
        return
    host.listen(
        _DRAINED_S,
        lambda frame: isinstance(frame, Heartbeat) and frame.sample_index >= end,
        since=host.place(response),
    )


def changed(
    host: Host, before: About, opcode: int, *arguments: int, more: bytes = b"", unsupported: bool = False
) -> Generator[Hit, None, About | None]:
    """Ask for a change: it has to be done, to raise config_id where SPEC says so, and to be told by INFO.

    What INFO says then is returned; None if the change was refused. `unsupported`: the device may refuse it so.
    """
    wanted = (Status.OK, Status.UNSUPPORTED) if unsupported else (Status.OK,)
    response = yield from expect(host, wanted, opcode, *arguments, more=more)
    asked = host.exchanges[-1].name
    place = host.place(response)
    if response.status != Status.OK:
        return None
    rescales = bool(COMMANDS[Opcode(opcode)].results)
    config_id = (before.config_id + rescales) & 0xFF
    if rescales and response.payload != bytes([config_id]):
        got = response.payload.hex(" ") or "no result"
        yield host.hit(
            f"config_id in the answer to {asked}", got, f"{config_id:02x}", frame=response, key="config_id"
        )
        config_id = response.payload[0] if response.payload else config_id

    def pages() -> dict[int, Info]:
        return {info.page: info for info in host.of(Info, place) if info.config_id == config_id}

    if len(pages()) < before.pages:
        host.listen(INFO_WAIT_S / 2, lambda frame: len(pages()) >= before.pages)
    if len(pages()) < before.pages:
        text = f"INFO of config_id {config_id} did not follow {asked}"
        yield host.hit(text, f"{len(pages())} pages", f"{before.pages} pages", frame=response, key="info")
    return about(host)


def put_back(host: Host, own: About) -> None:
    """Give the device the rate and gains it had in `own`; lead-off, test signals and counters end up off and 0."""
    for opcode, arguments in (
        (Opcode.LEAD_OFF, (0,)),
        (Opcode.TEST_SIGNAL, (0, 1)),
        (Opcode.TEST_PATTERN, (0,)),
    ):
        host.ask(opcode, *arguments)
    if about(host).rate != own.rate:
        host.ask(Opcode.SET_RATE, own.rate.numerator, own.rate.denominator)
    if host.ask(Opcode.SET_CHANNEL, _ALL, GAINS[-1], 0, 1).status == Status.OK:
        unit = about(host).uv_per_count[0] * GAINS[-1]  # µV per count at a gain of 1
        gains = [min(GAINS, key=lambda gain: abs(unit / gain - uv)) for uv in own.uv_per_count]
        most = max(set(gains), key=gains.count)
        host.ask(Opcode.SET_CHANNEL, _ALL, most, 0, 1)
        for channel, gain in enumerate(gains):
            if gain != most:
                host.ask(Opcode.SET_CHANNEL, channel, gain, 0, 1)
    host.ask(Opcode.RESET_COUNTERS)
