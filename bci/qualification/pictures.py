"""Pictures of measurements: kept beside their recordings, one file per language, drawn again where one is missing.

Letters stay letters in the SVG, so Chinese is shown by the reader's fonts and a bench needs none installed.
"""

from __future__ import annotations

import base64
import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bci.errors import BenchRecordError, RecordingError
from bci.language import language
from bci.qualification.course import Course
from bci.qualification.result import Measurement, Result, Taken
from bci.qualification.taken import taken_from
from bci.qualification.whole_files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["as_svg", "data_address", "keep_picture", "kept_picture"]

WIDE_FONT = "DejaVu Sans"
FONTS = ["Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", WIDE_FONT]
LEGEND_SIZE = 10
FONT_SIZE = 15  # a sheet shows them at a third of their size
WIDE = 0x2E80  # Chinese letters and signs begin here
EDGE_IN = 0.1  # round everything: a Chinese letter is higher than a W
FULL = 0.95  # of the room to the nearer edge, for one line of letters


def keep_picture(
    folder: Path, measurement: Measurement, taken: Sequence[Taken], results: Sequence[Result]
) -> None:
    """Draw a measurement in the language spoken, and keep it in an attempt's folder.

    Raises
    ------
    BenchRecordError
        If it cannot be written.
    """
    write_whole(_path(folder, measurement.name), _drawn(folder, measurement, taken, results))


def _drawn(folder: Path, measurement: Measurement, taken: Sequence[Taken], results: Sequence[Result]) -> str:
    if measurement.until_failure:
        results = [*Course(folder, measurement.name).results(), *results]
    return as_svg(measurement, taken, results)


def kept_picture(
    folder: Path, measurement: Measurement, results: Sequence[Result], recordings: Sequence[Path]
) -> str:
    """The picture in the language spoken; drawn from the recordings if it was never drawn in it, "" without them."""
    path = _path(folder, measurement.name)
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if not recordings or not all(recording.is_file() for recording in recordings):
        return ""
    try:
        n_channels = taken_from(recordings[0], measurement.takes(8)[0]).info.n_channels
        takes = measurement.takes(n_channels)
        if measurement.until_failure:
            recordings = recordings[:1]
        taken = [taken_from(recording, take) for recording, take in zip(recordings, takes, strict=False)]
    except RecordingError:  # damaged since: the figures are in the record all the same
        return ""
    svg = _drawn(folder, measurement, taken, results)
    with contextlib.suppress(BenchRecordError):  # a batch that is only looked at may be read-only
        write_whole(path, svg)
    return svg


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
    _lay_out(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _lay_out(figure: Figure) -> None:
    """Place everything as the reader's fonts will need it, whatever fonts are here, and let no letter leave the edge.

    A bench without Chinese fonts would measure narrow boxes in place of letters, and some fonts are narrower than
    others. So the layout is made in the wide font that comes with matplotlib, with Ws, which are there as wide as
    Chinese letters are; it is kept, and then the letters and their fonts are put back.
    """
    import matplotlib
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if text.get_text()]
    letters = [text.get_text() for text in texts]
    for text, own in zip(texts, letters, strict=True):
        text.set_text("".join("W" if ord(letter) >= WIDE else letter for letter in own))
    figure.set_layout_engine("constrained", w_pad=EDGE_IN, h_pad=EDGE_IN)
    with matplotlib.rc_context({"font.sans-serif": [WIDE_FONT]}):
        figure.draw_without_rendering()
        for axes in figure.axes:
            for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
                _shrink(text, figure)
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for text, own in zip(texts, letters, strict=True):
        text.set_text(own)


def _shrink(text: Text, figure: Figure) -> None:
    """A text that would leave the picture becomes smaller; its middle stays where it is."""
    box, whole = text.get_window_extent(), figure.bbox
    share = max(_share(box.x0, box.x1, whole.width), _share(box.y0, box.y1, whole.height))
    if share > FULL:
        text.set_fontsize(float(text.get_fontsize()) * FULL / share)


def _share(start: float, end: float, whole: float) -> float:
    """Of the room that a text has on both sides of its middle."""
    middle = (start + end) / 2
    return (end - middle) / max(min(middle, whole - middle), 1e-9)


def data_address(svg: str) -> str:
    """For an `img` element: what an SVG calls its parts does not get mixed up with another's."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.{language()}.svg"
