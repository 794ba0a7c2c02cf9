"""Pictures of a visit's report and of the examples: `.venv/bin/python docs/report_pictures.py` (needs Chromium).

Runs one visit of a simulated wearer, faster than life: check, calibration, control. Its report is photographed in both
languages, and the examples draw what they draw of its recording.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _chromium import IMAGES, find_chromium, photograph
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 840, 4200


def main() -> int:
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "BCI_SESSIONS": str(folder / "clinic"), "BCI_LANG": "en"}
        bci = [sys.executable, "-m", "bci.cli"]
        steps = [*bci, "control", "--fast", "--no-page", "--blocks", "4", "--trials", "10"]
        subprocess.run(steps, env=environment, check=True, stdin=subprocess.DEVNULL, cwd=ROOT)
        for language in ("en", "zh"):
            page = folder / f"{language}.html"
            report = [*bci, "report", "--lang", language, "--output", str(page)]
            subprocess.run(report, env=environment, check=True, cwd=ROOT)
            whole_page(chromium, page, IMAGES / f"clinic-report-{language}.png", folder)
        (recording,) = (folder / "clinic").glob("users/*/visits/*/calibration.bfp")
        example("11_offline_with_mne").main([str(recording), "--output", str(folder / "erd.png")])
        small(Image.open(folder / "erd.png"), IMAGES / "example-erd.png")
    return 0


def whole_page(chromium: str, page: Path, image: Path, folder: Path) -> None:
    """The whole page from top to bottom; what is blank below it is cut off."""
    raw = folder / "raw.png"
    photograph(chromium, page, raw, (WIDTH, HEIGHT))
    picture = Image.open(raw).convert("L").point(lambda grey: 255 * (grey < 250))
    box = picture.getbbox() or (0, 0, WIDTH, HEIGHT)
    small(Image.open(raw).crop((0, 0, WIDTH, min(box[3] + 24, HEIGHT))), image)


def small(picture: Image.Image, image: Path) -> None:
    """Few colours are enough for text and curves, and a tenth of the bytes."""
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(image, optimize=True)


def example(name: str):  # type: ignore[no-untyped-def]
    """A script of `examples/`, loaded as Python loads one that is started by its path."""
    sys.path.insert(0, str(ROOT / "examples"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
