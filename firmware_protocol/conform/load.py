"""FP78x: what holds when much is asked, much is sent, and for long (SPEC 5.2, 6.3, 6.4)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol._budget import budget
from firmware_protocol.codes import EventCode, EventSource, Opcode, Status
from firmware_protocol.conform.asking import Stream, about, counters, expect, streaming
from firmware_protocol.conform.host import TIMEOUT_S, Exchange, Host, NoAnswer, Skip
from firmware_protocol.conform.settings import RATES
from firmware_protocol.conform.steps import step
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Event, Frame, Heartbeat, Response
from firmware_protocol.limits import CACHE_SIZE, MAX_CODED, MAX_RESPONSE
from firmware_protocol.validator.findings import Hit

_FIRST_DATA_S = 2.0
_ASK_EACH_S = 5.0
_STANDS_S = 2.0
#: What an overload brings with it by intention: conversions dropped, flagged, and a full link.
PROVOKED = frozenset({"FP301", "FP305", "FP308", "FP403", "FP501", "FP505", "FP509", "FP511", "FP9"})


def _flood(host: Host, n: int) -> list[Exchange]:
    """`n` COMMANDs of several kinds back to back, none of which makes the device send more than its answer."""
    commands = []
    for k in range(n):
        opcode, arguments = ((Opcode.READ_REGISTER, (0, 0, 1)), (0x7F, ()), (Opcode.KEEPALIVE, ()))[k % 3]
        commands.append(host.command(opcode, *arguments))
    return [x for x in host.send_all(commands) if x.command.opcode != Opcode.KEEPALIVE]


def _hears_on(host: Host, what: str) -> Iterator[Hit]:
    try:
        yield from expect(host, Status.OK, Opcode.IDENTIFY)
    except NoAnswer as none:
        text = f"after {what} the device does not answer"
        yield host.hit(text, f"no RESPONSE for {none.waited_s:.1f} s", "a RESPONSE within 250 ms", key="deaf")


def _wrong_answers(host: Host, exchanges: list[Exchange]) -> Iterator[Hit]:
    for exchange in exchanges:
        for response, _ in exchange.answers:
            wanted = {0x7F: (Status.UNKNOWN_OPCODE,)}.get(
                exchange.command.opcode, (Status.OK, Status.UNSUPPORTED)
            )
            if response.status not in wanted:
                text = f"{exchange.name}, one of many, is answered with status {response.status}"
                yield host.hit(text, str(response.status), wanted[0].name, frame=response, key="status")
                return


@step(
    "FP781",
    "flood",
    "5.2",
    hint="Receive by interrupt or DMA into a ring; what finds no room is counted as damage.",
)
def flood(host: Host) -> Iterator[Hit]:
    """Ninety COMMANDs back to back: each answer is right (there may be fewer), and the device hears on."""
    late = host.late[:]
    exchanges = _flood(host, 90)
    host.quiet(0.3, 5.0)
    answered = sum(bool(exchange.answers) for exchange in exchanges)
    yield from _wrong_answers(host, exchanges)
    if not answered:
        yield host.hit("none of many COMMANDs was answered", "0", f"some of {len(exchanges)}", key="none")
    host.late = late  # of so many at once an answer may come late
    yield from _hears_on(host, "a flood of COMMANDs")


@step(
    "FP782",
    "flood-while-streaming",
    "5.2",
    hint="The data-ready interrupt has the highest priority; the command parser runs in what time is left.",
)
def flood_while_streaming(host: Host) -> Iterator[Hit]:
    """COMMANDs back to back and noise while streaming cost no conversion, and the stream goes on."""
    with streaming(host) as stream:
        stream.listen_for(1, _FIRST_DATA_S)
        counters(host)
        damage, late = host.damage, host.late[:]
        for _ in range(1 if host.plan.quick else 4):
            exchanges = _flood(host, 24)
            host.write(b"\x00" + bytes(host.rng.randrange(256) for _ in range(300)) + b"\x00")
            host.quiet(0.2, 3.0)
            yield from _wrong_answers(host, exchanges)
        host.late = late
        yield from _hears_on(host, "COMMANDs and noise while streaming")
        told = counters(host)
        if told.dropped and host.damage == damage:
            yield host.hit(
                "conversions dropped under COMMANDs and noise", str(told.dropped), "0", key="dropped"
            )
        if not stream.listen_for(1, _FIRST_DATA_S):
            yield host.hit("no DATA after COMMANDs and noise", "none", "the stream goes on", key="none")


@step(
    "FP783",
    "responses-first",
    "6.3",
    hint="Keep two queues to the UART: RESPONSEs, and all the rest; take from the first as long as it holds something.",
)
def responses_first(host: Host) -> Iterator[Hit]:
    """RESPONSEs go ahead of all that waits: after many IDENTIFYs, while their INFO waits, an answer is quick.

    Each IDENTIFY queues all pages of INFO. An answer may wait for the packet that is being sent and for other answers.
    """
    now = about(host)
    byte_s = 10 / host.plan.baud
    info_s = now.pages * (76 + 24 * now.n_channels / now.pages + 3) * byte_s
    allowed_s = (MAX_CODED + CACHE_SIZE * MAX_RESPONSE) * byte_s + 0.06
    bursts = 4
    if info_s * bursts * (CACHE_SIZE - 1) < 1.5 * allowed_s:
        raise Skip(f"at {host.plan.baud} baud INFO leaves so quickly that nothing ever waits")
    late = host.late[:]
    exchanges: list[Exchange] = []
    for _ in range(bursts):
        exchanges += host.send_all([host.command(Opcode.IDENTIFY) for _ in range(CACHE_SIZE - 1)])
        host.listen(0.05)
    last = host.send(Opcode.READ_REGISTER, 0, 0, 1)
    response = host.answer_to(last, 5.0)
    host.listen(bursts * CACHE_SIZE * info_s + 0.3)
    host.late = late  # what is late here is told here
    if response is None:
        yield host.hit(
            "an answer behind many IDENTIFYs did not come", "no RESPONSE for 5 s", "one", key="none"
        )
        return
    excess_s = last.answers[0][1] - response.t_us / 1e6 - host.transit_s - last.held_s
    if excess_s > allowed_s:
        text = "a RESPONSE waited behind INFO that was queued before it"
        got, expected = (
            f"{excess_s * 1000:.0f} ms",
            f"at most {allowed_s * 1000:.0f} ms at {host.plan.baud} baud",
        )
        yield host.hit(text, got, expected, frame=response, key="behind")


@step(
    "FP784",
    "soak",
    "6.4",
    hint="See the findings about packets of the same time. What grows slowly shows here: queues, counters, clocks.",
)
def soak(host: Host) -> Iterator[Hit]:
    """A long stream, with KEEPALIVE and other COMMANDs: it never stands still, and its account closes to the end.

    A device whose signal ends (EVENT RUN_END) is stopped and started again.
    """
    if not host.plan.soak_s:
        raise Skip("--soak 0")
    end_s = host.now_s + host.plan.soak_s
    while host.now_s < end_s:
        counters(host)
        host.heard.clear()
        with streaming(host) as stream:
            yield from _stream_until(host, stream, end_s)


def _stream_until(host: Host, stream: Stream, end_s: float) -> Iterator[Hit]:
    """A part of the soak: until its end, or that of a run."""
    damage = host.damage
    start = host.conversions - sum(frame.n_samples for frame in stream.data())
    began_s = last_s = host.now_s
    ask_s = began_s + _ASK_EACH_S
    beats = 0
    while host.now_s < end_s:
        before = host.conversions
        run_end = host.listen(min(1.0, end_s - host.now_s), _is_run_end, since=stream.place + 1)
        beats += len(host.of(Heartbeat, stream.place))
        del host.heard[stream.place + 1 :]  # the answer to START stays; ten minutes of DATA need not
        if run_end is not None:
            break
        if host.conversions > before:
            last_s = host.now_s
        elif host.now_s - last_s > _STANDS_S:
            text = f"the stream stands still after {last_s - began_s:.0f} s"
            yield host.hit(text, f"no DATA for {_STANDS_S:g} s", "DATA", key="still")
            break
        if host.now_s >= ask_s:
            ask_s += _ASK_EACH_S
            yield from expect(host, Status.OK, Opcode.IDENTIFY)
    response = yield from expect(host, Status.OK, Opcode.STOP)
    host.drain(0.1)
    beats += len(host.of(Heartbeat, stream.place))
    try:
        told = Heartbeat.from_counters(response)
    except FrameError:
        return
    received = host.conversions - start
    made = told.sample_index - stream.first
    lost = made - told.dropped - received
    if lost and host.damage == damage:
        text = f"of {made} conversions {lost} neither came nor were dropped"
        got = f"{received} received, {told.dropped} dropped"
        yield host.hit(text, got, "all", frame=response, key="account")
    elif lost:
        packets = host.damage - damage
        text = f"conversions lost on the link, {packets} packets missing or damaged"
        yield host.hit(text, str(lost), "0", frame=response, key="link")
    if told.dropped:
        yield host.hit(
            "conversions dropped by the device", str(told.dropped), "0", frame=response, key="dropped"
        )
    if not beats and host.now_s - began_s > 2.0:
        yield host.hit("no HEARTBEAT while streaming", "none", "once a second", frame=response, key="beat")


def _is_run_end(frame: Frame) -> bool:
    return isinstance(frame, Event) and (frame.source, frame.code) == (EventSource.DEVICE, EventCode.RUN_END)


@step(
    "FP785",
    "overload",
    "6.4",
    hint="A conversion that finds no room is dropped with its DATA, counted in `dropped` and sample_index; the "
    "next DATA carries b0. RESPONSEs pass the full queue.",
)
def overload(host: Host) -> Iterator[Hit]:
    """At a rate above what the link carries the account still closes exactly, and answers still come within 250 ms.

    Taken is the highest rate that the device accepts, if the link cannot carry it.
    """
    if not host.plan.overload:
        raise Skip("--no-overload")
    own = about(host)
    for rate in sorted(RATES, reverse=True):
        response = host.ask(Opcode.SET_RATE, rate.numerator, rate.denominator)
        if response.status == Status.OK:
            break
    now = about(host)
    info = now.info
    try:
        try:
            load = budget(
                now.n_channels, now.rate, host.plan.baud, info.n_samples, has_status=info.has_status,
                channels_per_converter=info.channels_per_converter,
            ).load  # fmt: skip
        except FrameError as err:
            raise Skip(f"no DATA can be as IDENTIFY and INFO say: {err}", see="identify") from err
        if load < 1.1:
            raise Skip(f"no rate of this device fills {host.plan.baud} baud: {now.rate} Hz are {load:.0%}")
        host.listen_apart(PROVOKED)
        counters(host)
        yield from _overloaded(host)
    finally:
        host.ask(Opcode.SET_RATE, own.rate.numerator, own.rate.denominator)


def _overloaded(host: Host) -> Iterator[Hit]:
    damage = host.damage
    with streaming(host) as stream:
        host.listen(2.0)
        for _ in range(4):
            exchange = host.send(Opcode.READ_REGISTER, 0, 0, 1)
            response = host.answer_to(exchange, 3.0)
            if response is None:
                yield host.hit(
                    "no answer at a rate above the link's", "none for 3 s", "within 250 ms", key="none"
                )
                return
            latency_s = exchange.answers[0][1] - exchange.sent_s - exchange.held_s
            if latency_s > TIMEOUT_S:
                text = "a RESPONSE waited behind DATA that was queued before it"
                got = f"{latency_s * 1000:.0f} ms"
                yield host.hit(text, got, "at most 250 ms", frame=response, key="behind")
                host.late = [late for late in host.late if late[0] is not exchange]
                break
            host.listen(0.2)
        stopped = yield from expect(host, Status.OK, Opcode.STOP)
        host.listen(
            5.0,
            lambda frame: isinstance(frame, Heartbeat) and _is_behind_stop(frame, stopped),
            since=host.place(stopped),
        )
        host.listen(0.2)
        try:
            told = Heartbeat.from_counters(stopped)
        except FrameError:
            return
        received = sum(frame.n_samples for frame in stream.data())
        made = told.sample_index - stream.first
        if made != received + told.dropped and host.damage == damage:
            text = f"of {made} conversions at a rate above the link's"
            got = f"{received} received, {told.dropped} dropped"
            yield host.hit(text, got, f"{made} together", frame=stopped, key="account")


def _is_behind_stop(beat: Heartbeat, stopped: Response) -> bool:
    """Whether a HEARTBEAT counts all conversions that the answer to STOP told of."""
    try:
        return beat.sample_index >= Heartbeat.from_counters(stopped).sample_index
    except FrameError:
        return True
