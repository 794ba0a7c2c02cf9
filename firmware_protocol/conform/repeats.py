"""FP72x: repeated requests are answered again and done once (SPEC 5.2)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.codes import Opcode, Status
from firmware_protocol.conform.asking import about, status_hit
from firmware_protocol.conform.host import Host, Skip
from firmware_protocol.conform.steps import step
from firmware_protocol.describe import name_of
from firmware_protocol.frames import Response
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import CACHE_MS, CACHE_SIZE
from firmware_protocol.validator.findings import Hit

_ARGUMENTS = (0, 24, 0, 1)  # SET_CHANNEL: channel 0 as at boot; each time it acts config_id grows by 1
_HINT = (
    "Keep the last eight requests (request_id, opcode, arguments) with status and results for 1 s; look there before "
    "you act, and answer from there."
)


def _set_channel(host: Host, request_id: int | None = None) -> Iterator[Hit]:
    response = host.ask(Opcode.SET_CHANNEL, *_ARGUMENTS, request_id=request_id)
    yield from status_hit(host, response, Status.OK, payload=bytes(_ARGUMENTS))


def _first(host: Host) -> Response:
    """A SET_CHANNEL that is done, to be repeated."""
    response = host.ask(Opcode.SET_CHANNEL, *_ARGUMENTS)
    if response.status != Status.OK:
        see = "set-channel" if response.status != Status.UNSUPPORTED else ""
        raise Skip(f"SET_CHANNEL is answered {name_of(Status, response.status)}", see=see)
    return response


def _config_id(host: Host) -> int:
    return about(host).config_id


@step("FP721", "repeat-answered", "5.2", hint=_HINT)
def repeat_answered(host: Host) -> Iterator[Hit]:
    """A COMMAND that comes again is answered again: the same status and results, the t_us of its own receipt."""
    first = _first(host)
    host.listen(0.15)
    again = host.send(Opcode.SET_CHANNEL, *_ARGUMENTS, request_id=first.request_id)
    response = host.answer_to(again, 1.0)
    if response is None:
        yield host.hit("a repeated COMMAND was not answered", "no RESPONSE", "the same answer", key="silent")
        return
    if (response.status, response.payload) != (first.status, first.payload):
        got = f"status {response.status}, results {response.payload.hex(' ') or 'none'}"
        expected = f"status {first.status}, results {first.payload.hex(' ') or 'none'}"
        yield host.hit("a repeated COMMAND is answered otherwise", got, expected, frame=response, key="other")
    if response.t_us <= first.t_us:
        text = "t_us of the second answer is not that of its own COMMAND"
        yield host.hit(text, str(response.t_us), f"above {first.t_us}", frame=response, key="t_us")


@step("FP722", "repeat-done-once", "5.2", hint=_HINT)
def repeat_done_once(host: Host) -> Iterator[Hit]:
    """A COMMAND that comes again is not done again: SET_CHANNEL, sent three times, raises config_id by one."""
    before = _config_id(host)
    first = _first(host)
    for _ in range(2):
        again = host.send(Opcode.SET_CHANNEL, *_ARGUMENTS, request_id=first.request_id)
        host.answer_to(again, 0.3)
    times = (_config_id(host) - before) & 0xFF
    if times != 1:
        text = f"one request, sent three times, was done {times} times"
        yield host.hit(text, f"config_id + {times}", "config_id + 1")


@step("FP723", "id-reused", "5.2", hint=_HINT)
def id_reused(host: Host) -> Iterator[Hit]:
    """A request_id that comes again with other arguments or another opcode is answered ID_REUSED and not done."""
    first = _first(host)
    before = _config_id(host)
    for opcode, arguments in ((Opcode.SET_CHANNEL, (0, 12, 0, 1)), (Opcode.LEAD_OFF, (1,))):
        response = host.ask(opcode, *arguments, request_id=first.request_id)
        payload = COMMANDS[opcode].struct.pack(*arguments)
        yield from status_hit(host, response, Status.ID_REUSED, payload=payload)
    after = about(host)
    if after.config_id != before or after.info.lead_off:
        got = f"config_id {after.config_id}, lead-off {after.info.lead_off}"
        expected = f"config_id {before}, lead-off 0"
        yield host.hit("a refused request was done", got, expected, frame=after.info, key="done")
        host.ask(Opcode.LEAD_OFF, 0)
    again = host.ask(Opcode.SET_CHANNEL, *_ARGUMENTS, request_id=first.request_id)
    yield from status_hit(host, again, Status.OK, payload=bytes(_ARGUMENTS))


@step("FP724", "remembers-eight", "5.2", hint=_HINT)
def remembers_eight(host: Host) -> Iterator[Hit]:
    """The last eight requests are remembered: after seven others the first one is still not done again."""
    _first(host)
    host.listen(CACHE_MS / 1000 + 0.2)  # until everything before is forgotten
    before = _config_id(host)
    host.listen(CACHE_MS / 1000 + 0.2)
    commands = [host.command(Opcode.SET_CHANNEL, *_ARGUMENTS) for _ in range(CACHE_SIZE)]
    exchanges = host.send_all(commands)
    host.listen(0.5, lambda frame: all(exchange.answers for exchange in exchanges))
    if not all(exchange.answers and exchange.answers[0][0].status == Status.OK for exchange in exchanges):
        raise Skip("eight COMMANDs in a row were not all answered OK in time")
    again = host.send(Opcode.SET_CHANNEL, *_ARGUMENTS, request_id=commands[0].request_id)
    if host.answer_to(again, 0.3) is None:
        raise Skip("the repeated COMMAND was not answered", see="repeat-answered")
    if host.now_s - exchanges[0].sent_s > 0.9 * CACHE_MS / 1000:
        raise Skip("the line is too slow: eight COMMANDs take more than a second")
    times = (_config_id(host) - before) & 0xFF
    if times != CACHE_SIZE:
        text = f"the oldest of {CACHE_SIZE} requests was done again: the device remembers fewer"
        yield host.hit(text, f"config_id + {times}", f"config_id + {CACHE_SIZE}")


@step(
    "FP725",
    "forgets-after-a-second",
    "5.2",
    hint="Forget a request 1 s after it came, and answer anew after that.",
)
def forgets_after_a_second(host: Host) -> Iterator[Hit]:
    """A request is forgotten after 1 s: the same COMMAND then is a new one, and other content is not ID_REUSED."""
    first = _first(host)
    before = _config_id(host)
    host.listen(CACHE_MS / 1000 + 0.4)
    yield from _set_channel(host, first.request_id)
    times = (_config_id(host) - before) & 0xFF
    if times != 1:
        text = "a request that came again after 1.4 s was taken for a repetition"
        yield host.hit(text, f"config_id + {times}", "config_id + 1", key="same")
    host.listen(CACHE_MS / 1000 + 0.4)
    other = host.ask(Opcode.TEST_PATTERN, 0, request_id=first.request_id)
    yield from status_hit(host, other, Status.OK, payload=b"\x00")


@step(
    "FP726",
    "keepalive-silent",
    "5.2",
    hint="KEEPALIVE feeds the watchdog and does nothing else: no RESPONSE, no place in the cache.",
)
def keepalive_silent(host: Host) -> Iterator[Hit]:
    """KEEPALIVE is never answered and not remembered: its request_id is free for the next COMMAND."""
    place = len(host.heard)
    keepalive = host.command(Opcode.KEEPALIVE)
    for _ in range(3):
        host.send_all([keepalive])
    host.listen(0.4)
    if answered := [frame for frame in host.of(Response, place) if frame.opcode == Opcode.KEEPALIVE]:
        text = "KEEPALIVE was answered"
        yield host.hit(text, f"{len(answered)} RESPONSEs", "none", frame=answered[0], key="answered")
        host.strays = [frame for frame in host.strays if frame.opcode != Opcode.KEEPALIVE]
    yield from expect_id(host, keepalive.request_id)


def expect_id(host: Host, request_id: int) -> Iterator[Hit]:
    """IDENTIFY with an id that KEEPALIVE used."""
    response = host.ask(Opcode.IDENTIFY, request_id=request_id)
    if response.status == Status.ID_REUSED:
        text = "KEEPALIVE was remembered as a request"
        yield host.hit(text, "ID_REUSED", "OK", frame=response, key="remembered")
    else:
        yield from status_hit(host, response, Status.OK)
