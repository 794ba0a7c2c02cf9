"""Pictures of the live page for the documentation: `python docs/page_pictures.py [FOLDER]`, default docs/images.

A simulated board plays sixteen channels at 1 kHz with two electrodes that need attention; the page shows them in a
headless Chromium, in both languages, wide and narrow: signal check, calibration, control, and the big view; and
`bci live --terminal` beside it.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _chromium import find_chromium
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI

from bci.acquisition import open_source
from bci.acquisition.simulator import DEFAULT_MONTAGE, CuedRun, SimulatedBoard, Synthetic
from bci.chunks import Chunk, SignalInfo
from bci.cli._live_view import TerminalLive
from bci.language import _, use_language
from bci.sessions.electrodes import ElectrodeWatch, summary_sentence
from bci.web import LivePage
from firmware_protocol import LeadOff

SECONDS = 40.0
PREFILLED_S = 16.7
WIDE, NARROW = (1440, 900), (390, 844)

#: Name of the picture, language, what is shown, size, big view.
PICTURES = (
    ("signal-wide-en", "en", "signal", WIDE, False),
    ("calibration-wide-en", "en", "calibration", WIDE, False),
    ("control-wide-en", "en", "control", WIDE, False),
    ("calibration-big-en", "en", "calibration", WIDE, True),
    ("control-narrow-en", "en", "control", NARROW, False),
    ("signal-wide-zh", "zh", "signal", WIDE, False),
    ("calibration-wide-zh", "zh", "calibration", WIDE, False),
    ("control-wide-zh", "zh", "control", WIDE, False),
    ("control-big-zh", "zh", "control", WIDE, True),
    ("signal-narrow-zh", "zh", "signal", NARROW, False),
    ("calibration-narrow-zh", "zh", "calibration", NARROW, False),
)

WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "titles": {"signal": "Signal check", "calibration": "Calibration", "control": "Control"},
        "go on": "Go on",
        "end": "End",
        "pause": "Pause",
        "disarm": "Disarm",
        "recalibrate": "Recalibrate",
        "block": "Block 2 of 4",
        "task": "The user intends to close the right hand for as long as the arrow stands, and rests at the line.",
        "trials": "33 of 80 trials",
        "word": "Right hand",
        "control": "The hand follows the user",
        "how": "Closing and opening follow intended movement. Space, Esc or the red button stop the hand at once.",
        "drift": "The rhythms have shifted a little since the calibration. A short recalibration would help.",
    },
    "zh": {
        "titles": {"signal": "信号检查", "calibration": "校准", "control": "控制"},
        "go on": "继续",
        "end": "结束",
        "pause": "暂停",
        "disarm": "停用",
        "recalibrate": "重新校准",
        "block": "第 2 组，共 4 组",
        "task": "箭头出现期间，使用者想象握紧右手；出现横线时休息。",
        "trials": "已完成 33 / 80 次试验",
        "word": "右手",
        "control": "假肢手跟随使用者的运动想象",
        "how": "手的闭合与张开由运动想象控制。按空格键、Esc 键或红色按钮，手立即停住。",
        "drift": "与校准时相比节律略有漂移，建议进行一次简短的重新校准。",
    },
}


def main(folder: Path) -> int:
    chromium = find_chromium()
    folder.mkdir(parents=True, exist_ok=True)
    info, chunks = _signal()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, language, what, size, big in PICTURES:
            use_language(language)
            with LivePage(info, title=WORDS[language]["titles"][what]) as page:
                tab = browser.new_page(
                    viewport={"width": size[0], "height": size[1]},
                    device_scale_factor=1 if size == WIDE else 1.5,
                )
                tab.goto(page.url)
                tab.wait_for_function("() => window.bciPage && bciPage.sweep.view !== null")
                if big:
                    tab.click("#big")
                with _playing(page, chunks, info):
                    _show(page, what, language, _electrodes(info, chunks))
                    tab.mouse.move(0, 0)
                    tab.wait_for_timeout(3200)  # until the rate is that of real time
                    height = max(size[1], tab.evaluate("document.documentElement.scrollHeight"))
                    tab.set_viewport_size({"width": size[0], "height": height})
                    tab.wait_for_timeout(1000)
                    path = folder / f"page-{name}.png"
                    tab.screenshot(path=path)
                    Image.open(path).quantize(256).save(path, optimize=True)
                tab.close()
            print(path)
        for language in ("en", "zh"):
            use_language(language)
            print(_terminal(browser, info, chunks, folder / f"page-terminal-{language}.png"))
        browser.close()
    return 0


def _signal() -> tuple[SignalInfo, list[Chunk]]:
    """Some seconds of a simulated wearer, with the tone that measures impedance."""
    kohm = [6.0, 9.0, 7.5, 12.0, 8.0, 11.0, 14.0, 140.0, 5.0, 9.5, 10.0, 13.0, 7.0, 46.0, 16.0, 12.0]
    signal = Synthetic(rate_hz=1000, montage=DEFAULT_MONTAGE, runs=(CuedRun(trials_per_class=10),))
    chunks: list[Chunk] = []
    with SimulatedBoard(signal, speed=0, impedance_kohm=kohm) as board, open_source(board.port) as source:
        source.client.set_lead_off(LeadOff.AC_QUARTER_RATE)  # type: ignore[attr-defined]
        info = source.info
        source.start()
        n = 0
        while n < SECONDS * info.fs_hz:
            for chunk in source.read(1.0):
                chunks.append(chunk)
                n += chunk.n_samples
    return info, chunks


def _electrodes(info: SignalInfo, chunks: list[Chunk]) -> list[Any]:
    watch = ElectrodeWatch(info, lead_off=LeadOff.AC_QUARTER_RATE)
    for chunk in chunks:
        if chunk.end_sample < 12_000:
            watch.process(chunk)
    return list(watch.look())


@contextmanager
def _playing(page: LivePage, chunks: list[Chunk], info: SignalInfo) -> Any:
    """The signal in real time, with enough of it before that the picture is nearly full."""
    ended = threading.Event()
    full = threading.Event()

    def play() -> None:
        started = time.monotonic() - PREFILLED_S
        for chunk in chunks:
            due = started + chunk.end_sample / info.fs_hz
            if due < time.monotonic():
                time.sleep(chunk.n_samples / info.fs_hz / 10)  # the past, ten times as fast
            elif ended.wait(due - time.monotonic()):
                return
            else:
                full.set()
            page.signal(chunk)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    full.wait()
    yield
    ended.set()
    thread.join()


def _terminal(browser: Any, info: SignalInfo, chunks: list[Chunk], path: Path) -> Path:
    """What `bci live --terminal` draws, as a picture."""
    view = TerminalLive(info, _("Live signal"), io.TextIOWrapper(io.BytesIO(), "utf-8"))
    for chunk in chunks:
        if chunk.end_sample < 12_000:
            view.signal(chunk)
    electrodes = _electrodes(info, chunks)
    stage = {"title": summary_sentence(electrodes)}
    view.show(
        electrodes=[asdict(e) for e in electrodes], stage=stage, link={"lost": 0, "rate_hz": info.fs_hz}
    )
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    console.print(view.draw())
    body = console.export_html(theme=MONOKAI, inline_styles=True, code_format="<pre>{code}</pre>")
    style = (
        "body{background:#14191f;color:#e6e6e6;margin:14px} "
        "pre{font:15px/1.3 'DejaVu Sans Mono','Noto Sans Mono CJK SC',monospace;margin:0}"
    )
    tab = browser.new_page(viewport={"width": 900, "height": 430})
    tab.set_content(f"<!doctype html><meta charset=utf-8><style>{style}</style>{body}")
    tab.screenshot(path=path)
    Image.open(path).quantize(256).save(path, optimize=True)
    tab.close()
    return path


def _show(page: LivePage, what: str, language: str, electrodes: list[Any]) -> None:
    words = WORDS[language]

    def button(action: str, label: str) -> dict[str, str]:
        return {"action": action, "label": words[label]}

    page.show(electrodes=[asdict(each) for each in electrodes], link={"lost": 0, "faults": 0})
    if what == "signal":
        stage = {
            "title": summary_sentence(electrodes),
            "text": "",
            "buttons": [button("next", "go on"), button("quit", "end")],
        }
        page.show(stage=stage)
    elif what == "calibration":
        page.show(
            stage={
                "title": words["block"],
                "text": words["task"],
                "buttons": [button("pause", "pause"), button("quit", "end")],
            },
            progress={"done": 33, "total": 80, "left_s": 437, "text": words["trials"]},
            cue={"word": words["word"], "kind": "right", "phase": "task", "left_s": 6.5, "beep": False},
        )
    else:
        page.show(
            stage={
                "title": words["control"],
                "text": words["how"],
                "buttons": [
                    button("disarm", "disarm"),
                    button("recalibrate", "recalibrate"),
                    button("quit", "end"),
                ],
            },
            hand={
                "mode": "moving",
                "position": [0.35, 0.55, 0.6, 0.5, 0.4, 0.8],
                "contact": [True, True, False, False, False, False],
                "cause": "",
                "stopped": False,
            },
            probabilities={"rest": 0.14, "right": 0.86},
            threshold=0.7,
            drift={"level": "fair", "text": words["drift"]},
            link={"lost": 0, "latency_ms": 23.0, "faults": 0},
        )


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("images")))
