"""FP77x: a host that goes away ends the stream, one that is there does not (SPEC 6.5)."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.codec import encode_command
from firmware_protocol.codes import DeviceState, EventCode, EventSource, Opcode, Status
from firmware_protocol.conform.asking import Stream, about, expect, streaming
from firmware_protocol.conform.host import Host, Skip
from firmware_protocol.conform.steps import step
from firmware_protocol.frames import Data, Event, Frame
from firmware_protocol.limits import WATCHDOG_DEFAULT_MS
from firmware_protocol.validator.findings import Hit

_WATCHDOG_MS = 600
_HINT = (
    "Restart a timer of watchdog_ms at START and at each COMMAND with a right CRC; when it ends, end the stream as "
    "STOP does, set state 2 and send EVENT source 3, code 2, value watchdog_ms."
)


def _is_watchdog(frame: Frame) -> bool:
    return isinstance(frame, Event) and (frame.source, frame.code) == (EventSource.DEVICE, EventCode.WATCHDOG)


def _fires(host: Host, stream: Stream, watchdog_ms: int, fed_us: int) -> Iterator[Hit]:
    """The stream ends `watchdog_ms` after `fed_us`, the device's time of the last command, and says so."""
    found = host.listen(watchdog_ms / 1000 * 1.5 + 0.5, _is_watchdog, since=stream.place)
    host.listen(0.3)
    data = stream.data()
    event = found.frame if found is not None else None
    if not isinstance(event, Event):
        place = len(host.heard)
        host.listen(0.3)
        if host.of(Data, place):
            text = f"the watchdog of {watchdog_ms} ms does not end the stream"
            yield host.hit(text, "DATA goes on", "no DATA, EVENT WATCHDOG", key="never")
        else:
            yield host.hit("no EVENT WATCHDOG", "none", "source 3, code 2", key="event")
        return
    after_us = (event.t_us - fed_us) & 0xFFFFFFFF
    slack_us = max(50_000, watchdog_ms * 100)
    if not watchdog_ms * 1000 - 2000 <= after_us <= watchdog_ms * 1000 + slack_us:
        early = after_us < watchdog_ms * 1000
        text = f"the watchdog of {watchdog_ms} ms fires too {'early' if early else 'late'}"
        got, expected = f"after {after_us / 1000:.0f} ms", f"after {watchdog_ms} ms"
        yield host.hit(text, got, expected, frame=event, key="early" if early else "late")
    if event.value != watchdog_ms:
        yield host.hit(
            "value of EVENT WATCHDOG", str(event.value), str(watchdog_ms), frame=event, key="value"
        )
    frames = [heard.frame for heard in stream.heard()]
    later = [frame for frame in frames[frames.index(event) :] if isinstance(frame, Data)]
    if later:
        text = "DATA after EVENT WATCHDOG"
        yield host.hit(text, f"{len(later)} packets", "none", frame=later[0], key="data")
    if not data:
        yield host.hit("no DATA before the watchdog", "none", "DATA", key="none")


@step("FP771", "watchdog", "6.5", hint=_HINT)
def watchdog(host: Host) -> Iterator[Hit]:
    """Without a COMMAND for watchdog_ms the stream ends, with EVENT WATCHDOG and state 2; STOP leads to idle, START
    to a new stream."""
    with streaming(host, _WATCHDOG_MS, feed=False) as stream:
        yield from _fires(host, stream, _WATCHDOG_MS, stream.response.t_us)
        told = about(host)
        if told.state == DeviceState.STREAMING:
            return
        if told.state != DeviceState.WATCHDOG:
            text = "state after the watchdog"
            yield host.hit(text, str(told.state), "2, watchdog", frame=told.response, key="state")
        yield from expect(host, Status.OK, Opcode.STOP)
        told = about(host)
        if told.state != DeviceState.IDLE:
            text = "state after the watchdog and STOP"
            yield host.hit(text, str(told.state), "0, idle", frame=told.response, key="idle")
        again = yield from expect(host, Status.OK, Opcode.START, _WATCHDOG_MS)
        if (
            again.status == Status.OK
            and host.listen(_WATCHDOG_MS / 1000, lambda f: isinstance(f, Data)) is None
        ):
            yield host.hit("no DATA after the watchdog and START", "none", "DATA", frame=again, key="restart")


@step("FP772", "watchdog-fed", "6.5", hint=_HINT)
def watchdog_fed(host: Host) -> Iterator[Hit]:
    """KEEPALIVE four times in watchdog_ms keeps the stream; so does any other COMMAND with a right CRC."""
    rounds = 2 if host.plan.quick else 4
    with streaming(host, _WATCHDOG_MS) as stream:
        stopped = host.listen(rounds * _WATCHDOG_MS / 1000, _is_watchdog)
        if stopped is not None:
            after_ms = ((stopped.frame.t_us - stream.response.t_us) & 0xFFFFFFFF) // 1000  # type: ignore[union-attr]
            text = "the watchdog ended the stream although KEEPALIVE came"
            yield host.hit(text, f"after {after_ms} ms", "never", frame=stopped.frame, key="keepalive")
            return
        host.keepalive_s = None
        for _ in range(2 * rounds):
            host.ask(Opcode.IDENTIFY)
            stopped = host.listen(_WATCHDOG_MS / 2000, _is_watchdog)
            if stopped is not None:
                text = "the watchdog ended the stream although other COMMANDs came"
                yield host.hit(text, "EVENT WATCHDOG", "none", frame=stopped.frame, key="command")
                return


@step("FP773", "watchdog-not-by-noise", "6.5", hint=_HINT)
def watchdog_not_by_noise(host: Host) -> Iterator[Hit]:
    """Noise and COMMANDs with a bad CRC do not feed the watchdog."""
    with streaming(host, _WATCHDOG_MS, feed=False) as stream:
        end_s = host.now_s + 1.5 * _WATCHDOG_MS / 1000
        while host.now_s < end_s:
            wire = bytearray(encode_command(host.command(Opcode.KEEPALIVE)))
            wire[-2] ^= 0x40 if wire[-2] != 0x40 else 0x20
            host.write(bytes(wire))
            if host.listen(_WATCHDOG_MS / 4000, _is_watchdog) is not None:
                return
        fired = any(_is_watchdog(heard.frame) for heard in stream.heard())
        if not fired and host.listen(0.3, _is_watchdog) is None:
            text = "COMMANDs with a bad CRC keep the stream alive"
            yield host.hit(text, "DATA goes on", "EVENT WATCHDOG")


@step("FP774", "watchdog-off", "6.5", hint="START with watchdog_ms 0 switches the watchdog off.")
def watchdog_off(host: Host) -> Iterator[Hit]:
    """START with 0 switches the watchdog off: the stream goes on without a COMMAND, longer than the default's 5 s."""
    wait_s = 2.0 if host.plan.quick else WATCHDOG_DEFAULT_MS / 1000 + 1.0
    with streaming(host, 0) as stream:
        host.listen(wait_s - 0.3, _is_watchdog)
        place = len(host.heard)
        if host.listen(1.0, lambda frame: isinstance(frame, Data)) is None:
            text = f"START(0): the stream ended within {wait_s:g} s without a COMMAND"
            fired = [heard.frame for heard in stream.heard() if _is_watchdog(heard.frame)]
            frame = fired[0] if fired else None
            yield host.hit(text, f"{len(host.heard) - place} packets, no DATA", "DATA", frame=frame)


@step("FP775", "watchdog-default", "5.3", hint="START without arguments is START with 5000.")
def watchdog_default(host: Host) -> Iterator[Hit]:
    """START without arguments has a watchdog of 5000 ms."""
    response = yield from expect(host, Status.OK, Opcode.START)
    if response.status != Status.OK or len(response.payload) != 8:
        return
    if host.plan.quick:
        yield from expect(host, Status.OK, Opcode.STOP)
        raise Skip("START without arguments is answered; its 5 s are not waited for with --quick")
    place = host.place(response)
    yield from _fires(host, Stream(host, response, place), WATCHDOG_DEFAULT_MS, response.t_us)
    yield from expect(host, Status.OK, Opcode.STOP)
