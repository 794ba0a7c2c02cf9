"""Pages of the bench. Their sentences are looked up like those in the code: `{{ _("…") }}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bci.language import _, ngettext

if TYPE_CHECKING:
    import jinja2

__all__ = ["template"]


def template(name: str) -> jinja2.Template:
    """A page that escapes what it is given, and refuses what it is not."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bci.qualification"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_=_, ngettext=ngettext)
    return environment.get_template(name)
