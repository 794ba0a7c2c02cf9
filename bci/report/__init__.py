"""One HTML file per session: figures with what they rest on, and pictures. No network, prints on A4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.report.session import write_session_report

__all__ = ["write_session_report"]


def __getattr__(name: str) -> Any:
    if name == "write_session_report":  # loads matplotlib and jinja2
        from bci.report.session import write_session_report

        return write_session_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
