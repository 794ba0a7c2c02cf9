"""Make the pictures of docs/validator.md anew: `.venv/bin/python docs/validator_pictures.py` (needs Chromium).

A capture with a wrong CRC and one with a printf in it, made by the gallery of the tests, are checked; terminal and
page are photographed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _chromium import IMAGES, find_chromium, photograph
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
STYLE = "body{background:#14191f;color:#e6e6e6;margin:14px} pre{font:14px/1.35 'DejaVu Sans Mono',monospace;margin:0}"


def main() -> int:
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run(["-m", "tests.firmware_protocol.gallery", "--captures", str(folder)], ROOT)
        text = _check(folder, "--color", "always", "--per-rule", "1", "crc-byte-order.bin")
        (folder / "terminal.html").write_text(_as_page("crc-byte-order.bin", text), encoding="utf-8")
        _check(folder, "text-in-stream.bin", "--html", "report.html")
        photograph(chromium, folder / "terminal.html", IMAGES / "validator-terminal.png", (1050, 400))
        photograph(chromium, folder / "report.html", IMAGES / "validator-report.png", (900, 1180))
    return 0


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout


def _check(folder: Path, *args: str) -> str:
    return _run(
        ["-c", "import sys; from firmware_protocol.cli import main; sys.exit(main())", "check", *args], folder
    )


def _as_page(file: str, text: str) -> str:
    console = Console(record=True, width=125, file=open(os.devnull, "w"), force_terminal=True)  # noqa: PTH123, SIM115
    console.print(Text.from_ansi(f"$ frame-validator check --per-rule 1 {file}\n{text}"))
    html = console.export_html(theme=MONOKAI, inline_styles=True, code_format="<pre>{code}</pre>")
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{html}"


if __name__ == "__main__":
    sys.exit(main())
