"""The present instruction as a page for a screen beside the bench: a drawing, a sentence, how far it is."""

from __future__ import annotations

import os
from pathlib import Path

from bci.files import write_private
from bci.language import _, language
from bci.qualification.drawings import drawing_svg
from bci.qualification.guide import Guide, Stage
from bci.qualification.templates import template

__all__ = ["write_guide_page"]

RELOAD_S = 2


def write_guide_page(path: Path, guide: Guide) -> None:
    """Write the page whole, in place of the one before; a browser that shows it reloads every two seconds."""
    take = guide.present
    sentence = guide.sentence if guide.stage == Stage.ASK else take.instruction if take else ""
    page = template("guide.html.j2").render(
        language=language(),
        reload_s=0 if guide.over else RELOAD_S,
        title=guide.now.title if guide.now else _("The board is done; take it off."),
        number=min(guide.at + 1, len(guide.plan)),
        of=len(guide.plan),
        sentence="" if guide.over else sentence,
        drawing=drawing_svg(dict(take.connect)) if take and not guide.over else "",
        minutes=max(1, round(guide.left_s / 60)),
        over=guide.over,
    )
    new = path.with_name(f".{path.name}.new")
    write_private(new, page)
    os.replace(new, path)  # noqa: PTH105 - the reader sees the old page or the new one
