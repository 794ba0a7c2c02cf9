"""FP79x: what must hold over the whole conversation; looked at once it is over."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.conform.asking import about
from firmware_protocol.conform.host import Host, Skip
from firmware_protocol.conform.steps import step
from firmware_protocol.frames import Heartbeat, Info
from firmware_protocol.validator.findings import Hit, Level

_SAID = 5


@step(
    "FP791",
    "response-time",
    "5.2",
    hint="Handle a COMMAND as soon as its delimiter has come, and send the RESPONSE ahead of all that waits.",
)
def response_time(host: Host) -> Iterator[Hit]:
    """Every COMMAND of the whole test was answered within 250 ms."""
    for exchange, latency_s, response in host.late[:_SAID]:
        got = f"{latency_s * 1000:.0f} ms"
        yield host.hit(
            f"{exchange.name} was answered late", got, "at most 250 ms", frame=response, key="late"
        )
    if len(host.late) > _SAID:
        yield host.hit("more answers came late", f"{len(host.late)} in all", "none", key="late")


@step(
    "FP792",
    "answered-once",
    "5.2",
    hint="One RESPONSE for each COMMAND heard, with its request_id; never one that nobody asked for.",
)
def answered_once(host: Host) -> Iterator[Hit]:
    """No COMMAND was answered twice, and no RESPONSE came to a request that was never made."""
    for response, exchange in host.twice[:_SAID]:
        got = f"{len(exchange.answers)} RESPONSEs"
        yield host.hit(
            f"{exchange.name} was answered more than once", got, "one", frame=response, key="twice"
        )
    for response in host.strays[:_SAID]:
        got = f"request_id {response.request_id}, opcode {response.opcode}"
        yield host.hit("a RESPONSE that nobody asked for", got, "none", frame=response, key="stray")


@step(
    "FP793",
    "one-boot",
    "3.5",
    hint="Look for a watchdog of the processor, a stack that overflows, a brown-out; boot_id is drawn once, at boot.",
)
def one_boot(host: Host) -> Iterator[Hit]:
    """The device did not reset during the test: boot_id stayed the same in INFO and HEARTBEAT."""
    ids = [boot_id for boot_id, _ in host.boots]
    for before, (now, frame) in zip(ids, host.boots[1:], strict=False):
        text = f"boot_id changed from {before:08x} to {now:08x}"
        what = "HEARTBEAT and INFO disagree" if ids.count(now) > 1 else "the device was reset"
        yield host.hit(f"{text}: {what}", f"{now:08x}", f"{before:08x}", frame=frame, key=what)
        if ids.count(now) > 1:
            return


@step(
    "FP794",
    "boot-id-random",
    "4.3",
    level=Level.INFO,
    hint="Draw boot_id from a random source at boot (noise of the converter, a hardware generator), 32 bits.",
)
def boot_id_random(host: Host) -> Iterator[Hit]:
    """boot_id is random: 0, 1 and all ones look like a constant."""
    if host.boots and host.boots[0][0] in (0, 1, 0xFFFFFFFF):
        text = "boot_id looks like a constant"
        yield host.hit(text, f"{host.boots[0][0]:08x}", "random, new at every boot", frame=host.boots[0][1])


@step(
    "FP795",
    "reboot",
    "3.5",
    hint="At boot draw a new boot_id and begin all counters at 0; send INFO and HEARTBEAT at once.",
)
def reboot(host: Host) -> Iterator[Hit]:
    """After a reset, made by hand while this step waits, boot_id is another one and all counters begin anew."""
    if not host.plan.reboot_s:
        raise Skip("needs somebody to reset the device: --reboot SECONDS")
    before = about(host)
    end_s = host.now_s + host.plan.reboot_s
    host.listen_apart(frozenset({"FP2", "FP3", "FP9"}))
    place = len(host.heard)
    while host.now_s < end_s:
        told = host.listen(0.5, lambda f: isinstance(f, Info | Heartbeat) and f.boot_id != before.boot_id)
        if told is not None:
            break
    else:
        text = f"no other boot_id within {host.plan.reboot_s:g} s"
        yield host.hit(
            text, f"{before.boot_id:08x}", "another one after a reset", frame=before.response, key="same"
        )
        return
    host.boots = host.boots[-1:]
    host.listen(1.5)
    after = about(host)
    beat = next((f for f in host.of(Heartbeat, place) if f.boot_id == after.boot_id), None)
    if beat is None:
        yield host.hit(
            "no HEARTBEAT within 1.5 s of a reset", "none", "at boot", frame=after.response, key="beat"
        )
    elif beat.sample_index or beat.dropped or beat.t_us > 10_000_000:
        got = f"sample_index {beat.sample_index}, dropped {beat.dropped}, t_us {beat.t_us}"
        yield host.hit("counters after a reset", got, "0, 0, near 0", frame=beat, key="counters")
