"""The clinic's terminal at 80 and 120 columns, in both languages: nothing cut off, mode and STOP in the first line."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from bci.cli._clinic_view import MODES, draw, mode_word
from bci.dsp import ChannelQuality
from bci.language import _, use_language
from bci.prosthesis import Snapshot
from bci.sessions.electrodes import judge, summary_sentence
from bci.sessions.guided import Shown
from bci.sessions.screen import button, class_word, cue_state, electrode_states, hand_state, stage

CHANNELS = [
    "F3",
    "Fz",
    "F4",
    "FC5",
    "FC1",
    "FC2",
    "FC6",
    "C3",
    "Cz",
    "C4",
    "CP5",
    "CP1",
    "CP2",
    "CP6",
    "O1",
    "O2",
]


@pytest.fixture(params=["en", "zh"])
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    use_language(request.param)
    yield request.param
    use_language("en")


def states() -> dict[str, dict[str, Any]]:
    """One of each screen, all of it filled."""
    seen = [
        judge(
            ChannelQuality(name, 20 if name == "C3" else 100, ("noise",), ("noise",), 0.0, 1.0, 1.0, 1.0),
            kohm=130.0 if name == "C3" else 8.0,
        )
        for name in CHANNELS
    ]
    end = button("quit", _("End"))
    hand = {"mode": "moving", "position": [0.5] * 6, "contact": [False] * 6, "cause": "", "stopped": False}
    return {
        "check": {
            "electrodes": electrode_states(seen),
            "stage": stage(_("Signal check"), summary_sentence(seen), button("next", _("Go on")), end),
        },
        "calibration": {
            "cue": {
                "word": class_word("right", movement="intended"),
                "kind": "right",
                "phase": "cue",
                "left_s": 3.0,
                "beep": True,
            },
            "progress": {
                "done": 23,
                "total": 80,
                "left_s": 600,
                "text": _("trial {done} of {total}").format(done=23, total=80),
            },
            "stage": stage(
                _("Calibration"), _("Do it now, until the pause."), button("pause", _("Pause")), end
            ),
        },
        "control": {
            "hand": hand,
            "probabilities": {"rest": 0.4, "right": 0.6},
            "threshold": 0.8,
            "link": {"lost": 3, "latency_ms": None, "faults": 0},
            "drift": {"level": "strong", "text": _("The signal is as in the calibration.")},
            "electrodes": electrode_states(seen),
            "stage": stage(
                _("Control"),
                _("The hand follows. Space or Esc is STOP."),
                button("disarm", _("Disarm")),
                button("check", _("Measure again")),
                button("recalibrate", _("Calibrate again")),
                end,
            ),
            "notes": [_("The measured check is over. Now the hand may be used freely.")],
        },
    }


def shown(state: dict[str, Any], width: int, *, ascii_only: bool = False) -> list[str]:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False
    )
    console.print(draw(state, width=width, ascii_only=ascii_only))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("screen", ["check", "calibration", "control"])
def test_nothing_is_cut_off(width: int, screen: str, spoken: str) -> None:
    state = states()[screen]
    lines = shown(state, width)
    page = "\n".join(lines)
    assert all(columns(line) <= width for line in lines)
    assert "…" not in page.replace(_("Listening to the electrodes …"), "")
    flat = page.replace("\n", "").replace(" ", "")
    for text in (
        state["stage"]["text"],
        *(b["label"] for b in state["stage"]["buttons"]),
        *state.get("notes", ()),
    ):
        assert text.replace(" ", "") in flat
    assert len(lines) <= 24, "fits a terminal of 24 lines"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("screen", ["check", "calibration", "control"])
def test_stop_stands_in_the_first_line_of_every_screen(width: int, screen: str, spoken: str) -> None:
    first = shown(states()[screen], width)[0]
    assert "STOP" in first
    assert _(" Space or Esc ").strip() in first


@pytest.mark.parametrize("mode", sorted({"disarmed", "armed", "moving", "hold", "fault", "stale"}))
def test_each_mode_of_the_hand_stands_in_the_first_line_and_looks_its_own_way(mode: str, spoken: str) -> None:
    state = states()["control"]
    state["hand"]["mode"] = mode
    assert mode_word(mode) in shown(state, 80)[0]
    if spoken == "en":
        assert mode_word(mode) == mode.upper()


def test_the_time_that_is_left_is_said_once_and_in_the_words_of_the_page(spoken: str) -> None:
    state = states()["calibration"]
    for left_s, words in ((600, "10 min left"), (163, "2 min 43 s left"), (9, "9 s left")):
        state["progress"]["left_s"] = left_s
        page = "\n".join(shown(state, 120))
        assert spoken == "zh" or words in page
        assert page.count(_("{time} left").format(time="").strip()) == 1


def test_while_nothing_is_asked_for_the_wearer_reads_why(spoken: str) -> None:
    read = [cue_state(Shown(phase), movement="intended")["word"] for phase in ("pause", "between", "paused")]
    assert all(read)
    assert len(set(read)) == 3
    state = states()["calibration"]
    for word in read:
        state["cue"] = {"word": word, "kind": "", "phase": "pause", "left_s": 0.0, "beep": False}
        assert word in "\n".join(shown(state, 80))


def test_modes_differ_in_more_than_words() -> None:
    assert len({MODES[mode] for mode in ("armed", "moving", "hold", "fault", "disarmed")}) == 5


def test_levels_have_signs_for_those_who_see_no_colours() -> None:
    page = "\n".join(shown(states()["check"], 80))
    assert "✖ C3" in page
    assert "● C4" in page


@pytest.mark.parametrize("screen", ["check", "calibration", "control"])
def test_a_console_without_signs_gets_plain_letters(screen: str) -> None:
    use_language("en")
    page = "\n".join(shown(states()[screen], 80, ascii_only=True))
    for sign in "●▲✖█░┃»":
        assert sign not in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_why_the_hand_holds_is_said_whole_and_in_the_language_spoken(language: str) -> None:
    doubts = "an electrode is off; the signal is unlike anything in the calibration"
    use_language(language)
    try:
        state = hand_state(Snapshot(mode="hold", cause=doubts))
        console = Console(width=80, file=io.StringIO(), force_terminal=False)
        console.print(draw({"hand": state, "stage": {"title": "", "text": ""}}, width=80))
        assert isinstance(console.file, io.StringIO)
        told = "".join(console.file.getvalue().split())
        wanted = "anelectrodeisoff;thesignalisunlikeanythinginthecalibration"
        assert (wanted in told) == (language == "en")
        assert "".join(state["cause"].split()) in told
    finally:
        use_language("en")
