"""The present instruction as a page for a screen beside the bench: a drawing, a sentence, how far it is."""

from __future__ import annotations

from pathlib import Path

from bci.language import _, language
from bci.qualification.drawings import drawing_svg
from bci.qualification.guide import Guide, Stage
from bci.qualification.templates import template
from bci.qualification.whole_files import write_whole

__all__ = ["write_guide_page"]

RELOAD_S = 2


def write_guide_page(path: Path, guide: Guide) -> None:
    """Write the page whole, in place of the one before; a browser that shows it reloads every two seconds, for ever.

    Raises
    ------
    BenchRecordError
        If it cannot be written.
    """
    take = guide.present
    if guide.stage == Stage.ASK and guide.now is not None:
        take = guide.now.takes[0]  # where it begins again
    if guide.over or take is None or not take.instruction:
        take = None  # no hands are needed
    measuring = guide.stage in (Stage.MEASURE, Stage.JUDGE)
    page = template("guide.html.j2").render(
        language=language(),
        reload_s=RELOAD_S,
        title=_title(guide),
        number=min(guide.at + 1, len(guide.plan)),
        of=len(guide.plan),
        wrong=guide.sentence if guide.stage == Stage.ASK else "",
        sentence=take.instruction if take else "",
        drawing=drawing_svg(dict(take.connect)) if take else "",
        measuring=""
        if not measuring
        else _("Measuring …")
        if take
        else _("Measuring; leave everything as it is."),
        minutes=max(1, round(guide.left_s / 60)),
        over=guide.over,
    )
    write_whole(path, page)


def _title(guide: Guide) -> str:
    if guide.stage == Stage.ABORTED:
        return _("Stopped. The board is at rest; take it off.")
    return guide.now.title if guide.now else _("The board is done; take it off.")
