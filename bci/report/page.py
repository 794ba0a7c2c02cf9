"""What all reports share: one jinja2 environment, how numbers are written, and what classes are called."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2

from bci.language import _, language, ngettext, thing_word
from bci.prosthesis.monitor_state import say_cause
from bci.report import words

__all__ = ["environment", "figure", "interval", "render"]


def render(template: str, **values: Any) -> str:
    """One of `templates/`, with `_` and the words of this module at hand."""
    return environment().get_template(template).render(lang=_html_language(), **values)


def figure(value: float | None, form: str = "%.2f") -> str:
    """A number, or – where nothing was measured."""
    return "–" if value is None or math.isnan(value) else form % value


def interval(pair: Sequence[float | None] | None, form: str = "%.2f") -> str:
    """A 95 % interval in words."""
    low, high = pair or (None, None)
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return _("no interval")
    return _("95 % interval {low} to {high}").format(low=form % low, high=form % high)


def thousands(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def moment(seconds: float) -> str:
    """Wall clock of this computer, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _html_language() -> str:
    return {"en": "en", "zh": "zh-Hans"}[language()]


@cache
def environment() -> jinja2.Environment:
    """The environment of all templates."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bci.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        _=_,
        ngettext=ngettext,
        figure=figure,
        interval=interval,
        thousands=thousands,
        moment=moment,
        say_cause=say_cause,
        **{name: getattr(words, name) for name in words.__all__ if name.islower()},
        thing_word=thing_word,
    )
    environment.filters["finding_word"] = words.finding_word
    return environment
