"""Text of the OpenBCI GUI (all versions), and the hexadecimal log that a Cyton writes to its SD card.

The GUI's values are µV already, by the gain that was set. The card holds the converter's own numbers and says nothing
of a gain: where nobody tells it, it is taken to be 24, which the board starts with [1]_, and the import says so. With a
Daisy the card has all 250 samples a second, a stream half of them.

References
----------
.. [1] OpenBCI, Cyton SD card, docs.openbci.com/Cyton/CytonSDCard; data format, docs.openbci.com/Cyton/CytonDataFormat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from bci.errors import RecordingError
from bci.interop._counted_text import BLOCK_LINES, CYTON_UV, RAIL_UV, Block, CountedText, Layout
from bci.interop._door import ImportOptions

__all__ = ["GAINS", "read", "read_card"]

GAINS = (1, 2, 4, 6, 8, 12, 24)  # ADS1299 data sheet, SBAS499C, CHnSET
BOARD_GAIN = 24
ASSUMED = (
    f"the file does not say the gain; {BOARD_GAIN} was taken, with which a Cyton starts. If it was set to another one, "
    "import it again with --gain"
)

GANGLION_UV = 1.2e6 / (8388607.0 * 1.5 * 51.0)  # OpenBCI, Ganglion data format
_AUX = re.compile(r"accel", re.IGNORECASE)


def read(path: Path, options: ImportOptions) -> CountedText:
    """A file of the GUI.

    Raises
    ------
    RecordingError
        If it has no header, no samples, or does not say its rate.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        header, titles, first = _header(file)
    if first is None:
        raise RecordingError(f"{path} holds a header and no samples", path=path)
    rate = re.search(r"sample rate\s*=\s*([\d.]+)", header, re.IGNORECASE)
    if rate is None and not options.rate_hz:
        raise RecordingError(f"{path} does not say its sampling rate; give it with --rate", path=path)
    fields = [field.strip() for field in first.split(",")]
    if titles:
        electrodes = [k for k, title in enumerate(titles) if re.match(r"(EXG|EEG) Channel", title)]
        aux = [k for k, title in enumerate(titles) if _AUX.match(title)]
        stamp = next((k for k, title in enumerate(titles) if title == "Timestamp"), -1)
        marker = next((k for k, title in enumerate(titles) if title.startswith("Marke")), -1)
    else:
        stated = re.search(r"number of channels\s*=\s*(\d+)", header, re.IGNORECASE)
        # number, …, three of acceleration
        n = int(stated[1]) if stated else sum(_is_number(f) for f in fields) - 4
        electrodes, aux = list(range(1, n + 1)), list(range(n + 1, n + 4))
        stamp, marker = len(fields) - 1, -1
    if not electrodes or max(electrodes) >= len(fields):
        raise RecordingError(
            f"{path} has lines of {len(fields)} fields and no column of an EXG channel", path=path
        )
    board = re.search(r"board\s*=\s*(?:OpenBCI_GUI\$)?(?:Board)?(\w+)", header, re.IGNORECASE)
    name = board[1] if board else ("Ganglion" if len(electrodes) == 4 else "Cyton")
    ganglion = "ganglion" in name.lower()
    columns = [*electrodes, *aux]
    layout = Layout(
        tuple(
            [f"EXG{k + 1}" for k in range(len(electrodes))] + [f"Accel{axis}" for axis in "XYZ"[: len(aux)]]
        ),
        ("eeg",) * len(electrodes) + ("misc",) * len(aux),
        Fraction(rate[1] if rate else str(options.rate_hz)).limit_denominator(100_000),
        f"OpenBCI {name}",
        GANGLION_UV if ganglion else CYTON_UV,
        0.0 if ganglion else RAIL_UV,
    )
    return CountedText(path, layout, lambda: _blocks(path, columns, stamp, marker, len(fields)), options)


def _header(file: IO[str]) -> tuple[str, list[str], str | None]:
    """Comment lines, titles of columns, and the first line of samples."""
    comments: list[str] = []
    titles: list[str] = []
    for line in file:
        if line.startswith("%"):
            comments.append(line)
        elif line.lower().startswith("sample index"):
            titles = [title.strip() for title in line.split(",")]
        elif line.strip():
            return "".join(comments), titles, line
    return "".join(comments), titles, None


def _blocks(path: Path, columns: list[int], stamp: int, marker: int, n_fields: int) -> Iterator[Block]:
    """Lines of samples, some thousand at a time."""
    with path.open(encoding="utf-8", errors="replace") as file:
        while lines := list(islice(file, BLOCK_LINES)):
            rows: list[list[float]] = []
            damaged = 0
            for line in lines:
                if line.startswith(("%", "Sample Index")) or not line.strip():
                    continue
                fields = line.split(",")
                try:
                    if len(fields) < n_fields:
                        raise ValueError
                    row = [
                        float(fields[0]),
                        _seconds(fields[stamp]),
                        float(fields[marker]) if marker >= 0 else 0.0,
                    ]
                    rows.append(row + [float(fields[k]) for k in columns])
                except ValueError:
                    damaged += 1
            x = np.array(rows, dtype=np.float64).reshape(-1, 3 + len(columns))
            yield Block(x[:, 0].astype(np.int64), x[:, 1], x[:, 3:], x[:, 2], damaged)


def _seconds(text: str) -> float:
    """A time of day, milliseconds or seconds since 1970."""
    text = text.strip()
    if ":" in text:
        hours, minutes, seconds = text.split(" ")[-1].split(":")
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    value = float(text)
    return value / 1000 if value > 1e11 else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---- the SD card ---------------------------------------------------------------------------------------------


def read_card(path: Path, options: ImportOptions) -> CountedText:
    """A log of the SD card.

    Raises
    ------
    RecordingError
        If it has no line of 8 or 16 samples, or was told a gain that the converter does not have.
    """
    if options.gain not in (0, *GAINS):
        raise RecordingError(
            f"no amplifier of a Cyton has the gain {options.gain}; it is one of {', '.join(map(str, GAINS))}",
            path=path,
        )
    gain = options.gain or BOARD_GAIN
    scale = BOARD_GAIN / gain
    n_channels = 0
    with path.open("rb") as file:
        for line in islice(file, 64):
            fields = line.strip().split(b",")
            if len(fields[0]) == 2 and len(fields) > 8:
                n_channels = sum(len(field) == 6 for field in fields[1:17])
                break
    if n_channels not in (8, 16):
        raise RecordingError(f"{path} has no line of 8 or 16 samples of an SD card's log", path=path)
    layout = Layout(
        tuple(f"EXG{k + 1}" for k in range(n_channels)),
        ("eeg",) * n_channels,
        Fraction(250),
        "OpenBCI Cyton" + (" with Daisy" if n_channels == 16 else ""),
        scale * CYTON_UV,
        scale * RAIL_UV,
        notes={"gain": gain} if options.gain else {"gain": gain, "assumed": [ASSUMED]},
    )
    return CountedText(path, layout, lambda: _card_blocks(path, n_channels, layout.step_uv), options)


def _card_blocks(path: Path, n_channels: int, step_uv: float) -> Iterator[Block]:
    whole = re.compile(rb"[0-9A-Fa-f]{2}(?:,[0-9A-Fa-f]{6}){%d}(?:,[0-9A-Fa-f]{1,4})*" % n_channels)
    begun = False
    with path.open("rb") as file:
        while lines := list(islice(file, BLOCK_LINES)):
            numbers: list[int] = []
            rows: list[list[int]] = []
            damaged = 0
            for raw in lines:
                line = raw.strip(b" \r\n\0")
                if whole.fullmatch(line):
                    fields = line.split(b",")
                    numbers.append(int(fields[0], 16))
                    rows.append([int(field, 16) for field in fields[1 : n_channels + 1]])
                    begun = True
                elif begun and b"," in line:  # all else are the firmware's words and block counts
                    damaged += 1
            counts = np.array(rows, dtype=np.int64).reshape(-1, n_channels)
            values = (counts - ((counts >> 23) << 24)).astype(np.float64) * step_uv
            no_time, no_marker = np.full(len(numbers), np.nan), np.zeros(len(numbers))
            yield Block(np.array(numbers, dtype=np.int64), no_time, values, no_marker, damaged)
