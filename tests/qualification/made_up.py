"""Measurements of a second, an operator who answers from a list, and a rig with clumsy hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bci.language import _
from bci.qualification.guide import Abort, Event, Guide, Stage
from bci.qualification.limits import Limits
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from bci.qualification.rig import SimulatedRig

NAN = float("nan")


def result(
    test: str = "offset", channel: str | None = "ch1", value: float = 1.0, verdict: str = "pass", **more: Any
) -> Result:
    fields: dict[str, Any] = {"unit": "µV", "uncertainty": 0.1, "limit_low": -2.0, "limit_high": 2.0, **more}
    return Result(test=test, channel=channel, value=value, verdict=verdict, **fields)  # type: ignore[arg-type]


def rms_of(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    """One figure per take: what the first channel shows."""
    results = []
    for taken in takens:
        value = float(np.nanstd(taken.data_uv[0]))
        verdict = "pass" if value < 1e5 else "fail"
        reason = "" if verdict == "pass" else _("The figure could not be computed.")
        results.append(result(f"{taken.take.name}", "ch1", value, verdict, reason=reason))
    return results


def measurement(
    name: str,
    *takes: Take,
    evaluate: Callable[[Sequence[Taken], Limits], list[Result]] = rms_of,
    **more: Any,
) -> Measurement:
    def picture(takens: Sequence[Taken], results: Sequence[Result]) -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3, 2))
        figure.add_subplot().set_title(_("Noise"))
        return figure

    return Measurement(
        name=name,
        needs=more.pop("needs", "nothing"),
        title=lambda: _("Noise"),
        instruction=lambda: "",
        takes=lambda n: takes or (short(),),
        evaluate=evaluate,
        picture=picture,
        **more,
    )


def short(name: str = "shorted", **more: Any) -> Take:
    return Take(
        name, more.pop("seconds", 0.4), Setting(mux=1, **more.pop("setting", {})), settle_s=0.1, **more
    )


class Answers:
    """An operator who says what is on a list; `stop_when` looks at the guide while the board streams."""

    def __init__(self, *answers: Event, stop_when: Callable[[Guide], bool] = lambda guide: False) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Stage, str]] = []
        self.seen: list[Guide] = []
        self._stop_when = stop_when

    def show(self, guide: Guide) -> None:
        self.seen.append(guide)

    def answer(self, guide: Guide) -> Event:
        self.asked.append(
            (guide.stage, guide.sentence or (guide.present.instruction if guide.present else ""))
        )
        return self.answers.pop(0) if self.answers else Abort()

    def stopped(self) -> bool:
        return bool(self.seen) and self._stop_when(self.seen[-1])


class ClumsyRig(SimulatedRig):
    """Connects something else than asked, as long as `mistake` says."""

    def __init__(self, board: Any, mistake: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(board)
        self.mistake = mistake

    def connect(self, what: Mapping[str, float | str]) -> None:
        super().connect(self.mistake(dict(what)))
