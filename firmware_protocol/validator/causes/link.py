"""link_seq that does not count packets, and packets that are missing behind the UART."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_protocol.layout import DATA
from firmware_protocol.validator.causes.evidence import Evidence
from firmware_protocol.validator.findings import CAUSES, Cause, cause_rule
from firmware_protocol.validator.steps import LinkStep
from firmware_protocol.validator.wire import field_bytes

__all__ = ["lost_packets", "wrong_link_seq"]

cause_rule(
    "FP929",
    "link-seq-counting",
    "3.1",
    "link_seq is not counted once per packet of any type.",
    hint="One 16-bit counter for all packets, +1 for each, at the place where packets are handed to the UART.",
)
cause_rule(
    "FP931",
    "packets-lost",
    "3.1",
    "Whole packets are missing behind the UART, with no damaged bytes in their place.",
    hint="Look at the receiver: its buffer overran, or it was not read for a while (USB latency, a busy program).",
)

_PER_TYPE = "each packet type has a counter of its own"
_MOST = 0.8  # of the odd steps that a wrong rule must explain
_FOLLOW = frozenset({"packets-lost", "wrong-n-samples", "counter-unit"})


def wrong_link_seq(odd: list[LinkStep], packets: int) -> Cause | None:
    """A wrong rule that link_seq follows: one that nearly all packets obey, not only those that stand out."""
    clean = [x for x in odd if not x.damaged]
    wraps = [x for x in clean if x.before == 255 and x.after == 0]
    if wraps and len(wraps) >= _MOST * len(clean):
        text = "link_seq goes from 255 to 0: it wraps at 256, so it is kept in 8 bits"
        return _cause("narrow-counter", text, wraps[0], certainty=3, share=1.0)
    if len(clean) < 4:
        return None
    everywhere = len(odd) > 0.25 * min(packets, len(odd) + 4096)

    def swap(value: int) -> int:
        return value >> 8 | (value & 0xFF) << 8

    rules = {
        "its two bytes are swapped: it is sent most significant byte first": (
            "header-byte-order",
            sum((swap(x.after) - swap(x.before)) & 0xFFFF == 1 for x in clean),
        ),
        _PER_TYPE: (
            "link-seq-counting",
            sum(x.same_type is not None and (x.after - x.same_type) & 0xFFFF == 1 for x in clean),
        ),
        "it advances by the conversions of a frame instead of by one": (
            "link-seq-counting",
            sum(
                x.n_samples_before not in (None, 1) and (x.after - x.before) & 0xFFFF == x.n_samples_before
                for x in clean
            ),
        ),
        "it stands still": ("link-seq-counting", sum(x.after == x.before for x in clean)),
        "it counts in steps of two": (
            "link-seq-counting",
            sum((x.after - x.before) & 0xFFFF == 2 for x in clean),
        ),
    }
    words, (name, fitting) = max(rules.items(), key=lambda item: item[1][1])
    if fitting < _MOST * len(clean) or not (everywhere or words == _PER_TYPE):
        return None
    first = clean[0]
    text = f"link_seq goes from {first.before} to {first.after}: {words} ({fitting} of {len(clean)} odd steps fit)"
    return _cause(name, text, first, certainty=3 if fitting >= 16 else 2, share=fitting / len(clean))


def _cause(name: str, text: str, step: LinkStep, *, certainty: int, share: float) -> Cause:
    return Cause(
        CAUSES[name],
        text,
        certainty=certainty,
        share=share,
        offset=step.offset,
        frame=step.packet,
        packet_bytes=field_bytes(DATA, "link_seq"),
        instead_of=_FOLLOW,
    )


def lost_packets(e: Evidence) -> Iterator[Cause]:
    """Packets that are missing although nothing in their place is damaged."""
    s = e.stream
    lost = s.figures.packets_missing - s.faults_with_bytes
    first = next((x for x in s.odd_links if x.damaged == 0), None)
    if lost > 0 and first is not None and not s.restarts:
        yield Cause(
            CAUSES["packets-lost"],
            f"{lost} packet{'s are' if lost > 1 else ' is'} missing without a trace; the first gap is before packet "
            f"{first.packet}, where link_seq goes from {first.before} to {first.after}",
            certainty=2,
            share=min(1.0, lost / max(s.packet, 1)),
            offset=first.offset,
            frame=first.packet,
        )
