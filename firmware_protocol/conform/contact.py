"""FP70x: whether the device answers, says who it is, and keeps time and cadence while idle."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.codes import DeviceState, Opcode, Status
from firmware_protocol.conform.asking import about, expect
from firmware_protocol.conform.host import Heard, Host
from firmware_protocol.conform.steps import step
from firmware_protocol.frames import Data, Heartbeat, Info
from firmware_protocol.layout import COMMANDS
from firmware_protocol.limits import HEARTBEAT_PERIOD_MS, INFO_PERIOD_MS
from firmware_protocol.validator.findings import Hit

_LATE = 0.3  # of a period: a packet may wait for others, the one behind it then comes early
_CLOCK = 0.02  # crystals are far better
_UNITS = {1e-6: "seconds", 1e-3: "milliseconds", 1e3: "nanoseconds", 0.032768: "ticks of a 32,768 Hz clock"}


@step(
    "FP701",
    "answers",
    "5.2",
    hint="Look at the receiving side: baud rate, pins, the `00` before each COMMAND, COBS, CRC over the coded packet's "
    "inside; then whether RESPONSE carries the request_id and opcode of its COMMAND.",
)
def answers(host: Host) -> Iterator[Hit]:
    """Each COMMAND is answered by one RESPONSE that carries its request_id and opcode.

    IDENTIFY is sent with five request ids, 0 and 65535 among them.
    """
    for request_id in (0, 0xFFFF, 0x00FF, 0xFF00, 0x1111):
        response = host.ask(Opcode.IDENTIFY, request_id=request_id)
        if response.opcode != Opcode.IDENTIFY:
            got = f"opcode {response.opcode}"
            yield host.hit("RESPONSE carries another opcode", got, "opcode 1", frame=response, key="opcode")
        if response.status != Status.OK:
            got = f"status {response.status}"
            yield host.hit("IDENTIFY is not done", got, "status 0, OK", frame=response, key="status")


@step(
    "FP702",
    "identify",
    "5.3",
    hint="Fill IDENTIFY's results, INFO and HEARTBEAT from the same variables, and queue every page of INFO behind "
    "the answer.",
)
def identify(host: Host) -> Iterator[Hit]:
    """IDENTIFY tells boot_id, state, config_id, channels and pages; all pages of INFO follow and agree with it."""
    said = about(host, whole=False)
    size = COMMANDS[Opcode.IDENTIFY].result_struct.size
    if len(said.response.payload) != size:
        got = f"{len(said.response.payload)} bytes"
        yield host.hit("results of IDENTIFY", got, f"{size} bytes", frame=said.response, key="length")
        return
    if not said.complete:
        got = ", ".join(str(info.page) for info in said.infos) or "none"
        text = f"of {said.pages} pages of INFO these followed within 1 s: {got}"
        yield host.hit(text, got, f"0 … {said.pages - 1}", frame=said.response, key="pages")
    place = host.place(said.response)
    came = [info.page for info in host.of(Info, place)][: said.pages]
    if said.complete and came != sorted(came):
        text = "the pages of INFO do not come in order"
        yield host.hit(text, ", ".join(map(str, came)), f"0 … {said.pages - 1}", frame=said.info, key="order")
    for info in said.infos:
        for name in ("boot_id", "state", "config_id", "n_channels", "pages"):
            told, in_info = getattr(said, name), getattr(info, name)
            if told != in_info:
                text = f"INFO page {info.page} says another {name} than IDENTIFY"
                yield host.hit(text, str(in_info), str(told), frame=info, key=name)
    if said.complete and len(said.uv_per_count) != said.n_channels:
        got = f"{len(said.uv_per_count)} channels"
        yield host.hit("channels on all pages", got, str(said.n_channels), frame=said.info, key="channels")
    if said.state != DeviceState.IDLE:
        got = str(said.state)
        yield host.hit("state after STOP", got, "0, idle", frame=said.response, key="state")


@step(
    "FP703",
    "idle-cadence",
    "6.2",
    hint="Send INFO (all pages) and HEARTBEAT from a timer of one second that runs in every state; no DATA while idle.",
)
def idle_cadence(host: Host) -> Iterator[Hit]:
    """While idle, INFO and HEARTBEAT come once a second, and no DATA."""
    host.drain(0.3)
    host.heard.clear()
    host.listen(2.4 if host.plan.quick else 4.4)
    if data := host.of(Data):
        yield host.hit("DATA while idle", f"{len(data)} packets", "none", frame=data[0], key="data")
    rounds = [heard for heard in host.heard if isinstance(heard.frame, Info) and heard.frame.page == 0]
    beats = [heard for heard in host.heard if isinstance(heard.frame, Heartbeat)]
    for name, heard, period_ms in (
        ("INFO", rounds, INFO_PERIOD_MS),
        ("HEARTBEAT", beats, HEARTBEAT_PERIOD_MS),
    ):
        yield from _cadence(host, name, heard, period_ms / 1000)


def _cadence(host: Host, name: str, heard: list[Heard], period_s: float) -> Iterator[Hit]:
    if len(heard) < 2:
        text = f"{name} while idle, in {4.4 if not host.plan.quick else 2.4} s"
        yield host.hit(text, f"{len(heard)} times", "once a second", key=name)
        return
    times_s = [h.frame.t_us / 1e6 if isinstance(h.frame, Heartbeat) else h.at_s for h in heard]
    for before_s, after_s, late in zip(times_s, times_s[1:], heard[1:], strict=False):
        if after_s - before_s > (1 + _LATE) * period_s:
            text = f"{name} after {after_s - before_s:.2f} s"
            yield host.hit(text, f"{after_s - before_s:.2f} s", f"{period_s:g} s", frame=late.frame, key=name)
            return
    mean_s = (times_s[-1] - times_s[0]) / (len(heard) - 1)
    if mean_s < (1 - _LATE) * period_s:
        text = f"{name} comes too often"
        yield host.hit(
            text, f"every {mean_s:.2f} s", f"every {period_s:g} s", frame=heard[-1].frame, key=name
        )


@step(
    "FP704",
    "clock",
    "4.4",
    hint="t_us counts microseconds since boot in 64 bits; take it when a COMMAND's last byte has come.",
)
def clock(host: Host) -> Iterator[Hit]:
    """t_us of RESPONSE counts microseconds: as much time passes on the device as on the host, within 2 %."""
    first = yield from expect(host, Status.OK, Opcode.IDENTIFY)
    began_s = host.now_s
    host.listen(1.0 if host.plan.quick else 3.0)
    last = yield from expect(host, Status.OK, Opcode.IDENTIFY)
    passed_s = host.now_s - began_s
    told_us = last.t_us - first.t_us
    slack_s = _CLOCK * passed_s + 0.05
    if abs(told_us / 1e6 - passed_s) > slack_s:
        got = f"{told_us} in {passed_s:.2f} s"
        text = "t_us does not count microseconds"
        for ratio, unit in _UNITS.items():
            if abs(told_us / 1e6 / passed_s / ratio - 1) < 0.1:
                text = f"t_us counts {unit}, not microseconds"
        yield host.hit(text, got, f"about {passed_s * 1e6:.0f}", frame=last, key="unit")
    beats = host.of(Heartbeat)
    for beat in beats:
        if not first.t_us - 1e4 <= beat.t_us <= last.t_us + 1e4 and told_us > 0:
            text = "t_us of a HEARTBEAT lies outside the answers before and behind it"
            yield host.hit(text, str(beat.t_us), f"{first.t_us} … {last.t_us}", frame=beat, key="heartbeat")
