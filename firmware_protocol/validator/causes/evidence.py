"""What the search for causes may look at, and the form of an explanation of damaged bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from firmware_protocol.frames import Fault
from firmware_protocol.layout import DATA
from firmware_protocol.validator.causes.search import stretches
from firmware_protocol.validator.findings import CAUSES, Cause, Finding
from firmware_protocol.validator.regions import Region
from firmware_protocol.validator.steps import Step
from firmware_protocol.validator.stream import Stream
from firmware_protocol.validator.wire import field_bytes

if TYPE_CHECKING:
    from firmware_protocol.validator.causes.sample_watch import SampleWatch

__all__ = ["Evidence", "Explained", "Hypothesis", "Stretch", "of_step", "sampled"]

_STRETCHES = 24


@dataclass(frozen=True, slots=True)
class Evidence:
    """A capture after its end. `sound_faults`: packets whose CRC is right and whose content is not."""

    stream: Stream
    regions: Sequence[Region]
    sound_faults: Sequence[Fault]
    samples: SampleWatch
    size: int
    damaged_bytes: int
    first: Mapping[str, Finding]  # the first finding of each rule, by identifier
    asked: int = 0  # COMMANDs that the host is known to have sent


class Stretch(NamedTuple):
    """Bytes between two zeros of a damaged region, with its place in the stream."""

    offset: int
    coded: bytes


class Explained(NamedTuple):
    """How much of a region a hypothesis makes sense of.

    `covered`: bytes of the region's data; `packets`: whole packets that come to light; `offset`: stream position
    of the first byte that is wrong under this hypothesis, `stop` the end of those bytes there.
    """

    covered: int
    packets: int = 0
    offset: int = 0
    stop: int = 0
    note: str = ""


NOTHING = Explained(0)


class Hypothesis(Protocol):
    """One way in which bytes may have been damaged. `name` is that of its cause."""

    name: str

    def explain(self, region: Region) -> Explained: ...


def sampled(region: Region) -> list[Stretch]:
    """Stretches of a region, evenly selected, each at most as long as a packet may be."""
    found = [Stretch(region.offset + at, part[:1400]) for at, part in stretches(region.data)]
    return found[:: -(-len(found) // _STRETCHES) or 1]


def of_step(
    name: str,
    text: str,
    step: Step,
    field: str,
    *,
    share: float,
    certainty: int,
    follow: frozenset[str] = frozenset(),
) -> Cause:
    """A cause that a field of the second frame of `step` shows."""
    return Cause(
        CAUSES[name],
        text,
        certainty=certainty,
        share=share,
        offset=step.after.offset,
        frame=step.packet,
        packet_bytes=field_bytes(DATA, field),
        instead_of=follow,
    )
