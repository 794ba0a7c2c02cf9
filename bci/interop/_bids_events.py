"""Cues of a BIDS data set: `…_events.tsv` beside `…_eeg.*` goes before the recording's own annotations [1]_.

References
----------
.. [1] BIDS specification 1.10, "Events": onset in s from the first sample, `trial_type` or `value` for what it was.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

from bci.errors import RecordingError

__all__ = ["markers_beside"]


def markers_beside(path: Path, rate: Fraction) -> tuple[tuple[int, str], ...] | None:
    """(sample, text) of each event; None where no such file lies there.

    Raises
    ------
    RecordingError
        If it has no onsets, or one that is no number.
    """
    if not path.stem.endswith("_eeg"):
        return None
    beside = path.with_name(f"{path.stem.removesuffix('eeg')}events.tsv")
    if not beside.is_file():
        return None
    found = []
    try:
        with beside.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter="\t")
            if "onset" not in (table.fieldnames or ()):
                raise KeyError("onset")
            for row in table:
                text = next(
                    (row[key] for key in ("trial_type", "value") if row.get(key) not in (None, "", "n/a")), ""
                )
                if text and row["onset"] != "n/a":
                    found.append((round(float(row["onset"]) * rate), text))
    except (KeyError, ValueError, OSError) as err:
        raise RecordingError(
            f"{beside} cannot be read as events of BIDS ({err!r}): it needs a column `onset` of seconds, "
            "and `trial_type` or `value`",
            path=beside,
        ) from err
    return tuple(sorted(found))
