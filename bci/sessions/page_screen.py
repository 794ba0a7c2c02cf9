"""The page in the browser as one of the screens of a visit."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from bci.chunks import Chunk, SignalInfo
from bci.web import LivePage

__all__ = ["PageScreen"]


class PageScreen:
    """A `Screen` on a `LivePage`; its STOP goes from the page's own process to the monitor. A context manager.

    Parameters as of `LivePage`.
    """

    def __init__(self, info: SignalInfo, *, title: str = "", lan: bool = False) -> None:
        self._page = LivePage(info, title=title, lan=lan)
        self.url = self._page.url
        self.second_screen_url: str = getattr(self._page, "second_screen_url", "") or ""

    def show(self, **state: Any) -> None:
        self._page.show(**state)

    def signal(self, chunk: Chunk) -> None:
        self._page.signal(chunk)

    def actions(self) -> list[str]:
        return self._page.actions()

    def stops(self, stop: Callable[[str], object] | None, address: str) -> None:
        self._page.stop_address = address or None

    def __enter__(self) -> Self:
        self._page.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._page.__exit__(kind, error, trace)
