"""From thousands of findings to the mistake behind them.

Each cause is looked for where it would show: in damaged stretches of the wire, in steps of counters and time, in
samples, in packets that are missing. What can be proven is proven: a guess about damaged bytes counts only if packets
with a right CRC come out of it. The rest must hold for nearly all cases of its kind. A cause that only follows from
another is left out, and the one that explains most comes first.
"""

from __future__ import annotations

from firmware_protocol.validator.causes.checksum import WrongCrc
from firmware_protocol.validator.causes.contents import contents
from firmware_protocol.validator.causes.counters import counters
from firmware_protocol.validator.causes.evidence import Evidence, Explained, Hypothesis
from firmware_protocol.validator.causes.framing import MissingCobs, MissingDelimiter, OtherStuffing, Text
from firmware_protocol.validator.causes.line import ForeignStream, LineDamage, WrongBaud
from firmware_protocol.validator.causes.sample_watch import SampleWatch
from firmware_protocol.validator.causes.translation import FlowControl, NewlineTranslation, OtherTranslation
from firmware_protocol.validator.findings import CAUSES, Cause
from firmware_protocol.validator.regions import Region

__all__ = ["Evidence", "SampleWatch", "diagnose"]

_REGIONS = 24  # that hypotheses are put to
_SUPPORT = 0.5  # of a region's bytes, for it to count as explained
_MOST_CAUSES = 4
#: A cause that explains any damage gives way to one that explains most of it in a system.
_WEIGHT = {"line-damage": 0.4, "wrong-baud": 0.5, "crc-unknown": 0.4}
_ONCE = 0.3  # of what explains a single packet: any damage would do
#: What the damage of a framing mistake brings with it.
_AFTER_DAMAGE = frozenset({"packets-lost"})
#: Causes that come after all others: they are the cable's, not the firmware's, and seldom the whole story.
_LAST = ("line-damage", "packets-lost")


def diagnose(e: Evidence) -> list[Cause]:
    """The causes of what was found, the most telling first; empty for a good capture."""
    found = [*_damage(e), *contents(e), *counters(e), *_samples(e)]
    followed: set[str] = set()
    for cause in found:
        followed |= cause.instead_of
    kept = [cause for cause in found if cause.name not in followed]
    kept.sort(key=lambda c: (c.name in _LAST, -c.certainty, -c.share))
    return kept


def _samples(e: Evidence) -> list[Cause]:
    causes = []
    for x in e.samples.suspected.values():
        share = min(1.0, x.rows / max(e.samples.rows, 1))
        part = "" if share > 0.98 else f", in {x.rows} of {e.samples.rows} conversions"
        causes.append(
            Cause(
                CAUSES[x.name],
                f"{x.note}{part}",
                certainty=x.certainty,
                share=share,
                offset=x.offset,
                frame=x.packet,
                packet_bytes=x.packet_bytes,
            )
        )
    return causes


def _damage(e: Evidence) -> list[Cause]:
    """Explain damaged regions, one hypothesis after the other, until nothing more is gained."""
    regions = list(e.regions[:: -(-len(e.regions) // _REGIONS) or 1])
    causes = _without_delimiter(e)
    total = sum(len(region.data) for region in regions)
    explained = [
        (hypothesis, [hypothesis.explain(r) for r in regions]) for hypothesis in _hypotheses(e, regions)
    ]
    open_ = list(range(len(regions)))  # those that no cause explains yet
    while open_ and len(causes) < _MOST_CAUSES:
        best: tuple[int, Hypothesis, list[tuple[Region, Explained]]] | None = None
        for hypothesis, of_all in explained:
            results = [(regions[k], of_all[k]) for k in open_]
            packets = sum(x.packets for _, x in results)
            weight = _WEIGHT.get(hypothesis.name, _ONCE if packets == 1 else 1.0)
            support = int(sum(_support(region, x) for region, x in results) * weight)
            if support and (best is None or support > best[0] * 1.02):
                best = (support, hypothesis, results)
        if best is None or best[0] < 0.01 * total:
            break
        _, hypothesis, results = best
        causes.append(_of_hypothesis(e, hypothesis, results, total))
        left = [
            k
            for k, (region, x) in zip(open_, results, strict=True)
            if x.covered < _SUPPORT * len(region.data)
        ]
        if len(left) == len(open_):
            break
        open_ = left
    return causes


def _hypotheses(e: Evidence, regions: list[Region]) -> tuple[Hypothesis, ...]:
    return (
        MissingCobs(),
        MissingDelimiter(),
        FlowControl(),
        NewlineTranslation(),
        OtherTranslation(),
        WrongCrc(regions, systematic=_systematic(e)),
        OtherStuffing(),
        ForeignStream(),
        Text(),
        LineDamage(),
        WrongBaud(),
    )


def _support(region: Region, found: Explained) -> int:
    """Bytes explained; without a packet to prove it they weigh half."""
    covered = min(found.covered, len(region.data))
    return covered if found.packets else covered // 2


def _systematic(e: Evidence) -> bool:
    """Whether damage is the rule: of all packets, or of all packets of a type."""
    damaged = e.stream.faults_with_bytes
    return damaged > 0.8 * max(e.stream.packet, 1)


def _without_delimiter(e: Evidence) -> list[Cause]:
    """The decoder reads packets without a delimiter by their length; it counts them."""
    times = e.stream.faults["missing-delimiter"]
    first = e.first.get("FP109")
    whole = sum(e.stream.by_type.values())
    if times < 2 or first is None or (e.damaged_bytes and times < 0.05 * whole):
        return []
    text = f"{times} of {whole} packets are not followed by 0x00; the first ends before byte {first.offset}"
    cause = CAUSES["missing-delimiter"]
    share = min(1.0, times / max(whole, 1))
    return [
        Cause(
            cause,
            text,
            certainty=3,
            share=share,
            offset=first.offset,
            frame=first.frame,
            span=(first.offset, first.offset + 1),
        )
    ]


_PROOF = {"wrong-baud": 2, "foreign-stream": 2}


def _of_hypothesis(
    e: Evidence, hypothesis: Hypothesis, results: list[tuple[Region, Explained]], total: int
) -> Cause:
    covered = sum(min(x.covered, len(r.data)) for r, x in results)
    packets = sum(x.packets for _, x in results)
    region, first = next((r, x) for r, x in results if x.covered)
    rule = CAUSES[hypothesis.name]
    note = f": {first.note}" if first.note else ""
    whole = f"; {packets} packets that were unreadable are whole if that is undone" if packets > 1 else ""
    certainty = _PROOF.get(hypothesis.name, 3 if packets >= 2 or covered == total else 2)
    if isinstance(hypothesis, WrongCrc):
        certainty = 3 if hypothesis.proven else 1 if hypothesis.name == "crc-unknown" else 2
        whole = f" ({packets} packets that were checked fit)" if hypothesis.proven else ""
    head = rule.text.split(". ")[0].split(": ")[0].rstrip(".")
    part = covered / max(total, 1)
    return Cause(
        rule,
        f"{head}{note}{whole}",
        certainty=certainty,
        share=part * min(1.0, e.damaged_bytes / max(e.size, 1)),
        offset=first.offset,
        frame=region.packet,
        span=(first.offset, first.stop),
        recognised=packets,
        instead_of=_AFTER_DAMAGE
        | ({"no-info", "late-info"} if part * e.damaged_bytes > 0.03 * e.size else frozenset()),
    )
