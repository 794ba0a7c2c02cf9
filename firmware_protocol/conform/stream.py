"""FP76x: START, STOP and what stands between them: order, counters, commands that cost nothing (SPEC 5.3, 6.1–6.4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from firmware_protocol.codes import DeviceState, Flag, Opcode, Pattern, Status, TestSignal
from firmware_protocol.conform.asking import (
    Stream,
    about,
    counters,
    expect,
    streaming,
    unchanged,
)
from firmware_protocol.conform.host import Host, Skip
from firmware_protocol.conform.steps import step
from firmware_protocol.errors import FrameError
from firmware_protocol.frames import Data, Frame, Heartbeat, Info, Response
from firmware_protocol.layout import COMMANDS
from firmware_protocol.validator.findings import Hit

_FIRST_DATA_S = 2.0
_STOPPED_S = 0.5  # for what is queued, and the HEARTBEAT behind it


@step(
    "FP761",
    "start",
    "5.3",
    hint="Answer with the number of the conversion that comes first, send INFO (state 1), then DATA from that number "
    "on with b1 in the first.",
)
def start(host: Host) -> Iterator[Hit]:
    """START is answered with the first conversion's number; INFO comes before DATA; b1 is in the first DATA only."""
    before = about(host)
    response = yield from expect(host, Status.OK, Opcode.START, 5000)
    size = COMMANDS[Opcode.START].result_struct.size
    if response.status != Status.OK or len(response.payload) != size:
        if response.status == Status.OK:
            got = f"{len(response.payload)} bytes"
            yield host.hit("results of START", got, f"{size} bytes", frame=response, key="length")
        host.ask(Opcode.STOP)
        return
    place = host.place(response)
    host.keepalive_s = 1.0
    stream = Stream(host, response, place)
    host.listen(_FIRST_DATA_S, lambda frame: isinstance(frame, Data))
    host.listen(0.3)
    data = stream.data()
    if not data:
        yield host.hit(
            f"no DATA within {_FIRST_DATA_S:g} s of START", "none", "DATA", frame=response, key="none"
        )
    else:
        yield from _begins_well(host, stream, data, before.pages)
    host.keepalive_s = None
    yield from expect(host, Status.OK, Opcode.STOP)


def _begins_well(host: Host, stream: Stream, data: list[Data], pages: int) -> Iterator[Hit]:
    first = data[0]
    if stream.number(first.sample_index) != stream.first:
        text = "the first DATA is not the conversion that START answered"
        yield host.hit(
            text, str(first.sample_index), str(stream.first & 0xFFFFFFFF), frame=first, key="first"
        )
    if not first.flags & Flag.FIRST:
        yield host.hit("b1 of the first DATA after START", "0", "1", frame=first, key="b1")
    if again := [frame for frame in data[1:] if frame.flags & Flag.FIRST]:
        yield host.hit("b1 of a later DATA", "1", "0", frame=again[0], key="b1 again")
    frames = [heard.frame for heard in stream.heard()]
    told = [frame for frame in frames[: frames.index(first)] if isinstance(frame, Info)]
    if len({info.page for info in told if info.config_id == first.config_id}) < pages:
        text = "INFO pages between START and the first DATA"
        yield host.hit(text, str(len(told)), str(pages), frame=first, key="info")
    elif told[-1].state != DeviceState.STREAMING:
        got = str(told[-1].state)
        yield host.hit("state of INFO after START", got, "1, streaming", frame=told[-1], key="state")


@step("FP762", "start-twice", "6.1", hint="While streaming answer START with BUSY (4) and touch nothing.")
def start_twice(host: Host) -> Iterator[Hit]:
    """START while streaming is answered BUSY; the stream goes on, its counters do not begin anew, b1 is not set."""
    with streaming(host) as stream:
        before = stream.listen_for(1, _FIRST_DATA_S)
        yield from expect(host, Status.BUSY, Opcode.START, 5000)
        after = stream.listen_for(2 * (before[0].n_samples if before else 1) + 1, _FIRST_DATA_S)
        if not after:
            yield host.hit("no DATA after a second START", "none", "the stream goes on", key="none")
        for frame in after:
            if frame.flags & Flag.FIRST:
                yield host.hit("b1 of DATA after a second START", "1", "0", frame=frame, key="b1")
        data = stream.data()
        for a, b in pairwise(data):
            ahead = (b.sample_index - a.sample_index - a.n_samples) & 0xFFFFFFFF
            if ahead:
                text = "sample_index does not go on after a second START"
                expected = str((a.sample_index + a.n_samples) & 0xFFFFFFFF)
                yield host.hit(text, str(b.sample_index), expected, frame=b, key="restarts")
                break


@step(
    "FP763",
    "busy",
    "5.3",
    hint="Look at the state right after opcode and length, before arguments.",
)
def busy(host: Host) -> Iterator[Hit]:
    """SET_RATE and WRITE_REGISTER while streaming are answered BUSY, whatever their arguments, and change nothing."""
    now = about(host)
    rate = now.rate
    with streaming(host) as stream:
        stream.listen_for(1, _FIRST_DATA_S)
        streamed = about(host)
        other = rate * 2
        for num, den in ((rate.numerator, rate.denominator), (other.numerator, other.denominator), (0, 0)):
            yield from expect(host, Status.BUSY, Opcode.SET_RATE, num, den)
        yield from expect(host, Status.BUSY, Opcode.WRITE_REGISTER, 0, 5, more=b"\x60")
        yield from expect(host, Status.BUSY, Opcode.WRITE_REGISTER, 255, 255, more=b"\x00")
        yield from expect(host, Status.BAD_LENGTH, Opcode.SET_RATE, more=b"\x00")
        yield from unchanged(host, streamed, "BUSY commands are not done")
    after = about(host)
    if after.rate != rate:  # the device did it: back, so that the steps to come find what they know
        host.ask(Opcode.SET_RATE, rate.numerator, rate.denominator)


@step(
    "FP764",
    "commands-while-streaming",
    "5.2",
    hint="Handle commands in a task that never holds up the data-ready interrupt or the UART's queue; end the DATA "
    "being filled, set b4 in the next, send INFO before the first DATA of a new config_id.",
)
def commands_while_streaming(host: Host) -> Iterator[Hit]:
    """No command allowed while streaming costs a conversion; those that change samples are marked by b4."""
    acting = {Opcode.SET_CHANNEL, Opcode.LEAD_OFF, Opcode.TEST_SIGNAL, Opcode.TEST_PATTERN}
    damage = host.damage
    with streaming(host) as stream:
        stream.listen_for(1, _FIRST_DATA_S)
        counters(host)
        for opcode, arguments in (
            (Opcode.IDENTIFY, ()),
            (Opcode.SET_CHANNEL, (255, 12, 0, 1)),
            (Opcode.SET_CHANNEL, (255, 24, 0, 1)),
            (Opcode.SET_CHANNEL, (255, 6, 0, 1)),
            (Opcode.SET_CHANNEL, (255, 24, 0, 1)),
            (Opcode.LEAD_OFF, (1,)),
            (Opcode.LEAD_OFF, (0,)),
            (Opcode.TEST_SIGNAL, (TestSignal.DC, 1)),
            (Opcode.TEST_SIGNAL, (TestSignal.OFF, 1)),
            (Opcode.TEST_PATTERN, (Pattern.PRBS,)),
            (Opcode.TEST_PATTERN, (Pattern.OFF,)),
            (Opcode.READ_REGISTER, (0, 0, 1)),
        ):
            host.listen(0.03 * host.rng.random())  # anywhere in a frame
            response = yield from expect(host, (Status.OK, Status.UNSUPPORTED), opcode, *arguments)
            name = opcode.name
            data = _after(host, response)
            marked = any(frame.flags & Flag.COMMAND_ACTED for frame in data)
            if response.status == Status.OK and marked != (opcode in acting):
                expected = "1 in the next" if opcode in acting else "0"
                frame = data[0] if data else None
                yield host.hit(
                    f"b4 of DATA after {name}", str(int(marked)), expected, frame=frame, key=f"b4 {name}"
                )
        told = counters(host)
    yield from _whole(host, stream, damage)
    if told.dropped:
        yield host.hit("conversions dropped while commands were done", str(told.dropped), "0", key="dropped")


def _after(host: Host, response: Response) -> list[Data]:
    """DATA up to the second one that begins after a COMMAND came: the first may be cut short by it."""
    place = host.place(response)
    begun = 0

    def second(frame: Frame) -> bool:
        nonlocal begun
        begun += isinstance(frame, Data) and (frame.t_us - response.t_us & 0xFFFFFFFF) < 1 << 31
        return begun == 2

    host.listen(_FIRST_DATA_S, second, since=place)
    return host.of(Data, place)


def _whole(host: Host, stream: Stream, damage: int) -> Iterator[Hit]:
    """A hit where conversions are missing although no packet is."""
    data = stream.data()
    for a, b in pairwise(data):
        if (b.sample_index - a.sample_index - a.n_samples) & 0xFFFFFFFF and host.damage == damage:
            text = "conversions are missing or come twice, and no packet is"
            expected = str((a.sample_index + a.n_samples) & 0xFFFFFFFF)
            yield host.hit(text, f"sample_index {b.sample_index}", expected, frame=b, key="hole")
            return
        if b.config_id != a.config_id and not b.flags & Flag.COMMAND_ACTED and host.damage == damage:
            text = "the first DATA of a config_id does not carry b4: a frame lies across the change"
            got = f"config_id {a.config_id} → {b.config_id}, flags {b.flags:02x}"
            yield host.hit(text, got, "b4", frame=b, key="across")
            return


@step(
    "FP765",
    "stop-account",
    "6.4",
    hint="On STOP send the DATA being filled, answer with the counters as they will be when the queue is empty, and "
    "send a HEARTBEAT behind the queue.",
)
def stop_account(host: Host) -> Iterator[Hit]:
    """STOP's counters are those after all DATA; a HEARTBEAT behind the last DATA says the same; then DATA is over."""
    for _ in range(3):
        # `dropped` of this stream alone: one that drops does not spoil the account of the next
        counters(host)
        damage = host.damage
        with streaming(host) as stream:
            stream.listen_for(1, _FIRST_DATA_S)
            host.listen(0.2 + 0.1 * host.rng.random())
            place = len(host.heard)
            response = yield from expect(host, Status.OK, Opcode.STOP)
            host.listen(_STOPPED_S, lambda frame: isinstance(frame, Heartbeat), since=host.place(response))
            host.listen(0.1)
            yield from _account(host, stream, response, place, damage)


def _account(host: Host, stream: Stream, response: Response, place: int, damage: int) -> Iterator[Hit]:
    try:
        told = Heartbeat.from_counters(response)
    except FrameError:
        got = f"{len(response.payload)} bytes"
        yield host.hit("results of STOP", got, "36 bytes of counters", frame=response, key="length")
        return
    received = sum(frame.n_samples for frame in stream.data())
    made = told.sample_index - stream.first - told.dropped
    if made != received and host.damage == damage:
        text = "conversions between START and STOP, and no packet is missing"
        yield host.hit(text, f"{made} by STOP", f"{received} received", frame=response, key="account")
    later = [heard.frame for heard in host.heard[place:]]
    last = max((k for k, frame in enumerate(later) if isinstance(frame, Data)), default=-1)
    beat = next((frame for frame in later[last + 1 :] if isinstance(frame, Heartbeat)), None)
    if beat is None:
        text = f"no HEARTBEAT behind the last DATA within {_STOPPED_S:g} s of STOP"
        yield host.hit(text, "none", "one", frame=response, key="beat")
    elif (beat.sample_index, beat.dropped) != (told.sample_index, told.dropped):
        got = f"{beat.sample_index}, {beat.dropped} dropped"
        expected = f"{told.sample_index}, {told.dropped} dropped"
        yield host.hit(
            "the HEARTBEAT behind STOP says otherwise", got, expected, frame=beat, key="beat differs"
        )


@step("FP766", "stop-idle", "6.1", hint="Answer STOP in every state; idle it only gives the counters.")
def stop_idle(host: Host) -> Iterator[Hit]:
    """STOP while idle is answered OK with the counters, each time."""
    known: list[Heartbeat] = []
    for _ in range(2):
        exchange = host.send(Opcode.STOP)
        response = host.answer_to(exchange, 1.0)
        if response is None:
            yield host.hit(
                "STOP while idle was not answered", "no RESPONSE", "OK and the counters", key="silent"
            )
            return
        if response.status != Status.OK:
            yield host.hit("STOP while idle", f"status {response.status}", "OK", frame=response, key="status")
            return
        try:
            known.append(Heartbeat.from_counters(response))
        except FrameError:
            got = f"{len(response.payload)} bytes"
            yield host.hit("results of STOP", got, "36 bytes of counters", frame=response, key="length")
            return
    before, told = (beat.sample_index for beat in known)
    if told != before:
        yield host.hit("sample_index grew while idle", str(told), str(before), frame=response, key="idle")


@step(
    "FP767",
    "counters-go-on",
    "3.5",
    hint="sample_index and t_us are set to 0 at boot and nowhere else; START and STOP leave them alone.",
)
def counters_go_on(host: Host) -> Iterator[Hit]:
    """sample_index goes on over STOP and START: the second stream begins where the first one ended."""
    for pause_s in (0.0, 0.3):
        with streaming(host) as stream:
            stream.listen_for(1, _FIRST_DATA_S)
            host.listen(0.2)
            stopped = yield from expect(host, Status.OK, Opcode.STOP)
            try:
                end = Heartbeat.from_counters(stopped).sample_index
            except FrameError as err:
                raise Skip("STOP does not tell the counters", see="stop-account") from err
            host.listen(pause_s)
            began = yield from expect(host, Status.OK, Opcode.START, 5000)
            if began.status != Status.OK or len(began.payload) != 8:
                return
            (first,) = COMMANDS[Opcode.START].result_struct.unpack(began.payload)
            if first != end:
                text = "the conversion that START answers after STOP"
                yield host.hit(
                    text, str(first), str(end), frame=began, key="restarts" if first < end else "jumps"
                )


@step(
    "FP768",
    "heartbeat-atomic",
    "6.4",
    hint="Fill a HEARTBEAT in between two packets, when it is handed to the UART: sample_index as it is after the DATA "
    "before it, dropped with it, under one lock; conversions that wait or are being filled are not in it.",
)
def heartbeat_account(host: Host) -> Iterator[Hit]:
    """A HEARTBEAT counts the conversions of the DATA before it, and those dropped: not one more, not one fewer."""
    counters(host)
    damage = host.damage
    with streaming(host) as stream:
        host.listen(2.3 if host.plan.quick else 6.3)
        received, last = 0, None
        beats = 0
        for heard in stream.heard():
            frame = heard.frame
            if isinstance(frame, Data):
                received += frame.n_samples
                last = frame
            elif isinstance(frame, Heartbeat):
                beats += 1
                if last is None or host.damage != damage:
                    continue
                counted = frame.sample_index - frame.dropped - stream.first
                if counted != received:
                    text = "HEARTBEAT does not count the conversions sent before it"
                    yield host.hit(text, str(counted), str(received), frame=frame, key="account")
                age_us = (frame.t_us - last.t_us + 0x80000000 & 0xFFFFFFFF) - 0x80000000
                if age_us < 0:
                    text = "t_us of a HEARTBEAT lies before that of the DATA sent before it"
                    yield host.hit(text, f"{age_us} µs", "after it", frame=frame, key="t_us")
        if not beats:
            yield host.hit("no HEARTBEAT while streaming", "none", "once a second", key="none")
