"""The report of a session: one HTML file to read, print and keep.

Needs no board. Without a name the newest session is taken; a user's id is that user's newest, and a folder is a folder.

    python examples/04_session_report.py                               the newest session
    python examples/04_session_report.py u-7k3f9q --open               a user's newest, shown in the browser
    python examples/04_session_report.py u-7k3f9q/003-20261123         a certain one
    python examples/04_session_report.py --lang zh                     in Chinese
    python examples/04_session_report.py --mne session.html            also as an mne.Report

The same as `bci report`.
"""

from __future__ import annotations

import sys

from bci.cli import main as bci


def main(argv: list[str] | None = None) -> int:
    return bci(["report", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
