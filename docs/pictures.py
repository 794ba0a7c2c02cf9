"""Make the pictures of README and docs anew: `.venv/bin/python docs/pictures.py` (needs Chromium in the path).

Runs one demonstration, keeps the terminal view of the moment the hand moves, and photographs it and the report.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from _chromium import IMAGES, find_chromium, photograph
from rich.console import Console

from bci.cli._view import TerminalView
from bci.sessions.demo import DemoOptions, run_demo
from bci.sessions.observer import ControlView, Silent


class Photographer(Silent):
    """Keeps the last look at a moving hand, at real-time pace if there was one."""

    moving: ControlView | None = None

    def control(self, view: ControlView) -> None:
        if view.hand.mode == "moving" and (view.live or self.moving is None or not self.moving.live):
            self.moving = view


def main() -> int:
    chromium = find_chromium()
    os.environ["COLUMNS"] = "104"  # the width of a terminal that shows signal, decision and hand side by side
    with tempfile.TemporaryDirectory() as folder:
        photographer = Photographer()
        summary = run_demo(DemoOptions(output=Path(folder) / "session"), photographer)
        if photographer.moving is None:
            print("nobody saw the hand move; try again", file=sys.stderr)
            return 1
        page = Path(folder) / "terminal.html"
        page.write_text(_terminal(photographer.moving), encoding="utf-8")
        photograph(chromium, page, IMAGES / "terminal.png", (980, 250))
        photograph(chromium, Path(summary.files["report"]), IMAGES / "report.png", (840, 1250))
    return 0


def _terminal(view: ControlView) -> str:
    console = Console(record=True, width=104, file=sys.stderr, force_terminal=True, legacy_windows=False)
    console.print(TerminalView(sys.stderr).panel(view))
    style = (
        "body{background:#14191f;color:#e6e6e6;margin:12px} pre{font:15px/1.25 'DejaVu Sans Mono',monospace}"
    )
    html = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{html}"


if __name__ == "__main__":
    sys.exit(main())
