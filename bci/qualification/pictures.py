"""Pictures of measurements: kept beside their recordings, one file per language, drawn again where one is missing.

Letters stay letters in the SVG, so Chinese is shown by the reader's fonts and a bench needs none installed.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bci.files import write_private
from bci.language import language
from bci.qualification.result import Measurement, Result, Taken
from bci.qualification.taken import taken_from

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_svg", "data_address", "keep_picture", "kept_picture"]

FONTS = ["Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "DejaVu Sans"]
LEGEND_SIZE = 10
FONT_SIZE = 15  # a sheet shows them at a third of their size


def keep_picture(
    folder: Path, measurement: Measurement, taken: Sequence[Taken], results: Sequence[Result]
) -> None:
    """Draw a measurement in the language spoken, and keep it in an attempt's folder."""
    write_private(_path(folder, measurement.name), as_svg(measurement, taken, results))


def kept_picture(
    folder: Path, measurement: Measurement, results: Sequence[Result], recordings: Sequence[Path]
) -> str:
    """The picture in the language spoken; drawn from the recordings if it was never drawn in it."""
    path = _path(folder, measurement.name)
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if not recordings or not all(recording.is_file() for recording in recordings):
        return ""
    n_channels = taken_from(recordings[0], measurement.takes(8)[0]).info.n_channels
    takes = measurement.takes(n_channels)
    taken = [taken_from(recording, take) for recording, take in zip(recordings, takes, strict=False)]
    keep_picture(folder, measurement, taken, results)
    return path.read_text(encoding="utf-8")


def as_svg(measurement: Measurement, taken: Sequence[Taken], results: Sequence[Result]) -> str:
    """The measurement's figure as SVG text."""
    import matplotlib

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": measurement.name,
        "font.sans-serif": FONTS,
        "font.size": FONT_SIZE,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's fonts have it
        return _saved(measurement.picture(taken, results))


def _saved(figure: Figure) -> str:
    for axes in figure.axes:
        axes.title.set_fontsize(FONT_SIZE)
        if (legend := axes.get_legend()) is not None:
            for name in legend.get_texts():
                name.set_fontsize(LEGEND_SIZE)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def data_address(svg: str) -> str:
    """For an `img` element: what an SVG calls its parts does not get mixed up with another's."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.{language()}.svg"
