"""Counters that begin anew: a device that restarted, or one that only sets a counter back."""

from __future__ import annotations

from firmware_protocol.codes import Flag
from firmware_protocol.validator.causes.evidence import of_step
from firmware_protocol.validator.findings import CAUSES, Cause, cause_rule
from firmware_protocol.validator.steps import Restart, Step, signed32

__all__ = ["restarted", "set_back"]

cause_rule(
    "FP927",
    "device-reset",
    "6.1",
    "The device restarted in the middle of the capture; its counters began anew. That is no wrap.",
    hint="Look for the reason (brown-out, watchdog, hard fault); and take a new random boot_id at every boot.",
)
cause_rule(
    "FP928",
    "counter-restarts",
    "4.1",
    "sample_index is set back within a boot, as if the device had restarted.",
    hint="Do not reset sample_index at START, STOP or on a change of configuration: it runs through a whole boot.",
)
cause_rule(
    "FP930",
    "boot-id-unstable",
    "4.3",
    "boot_id changes while the counters go on: it is not drawn once per boot.",
    hint="Draw boot_id once at start-up and send the same in INFO, HEARTBEAT and RESPONSE until the next boot.",
)

_FOLLOW = frozenset(
    {
        "narrow-counter",
        "counter-restarts",
        "packets-lost",
        "link-seq-counting",
        "no-info",
        "late-info",
        "time-unit",
        "wrong-rate",
        "no-time",
    }
)


def restarted(restart: Restart, times: int) -> Cause:
    before, after = restart.before, restart.after
    if before is not None and after is not None and signed32(after.sample_index - before.sample_index) > 0:
        ahead = after.sample_index - before.sample_index - before.n_samples & 0xFFFFFFFF
        if ahead < 1 << 20 and signed32(after.t_us - before.t_us) > 0 and after.t_us > before.t_us:
            return Cause(
                CAUSES["boot-id-unstable"],
                f"boot_id goes from {_hex(restart.boot_before)} to {_hex(restart.boot_after)} while sample_index and "
                "t_us go on",
                certainty=3,
                offset=restart.offset,
                frame=restart.packet,
                instead_of=frozenset({"no-info", "late-info"}),
            )
    parts = []
    if before is not None and after is not None:
        end = before.sample_index + before.n_samples
        if end & 0xFFFFFFFF == after.sample_index:
            parts.append(
                f"sample_index goes on with {after.sample_index} as after a wrap, but the rest does not"
            )
        else:
            parts.append(
                f"sample_index falls from {end} to {after.sample_index} (a wrap goes from 4294967295 to 0)"
            )
        if after.t_us < before.t_us:
            parts.append(f"t_us from {before.t_us} to {after.t_us}")
        if after.link_seq < before.link_seq:
            parts.append(f"link_seq from {before.link_seq} to {after.link_seq}")
    if restart.boot_after is None:
        parts.append("no INFO or HEARTBEAT says so")
    elif restart.boot_after == restart.boot_before:
        parts.append(f"boot_id stays {_hex(restart.boot_before)}, although it must be new")
    else:
        parts.append(f"boot_id goes from {_hex(restart.boot_before)} to {_hex(restart.boot_after)}")
    again = f" {times} times" if times > 1 else ""
    return Cause(
        CAUSES["device-reset"],
        f"the device restarted{again}, this is no wrap: " + "; ".join(parts),
        certainty=3,
        offset=restart.offset,
        frame=restart.packet,
        instead_of=_FOLLOW,
    )


def _hex(boot: int | None) -> str:
    return "unknown" if boot is None else f"0x{boot:08X}"


def set_back(odd: list[Step]) -> Cause | None:
    """sample_index begins anew, near 0, while t_us goes on."""
    struck = [
        step
        for step in odd
        if step.ahead < -8 * step.before.n_samples
        and step.after.sample_index <= 64 * step.after.n_samples
        and (step.before.sample_index + step.before.n_samples) & 0xFFFF != step.after.sample_index
        and step.dt_us > 0
    ]
    if not struck:
        return None
    step = struck[0]
    flagged = "at START (b1 of the flags) " if step.after.flags & Flag.FIRST else ""
    text = (
        f"sample_index falls {flagged}from {step.before.sample_index + step.before.n_samples} to "
        f"{step.after.sample_index}, while t_us goes on from {step.before.t_us} to {step.after.t_us}: the counter was "
        "set back, the device did not restart"
    )
    return of_step("counter-restarts", text, step, "sample_index", share=1.0, certainty=3)
