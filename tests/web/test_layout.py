"""Nothing is cut off, nothing lies over something else: both languages, narrow and wide, plain and big."""

from __future__ import annotations

from pathlib import Path

import pytest

from bci.language import use_language
from bci.web import LivePage
from bci.web.head import head_places
from tests.web.conftest import INFO, Feed

FAULTS = Path(__file__).with_name("layout_faults.js").read_text(encoding="utf-8")
TWO_PICTURES = (
    "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
)

TEXTS = {
    "en": {
        "stage": (
            "Calibration, block 2 of 4",
            "Ask the user to intend the movement that the arrow shows.",
            "Pause",
            "End",
        ),
        "sentence": "{c} picks up the hum of the mains.",
        "advice": "Wet electrode {c} again; keep its cable away from power supplies.",
        "drift": "The rhythms have shifted since the calibration. A short recalibration is advised.",
        "word": "Right hand",
        "cause": "the signal is stale: the board fell behind by 240 ms",
    },
    "zh": {
        "stage": (
            "校准，第 2 组，共 4 组",
            "请使用者按箭头所示想象相应的运动，见横线时休息。",
            "暂停",
            "结束",
        ),
        "sentence": "{c} 受到工频干扰。",
        "advice": "请重新润湿电极 {c}，并使其导线远离电源。",
        "drift": "校准以来节律已有漂移，建议进行一次简短的重新校准。",
        "word": "右手",
        "cause": "信号中断：采集板落后 240 毫秒",
    },
}


def show_everything(page, language):
    words = TEXTS[language]
    title, text, pause, end = words["stage"]
    levels = ["good"] * 16
    levels[7], levels[13], levels[14] = "bad", "fair", "bad"
    page.show(
        stage={
            "title": title,
            "text": text,
            "buttons": [{"action": "pause", "label": pause}, {"action": "quit", "label": end}],
        },
        progress={"done": 23, "total": 80, "left_s": 372, "text": None},
        drift={"level": "fair", "text": words["drift"]},
        notes=[words["drift"]],
        cue={"word": words["word"], "kind": "right", "phase": "task", "left_s": 4.0, "beep": False},
        hand={
            "mode": "hold",
            "position": [0.4, 0.5, 0.6, 0.5, 0.4, 0.7],
            "contact": [True, True, False, False, False, False],
            "cause": words["cause"],
            "stopped": True,
        },
        probabilities={"rest": 0.21, "left": 0.0, "right": 0.79},
        threshold=0.7,
        link={"lost": 123456, "latency_ms": 121.0, "faults": 7},
        electrodes=[
            {
                "name": c,
                "level": level,
                "findings": [],
                "impedance_kohm": 12.5 if level == "good" else 345.0,
                "sentence": words["sentence"].format(c=c),
                "advice": words["advice"].format(c=c) if level != "good" else "",
            }
            for c, level in zip(INFO.channels, levels, strict=True)
        ],
    )


@pytest.fixture(scope="module", params=["en", "zh"])
def told(request, browser):
    use_language(request.param)
    with LivePage(INFO, title={"en": "Signal and control", "zh": "信号与控制"}[request.param]) as page:
        tab = browser.new_page()
        tab.goto(page.url)
        tab.wait_for_function("() => window.bciPage && bciPage.sweep.view !== null")
        Feed(page).noise(4.0)
        show_everything(page, request.param)
        tab.wait_for_selector("#band-cells .cell")
        tab.wait_for_selector("svg.head")
        yield request.param, tab
    tab.wait_for_function("() => document.querySelector('#mode').dataset.mode === 'ended'")
    tab.context.close()


@pytest.mark.parametrize("big", [False, True], ids=["plain", "big"])
@pytest.mark.parametrize("width", [390, 768, 1280, 1440])
def test_nothing_is_cut_off_and_nothing_overlaps(told, width, big):
    _, tab = told
    tab.set_viewport_size({"width": width, "height": 900})
    if tab.evaluate("document.documentElement.classList.contains('big')") != big:
        tab.evaluate("document.querySelector('#big').click()")
    tab.wait_for_function(TWO_PICTURES)
    assert tab.evaluate(FAULTS) == []


def test_the_page_speaks_the_language_it_was_started_in(told):
    language, tab = told
    assert tab.get_attribute("html", "lang") == {"en": "en", "zh": "zh-CN"}[language]
    said = tab.inner_text("body")
    if language == "zh":
        latin = {word for word in said.replace("·", " ").split() if word.isalpha() and word.isascii()}
        assert latin - set(INFO.channels) <= {"Hz", "ms", "Esc", "board", "RMS"}
    else:
        assert said.isascii() or not any("\u4e00" <= sign <= "\u9fff" for sign in said)
    assert "Noto Sans CJK SC" in tab.evaluate("getComputedStyle(document.body).fontFamily")


CAPS = {
    "16": INFO.channels,
    "8": ("FC3", "FCz", "FC4", "C3", "Cz", "C4", "CP3", "CP4"),
    "dense": tuple(row + place for row in ("F", "FC", "C", "CP", "P") for place in "7531z246"),
}
#: Points on the edge of one mark that lie within another.
TOUCHING = """async ([channels, places, levels]) => {
  const { Head } = await import('/static/head.js');
  const head = new Head();
  head.begin({ channels, places });
  const electrodes = channels.map((name, k) => ({ name, level: levels[k % levels.length], impedance_kohm: 12 }));
  const picture = document.body.appendChild(head.draw(electrodes, 'test'));
  const marks = [...picture.querySelectorAll('.mark')];
  const found = [];
  for (const [i, one] of marks.entries()) for (const other of marks.slice(0, i)) {
    const [from, to] = [one, other].map((mark) => mark.parentNode.transform.baseVal.consolidate().matrix);
    for (let share = 0; share < 1; share += 1 / 64) {
      const at = one.getPointAtLength(share * one.getTotalLength());
      const there = new DOMPoint(at.x + from.e - to.e, at.y + from.f - to.f);
      if (other.isPointInFill(there)) { found.push([channels[i], channels[marks.indexOf(other)]]); break; }
    }
  }
  picture.remove();
  return [marks.length, found];
}"""


@pytest.mark.parametrize("levels", [("good",), ("fair",), ("bad",), ("bad", "good", "fair")], ids="-".join)
@pytest.mark.parametrize("cap", CAPS)
def test_no_two_marks_on_the_head_touch_whatever_their_levels(told, cap, levels):
    _, tab = told
    channels = CAPS[cap]
    drawn, touching = tab.evaluate(TOUCHING, [list(channels), head_places(channels), list(levels)])
    assert drawn == len(channels)
    assert touching == []


def test_stop_takes_a_row_of_its_own_where_it_does_not_fit_beside_the_rest(told):
    _, tab = told
    if tab.evaluate("document.documentElement.classList.contains('big')"):
        tab.evaluate("document.querySelector('#big').click()")
    tab.set_viewport_size({"width": 900, "height": 900})
    tab.wait_for_function(TWO_PICTURES)
    stop, tools = (tab.locator(f"header {it}").bounding_box() for it in ("#stop", ".tools"))
    if stop["y"] >= tools["y"] + tools["height"]:
        assert stop["width"] > 850
