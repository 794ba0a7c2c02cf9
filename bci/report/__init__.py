"""One HTML file per session: figures with what they rest on, and pictures. No network, prints on A4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bci.report.visit import Visit, read_visit, write_visit

if TYPE_CHECKING:
    from bci.report.evaluation import write_evaluation
    from bci.report.session import write_session_report
    from bci.report.visit_report import write_mne_visit_report, write_visit_report

__all__ = [
    "Visit",
    "read_visit",
    "write_evaluation",
    "write_mne_visit_report",
    "write_session_report",
    "write_visit",
    "write_visit_report",
]


def __getattr__(name: str) -> Any:  # each of these loads matplotlib and jinja2
    from importlib import import_module

    homes = {
        "write_evaluation": "evaluation",
        "write_mne_visit_report": "visit_report",
        "write_session_report": "session",
        "write_visit_report": "visit_report",
    }
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"bci.report.{homes[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
