"""What the first bytes of EDF, BDF and GDF files say about units and length, read without a library.

Readers disagree about a physical dimension that is blank or unusual (MNE takes the numbers as volts), and
they pad or drop the end of a file that was cut. Both would reach a decoder in silence, so this page reads the
few fields itself: Kemp et al., Electroenceph. Clin. Neurophysiol. 82:391-393, 1992 (EDF); GDF 2.51,
arXiv:cs/0608052.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

from bci.errors import RecordingError
from bci.interop._door import HOW_TO_SALVAGE

__all__ = ["EdfFile", "EdfHeader", "EdfSignal", "read_edf_file", "read_edf_header"]

#: ISO/IEEE 11073-10101 codes that GDF 2 uses for physical dimensions.
_GDF2_UNITS = {0: "", 512: "", 4256: "V", 4274: "mV", 4275: "uV", 4276: "nV"}


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """Channel names as stored, their physical dimensions, and EDF's reserved field ("EDF+C", …)."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    variant: str


@dataclass(frozen=True, slots=True)
class EdfSignal:
    """One signal of an EDF or BDF file. `at` is where its bytes begin in a data record."""

    name: str
    unit: str
    transducer: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    n_samples: int
    at: int
    width: int

    @property
    def is_annotations(self) -> bool:
        return self.name in ("EDF Annotations", "BDF Annotations")


@dataclass(frozen=True, slots=True)
class EdfFile:
    """What the header of an EDF or BDF file says."""

    variant: str
    recording: str
    started: str
    n_records: int
    record_s: Fraction
    header_bytes: int
    record_bytes: int
    signals: tuple[EdfSignal, ...]
    promised: int


def read_edf_header(path: Path, *, salvage: bool = False) -> EdfHeader:
    """Read names and units, and hold the file's length against what its header promises (unless `salvage`).

    Raises
    ------
    RecordingError
        If the header is no EDF, BDF or GDF header, or an EDF or BDF file is shorter than it says.
    """
    with path.open("rb") as file:
        fixed = file.read(256)
        if len(fixed) < 256:
            raise RecordingError(f"{path} ends within its header; it was cut, copy it again", path=path)
        gdf = fixed[:3] == b"GDF"
        two = gdf and float(fixed[4:8]) >= 1.9
        try:
            count = fixed[252:254] if two else fixed[252:256]
            n = int.from_bytes(count, "little") if gdf else int(count)
        except ValueError as err:
            raise RecordingError(
                f"{path} has no EDF, BDF or GDF header; is its suffix right?", path=path
            ) from err
        table = file.read(256 * n)
    if len(table) < 256 * n:
        raise RecordingError(f"{path} ends within its header; it was cut, copy it again", path=path)

    def column(start: int, width: int) -> list[bytes]:
        return [table[n * start + width * k : n * start + width * (k + 1)] for k in range(n)]

    names = tuple(_text(cell) for cell in column(0, 16))
    if two:
        codes = (int.from_bytes(cell, "little") for cell in column(102, 2))
        units = tuple(_GDF2_UNITS.get(code, f"code {code}") for code in codes)
    else:
        units = tuple(_text(cell) for cell in column(96, 8))
    if not gdf:
        _check_length(path, fixed, column(216, 8), width=3 if fixed[0] == 0xFF else 2, salvage=salvage)
    return EdfHeader(names, units, "" if gdf else _text(fixed[192:236]))


def read_edf_file(path: Path, *, salvage: bool = False) -> EdfFile:
    """All of the header of an EDF or BDF file; not a byte of its signals. `salvage`: of one that was cut, too.

    Raises
    ------
    RecordingError
        If it is none, or the file is shorter than it says.
    """
    read_edf_header(path, salvage=salvage)  # the length
    with path.open("rb") as file:
        fixed = file.read(256)
        n = int(fixed[252:256])
        table = file.read(256 * n)
    cells = {}
    at = 0
    for field, width in _SIGNAL_FIELDS:
        cells[field] = [_text(table[at + width * k : at + width * (k + 1)]) for k in range(n)]
        at += width * n
    width = 3 if fixed[0] == 0xFF else 2
    try:
        sizes = [int(cell) for cell in cells["n_samples"]]
        starts = [width * sum(sizes[:k]) for k in range(n)]
        signals = tuple(
            EdfSignal(
                cells["label"][k],
                cells["unit"][k],
                cells["transducer"][k],
                (float(cells["physical_min"][k]), float(cells["physical_max"][k])),
                (int(float(cells["digital_min"][k])), int(float(cells["digital_max"][k]))),
                sizes[k],
                starts[k],
                width,
            )
            for k in range(n)
        )
        record_s = Fraction(_text(fixed[244:252])).limit_denominator(10_000_000)
        header_bytes = int(fixed[184:192])
    except ValueError as err:
        raise RecordingError(
            f"{path} has numbers in its header that cannot be read: {err}", path=path
        ) from err
    record_bytes = width * sum(sizes)
    promised = int(fixed[236:244])
    there = (path.stat().st_size - header_bytes) // max(record_bytes, 1)
    n_records = there if promised < 0 else min(promised, there)  # below 0: of a file that was not closed
    return EdfFile(
        _text(fixed[192:236]), _text(fixed[88:168]), _date(_text(fixed[168:176]), _text(fixed[176:184])),
        n_records, record_s, header_bytes, record_bytes, signals, promised,
    )  # fmt: skip


_SIGNAL_FIELDS = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefiltering", 80),
    ("n_samples", 8),
)


def _date(day: str, time: str) -> str:
    """ISO 8601; "" for the standard's "no date", 01.01.85, and whatever is no date."""
    try:
        found = datetime.strptime(f"{day} {time}", "%d.%m.%y %H.%M.%S")
    except ValueError:
        return ""
    if found.year >= 2085:
        found = found.replace(year=found.year - 100)
    return "" if day == "01.01.85" else found.isoformat()


def _check_length(
    path: Path, fixed: bytes, samples_per_record: list[bytes], *, width: int, salvage: bool
) -> None:
    try:
        records = int(fixed[236:244])
        record_bytes = width * sum(int(cell) for cell in samples_per_record)
    except ValueError as err:
        raise RecordingError(f"{path} has numbers in its header that cannot be read", path=path) from err
    there = (path.stat().st_size - len(fixed) - 256 * len(samples_per_record)) / max(record_bytes, 1)
    if records == 0 or there <= 0 or (salvage and there < 1):
        raise RecordingError(f"{path} holds a header and no signal", path=path)
    if there < records and not salvage:
        raise RecordingError(
            f"{path} was cut: its header promises {records} records, {int(there)} are there; {HOW_TO_SALVAGE}",
            path=path,
        )


def _text(cell: bytes) -> str:
    text = cell.split(b"\0")[0]
    try:
        return text.decode().strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()
