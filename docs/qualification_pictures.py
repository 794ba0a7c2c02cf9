"""Make the pictures of docs/qualification-bench.md: `.venv/bin/python docs/qualification_pictures.py` (needs Chromium).

A good and a bad simulated board go over the bench as a pilot line's would; a batch of 36 is made without a wire. Sheets
and report are photographed as they print.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _chromium import IMAGES, find_chromium, photograph
from rich.console import Console

from bci.acquisition.simulator import parse_bench_fault
from bci.cli._qualify_view import TerminalView
from bci.language import use_language
from bci.qualification.batch_report import write_batch_report
from bci.qualification.desk import Desk
from bci.qualification.guide import Guide, Judged, TakeDone, begin, plan, step
from bci.qualification.limits import shipped_limits
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.store import Batch

A4 = (794, 1123)
PAPER = "body { padding: 9mm 11mm !important; box-sizing: border-box } .sheet { height: 297mm !important }"
BOARDS, REPEATED = 36, 3
FAULTS = {
    4: "gain:ch3:+1.2%",
    11: "noise:ch5:0.4uV",
    17: "gain:ch1:-3%",
    18: "gain:ch1:-3%",
    30: "offset:ch6:+500uV",
}


def main() -> int:
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = _qualified(folder, "SN-0001", "en", "--seed", "1")
        bad = _qualified(
            folder, "SN-0002", "zh", "--seed", "2", "--fault", "gain:ch3:+4%", "--fault", "noise:ch5:0.5uV"
        )
        photograph(chromium, _as_printed(good), IMAGES / "qualification-sheet-pass.png", A4)
        photograph(chromium, _as_printed(bad), IMAGES / "qualification-sheet-fail-zh.png", A4)
        report = _batch(folder / "pilot-line")
        photograph(chromium, _as_printed(report), IMAGES / "qualification-batch.png", (A4[0], 1560))
        terminal = folder / "terminal.html"
        terminal.write_text(_terminal(), encoding="utf-8")
        photograph(chromium, terminal, IMAGES / "qualification-guide.png", (830, 320))
    return 0


def _qualified(folder: Path, serial: str, language: str, *words: str) -> Path:
    """One board's sheet, whatever its verdict."""
    command = [
        "qualify",
        "--simulated",
        "--batch",
        str(folder),
        "--serial",
        serial,
        "--lang",
        language,
        *words,
    ]
    subprocess.run([sys.executable, "-m", "bci.cli", *command], stdout=subprocess.DEVNULL, check=False)
    return folder / "boards" / serial / "1" / f"sheet.{language}.html"


def _batch(folder: Path) -> Path:
    """Boards of many seeds, some with faults, a few measured twice by two operators."""
    limits = shipped_limits()
    chosen = [m for m in MEASUREMENTS if m.name in ("offset", "noise", "gain", "crosstalk", "clock", "leads")]
    with Batch(folder, create=True) as batch:
        desks = {
            k: Desk(seed=k, faults=[parse_bench_fault(FAULTS[k])] if k in FAULTS else [])
            for k in range(BOARDS)
        }
        order = [(k, "Li") for k in range(BOARDS)]
        order += [(k, operator) for k in range(REPEATED) for operator in ("Li", "Wang", "Wang")]
        for minute, (k, operator) in enumerate(order):
            at = f"2026-03-02T{8 + minute // 60:02d}:{minute % 60:02d}:00+00:00"
            attempt = batch.begin(
                f"SN-{k + 1:04d}",
                [m.name for m in chosen],
                operator=operator,
                software="bci",
                limits_name=limits.name,
                limits_sha256=limits.sha256,
                at=at,
                simulated=True,
            )
            for measurement in chosen:
                batch.keep(attempt, measurement.name, desks[k].run([measurement], limits), took_s=1.0)
            batch.finish(attempt, at=at)
        return write_batch_report(batch)


def _terminal() -> str:
    """The moment at which the operator is asked for the generator."""
    use_language("en")
    guide: Guide = begin(plan([m for m in MEASUREMENTS if m.name in ("noise", "linearity")], 8))
    while guide.at == 0:
        guide = step(step(guide, TakeDone()), Judged("pass"))
    console = Console(record=True, width=88, file=open(os.devnull, "w"), force_terminal=True)  # noqa: PTH123, SIM115
    console.print("$ bci qualify --port /dev/ttyUSB0 --serial SN-0001 --operator Li", highlight=False)
    console.print("[green]✓[/green] Noise")
    console.print(TerminalView(sys.stderr).panel(guide))
    style = (
        "body{background:#14191f;color:#e6e6e6;margin:12px} pre{font:14px/1.3 'DejaVu Sans Mono',monospace}"
    )
    html = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{html}"


def _as_printed(page: Path) -> Path:
    """A copy that a screen shows as paper does."""
    text = page.read_text(encoding="utf-8").replace("@media print", "@media screen")
    text = text.replace("</style>", PAPER + "</style>", 1)
    copy = page.with_name(f"printed-{page.name}")
    copy.write_text(text, encoding="utf-8")
    return copy


if __name__ == "__main__":
    sys.exit(main())
