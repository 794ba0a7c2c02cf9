"""What the markers of well-known recordings mean, so that they play without options.

A vocabulary is tried in order; the first whose markers are all in the file names its cues. Anything else
takes the `labels` option: `right=OVTK_GDF_Right rest=OVTK_GDF_Tongue`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bci.errors import LabelError
from bci.language import _

__all__ = ["Vocabulary", "movement_of", "parse_labels", "recognise"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Class name → marker text, and how to tell that a file speaks so.

    `stem` must match the file's name without suffix; all of `needs` and none of `unless` must be among the
    markers. Where `starts` is set, the markers of `labels` only announce a trial and time zero is the next
    marker of that text. `channels` are the names of a file that carries none.
    """

    labels: Mapping[str, str]
    stem: str = ".*"
    needs: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    starts: str | None = None
    channels: tuple[str, ...] = field(default=())


_PHYSIONET_HANDS = r"S\d{3}R(03|04|07|08|11|12)"
_PHYSIONET_FEET = r"S\d{3}R(05|06|09|10|13|14)"

_KNOWN = (
    # The project's own cues, in recordings and in what was exported of them
    Vocabulary({"rest": "rest", "left": "left", "right": "right"}),
    Vocabulary({"rest": "rest", "right": "right"}),
    Vocabulary({"rest": "rest", "left": "left"}),
    Vocabulary({"left": "left", "right": "right"}),
    # PhysioNet EEG Motor Movement/Imagery: the meaning of T1 and T2 changes with the run
    Vocabulary({"left": "T1", "right": "T2"}, stem=_PHYSIONET_HANDS),
    Vocabulary({"fists": "T1", "feet": "T2"}, stem=_PHYSIONET_FEET),
    # MI-OpenBCI (Peterson et al. 2020): grasp against rest, for which the authors re-used the Tongue code
    Vocabulary({"rest": "OVTK_GDF_Tongue", "right": "OVTK_GDF_Right"}, unless=frozenset({"OVTK_GDF_Left"})),
    # OpenViBE's own motor imagery scenarios
    Vocabulary({"left": "OVTK_GDF_Left", "right": "OVTK_GDF_Right"}),
    # The same events as GDF type numbers (0x301, 0x302)
    Vocabulary({"left": "769", "right": "770"}),
    # Exoskeleton SSVEP (Kalunga et al. 2016): announced by frequency, time zero when the light starts
    Vocabulary(
        {"rest": "33024", "13Hz": "33025", "21Hz": "33026", "17Hz": "33027"},
        needs=frozenset({"32779"}),
        starts="32779",
    ),
    # BCI4ALS recordings: numbers as text over LSL, electrodes in the authors' order, unnamed in the file
    Vocabulary(
        {"rest": "1", "left": "2", "right": "3"},
        needs=frozenset({"111", "1111", "9"}),  # "1 2 3" alone would say nothing
        channels=("C3", "C4", "Cz", "FC1", "FC2", "FC5", "FC6", "CP1", "CP2", "CP5", "CP6"),
    ),
)


def recognise(path: Path, markers: Collection[str]) -> Vocabulary | None:
    """The vocabulary of a file with this name and these marker texts, or None."""
    found = set(markers)
    for known in _KNOWN:
        named = re.fullmatch(known.stem, path.stem) is not None
        if named and found >= known.needs | set(known.labels.values()) and not found & known.unless:
            return known
    return None


def movement_of(path: Path) -> str:
    """ "executed", "intended" or (no task) "baseline" where the set's naming says so, else ""."""
    if match := re.fullmatch(r"S\d{3}R(\d{2})", path.stem):
        run = int(match[1])
        return "baseline" if run < 3 else ("executed" if run % 2 else "intended")
    if match := re.fullmatch(r"S\d{2}_R(\d)", path.stem):
        return "intended" if int(match[1]) else "executed"
    return ""


def parse_labels(options: Sequence[str]) -> dict[str, str]:
    """`["right=OVTK_GDF_Right", "rest=OVTK_GDF_Tongue"]` as a mapping of class name to marker text.

    Raises
    ------
    LabelError
        If an option has no `=`, a side is empty, or a name comes twice.
    """
    labels: dict[str, str] = {}
    for option in options:
        name, sign, text = option.partition("=")
        if not (name and sign and text) or name in labels:
            raise LabelError(
                _(
                    "labels are given as NAME=MARKER, each name once (right=T2 left=T1); got {option!r}"
                ).format(option=option)
            )
        labels[name] = text
    return labels
