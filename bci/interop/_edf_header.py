"""What the first bytes of EDF, BDF and GDF files say about units and length, read without a library.

Readers disagree about a physical dimension that is blank or unusual (MNE takes the numbers as volts), and
they pad or drop the end of a file that was cut. Both would reach a decoder in silence, so this page reads the
few fields itself: Kemp et al., Electroenceph. Clin. Neurophysiol. 82:391-393, 1992 (EDF); GDF 2.51,
arXiv:cs/0608052.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError

__all__ = ["EdfHeader", "read_edf_header"]

#: ISO/IEEE 11073-10101 codes that GDF 2 uses for physical dimensions.
_GDF2_UNITS = {0: "", 512: "", 4256: "V", 4274: "mV", 4275: "uV", 4276: "nV"}


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """Channel names as stored, their physical dimensions, and EDF's reserved field ("EDF+C", …)."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    variant: str


def read_edf_header(path: Path) -> EdfHeader:
    """Read names and units, and hold the file's length against what its header promises.

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
        _check_length(path, fixed, column(216, 8), width=3 if fixed[0] == 0xFF else 2)
    return EdfHeader(names, units, "" if gdf else _text(fixed[192:236]))


def _check_length(path: Path, fixed: bytes, samples_per_record: list[bytes], *, width: int) -> None:
    try:
        records = int(fixed[236:244])
        record_bytes = width * sum(int(cell) for cell in samples_per_record)
    except ValueError as err:
        raise RecordingError(f"{path} has numbers in its header that cannot be read", path=path) from err
    there = (path.stat().st_size - len(fixed) - 256 * len(samples_per_record)) / max(record_bytes, 1)
    if records == 0 or there <= 0:
        raise RecordingError(f"{path} holds a header and no signal", path=path)
    if there < records:
        raise RecordingError(
            f"{path} was cut: its header promises {records} records, {int(there)} are there; copy it again",
            path=path,
        )


def _text(cell: bytes) -> str:
    return cell.split(b"\0")[0].decode("latin-1").strip()
