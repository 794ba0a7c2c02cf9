"""A headless Chromium that photographs pages, for the scripts beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["IMAGES", "find_chromium", "photograph"]

IMAGES = Path(__file__).parent / "images"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
)


def find_chromium() -> str:
    """Its path; ends the script with status 2 where there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not installed (Debian: apt install chromium fonts-noto-cjk)", file=sys.stderr)
        raise SystemExit(2)
    IMAGES.mkdir(exist_ok=True)
    return chromium


def photograph(chromium: str, page: Path, image: Path, size: tuple[int, int]) -> None:
    """The top of a page, as wide and high as `size` says, in pixels."""
    place = [f"--user-data-dir={page.parent}/chromium", f"--window-size={size[0]},{size[1]}"]
    command = [chromium, *QUIET, *place, f"--screenshot={image}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)
