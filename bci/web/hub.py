"""What the page's server knows, and what each browser has still to be told. No socket, no clock, no thread.

A viewer is never owed a backlog: of the state it gets the newest values, of the signal the columns that still lie in
its picture. So a browser that stalls costs no memory, and finds the present when it comes back.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from bci.web._wire import JSON, SIGNAL, Samples, plain, samples_of
from bci.web.bands import BandWatch
from bci.web.head import head_places
from bci.web.sweep import SECONDS, History, Sweep, View, frame_bytes, joined

__all__ = ["Hub", "Viewer"]

#: Browsers at a time on each address.
MOST_VIEWERS = 8

#: Over which the rate of arriving samples is measured, ns.
RATE_NS = 3_000_000_000

#: A viewer hears at least every so often from the server, ns: what it does not hear for longer is lost.
PULSE_NS = 250_000_000


class Hub:
    """Signal and state, and the pictures made of them.

    Parameters
    ----------
    channels : sequence of str
    fs_hz : float, Hz
    device, title : str
    stop_address : str
        Of the safety monitor, "" where there is none.
    """

    def __init__(
        self,
        channels: Sequence[str],
        *,
        fs_hz: float,
        device: str = "",
        title: str = "",
        stop_address: str = "",
    ) -> None:
        self.channels, self.fs_hz = tuple(channels), fs_hz
        self.device, self.title = device, title
        self.stop_address = stop_address
        self.ended = False
        self.viewers: list[Viewer] = []
        self.versions: dict[str, int] = {}
        self.newest_ns = 0  # when the newest sample was handed over
        self.samples = 0
        self.lost = 0
        self.frames = self.skipped = 0
        self._version = 0
        self._state: dict[str, Any] = {}
        self._pending: list[Samples] = []
        self._history = History(len(self.channels), fs_hz)
        self._bands = BandWatch(len(self.channels), fs_hz=fs_hz)
        self._sweeps: dict[View, Sweep] = {}
        self._arrivals: deque[tuple[int, int]] = deque()
        self._last: Samples | None = None

    # ---- what the session says

    def take(self, kind: bytes, body: bytes) -> None:
        """One message of the session; one that is damaged is passed over."""
        try:
            if kind == SIGNAL:
                samples = samples_of(body)
                if samples.data_uv.shape[0] == len(self.channels):
                    self._pending.append(samples)
            elif kind == JSON:
                message = json.loads(body)
                if isinstance(message, dict) and message.get("do") == "show":
                    self.show(dict(message["state"]))
        except (ValueError, KeyError, TypeError):
            return

    def show(self, state: dict[str, Any]) -> None:
        """Newer values of these keys."""
        if "stop_address" in state:
            self.stop_address = str(state.pop("stop_address") or "")
        for key, value in state.items():
            if key not in self._state or self._state[key] != value or key == "cue":
                self._version += 1
                self._state[key] = value
                self.versions[key] = self._version

    def value(self, key: str) -> Any:
        """The newest value of a key."""
        return self._state.get(key)

    def end(self) -> None:
        """The session is over; viewers are told."""
        self.ended = True

    def buttons(self) -> set[str]:
        """Actions whose buttons are shown now."""
        stage = self._state.get("stage") or {}
        shown = stage.get("buttons") if isinstance(stage, dict) else None
        return {str(b.get("action")) for b in shown or [] if isinstance(b, dict)}

    # ---- time

    def tick(self, now_ns: int) -> None:
        """Work the signal that has come into every picture."""
        pending, self._pending = self._pending, []
        for samples in joined(pending):
            self._count(samples, now_ns)
            self._history.add(samples)
            for sweep in self._sweeps.values():
                sweep.process(samples)
            if self.viewers and (bands := self._bands.process(samples)) is not None:
                self.show({"bands": bands})
        while self._arrivals and now_ns - self._arrivals[0][0] > RATE_NS:
            self._arrivals.popleft()

    def _count(self, samples: Samples, now_ns: int) -> None:
        if self._last is not None and samples.first_sample > self._last.end_sample:
            self.lost += samples.first_sample - self._last.end_sample
        self._last = samples
        n = samples.data_uv.shape[1]
        self.samples += n
        self.newest_ns = samples.handed_ns
        self._arrivals.append((now_ns, n))

    def rate_hz(self, now_ns: int) -> float:
        """Samples a second that came lately; 0 before two moments of arrival."""
        if len(self._arrivals) < 2:
            return 0.0
        span_ns = now_ns - self._arrivals[0][0]
        n = sum(n for _, n in self._arrivals) - self._arrivals[0][1]
        return n * 1e9 / span_ns if span_ns > 0 else 0.0

    # ---- viewers

    def enter(self, *, read_only: bool) -> Viewer | None:
        """A browser has come; None if there are too many."""
        if sum(v.read_only is read_only for v in self.viewers) >= MOST_VIEWERS:
            return None
        viewer = Viewer(self, read_only=read_only)
        self.viewers.append(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """It has gone; pictures that nobody looks at any more are dropped."""
        if viewer in self.viewers:
            self.viewers.remove(viewer)
        self._forget_unseen()

    def sweep(self, view: View) -> Sweep:
        """The picture of this view, filled with what has been."""
        if view not in self._sweeps:
            made = Sweep(view, n_channels=len(self.channels), fs_hz=self.fs_hz)
            for samples in self._history.pieces():
                made.process(samples)
            self._sweeps[view] = made
        return self._sweeps[view]

    def _forget_unseen(self) -> None:
        seen = {viewer.view for viewer in self.viewers}
        self._sweeps = {view: sweep for view, sweep in self._sweeps.items() if view in seen}


class Viewer:
    """One browser: what it has been told, and what it may ask for."""

    def __init__(self, hub: Hub, *, read_only: bool) -> None:
        self.read_only = read_only
        self.ticked = asyncio.Event()
        self.busy = False
        self.view: View | None = None
        self._hub = hub
        self._number = 0  # of its view
        self._column = 0
        self._told: dict[str, int] = {}
        self._pulse_ns = 0
        self._said_end = False
        self._answers: list[dict[str, Any]] = [
            {
                "is": "hello",
                "channels": hub.channels,
                "places": head_places(hub.channels),
                "rate_hz": hub.fs_hz,
                "device": hub.device,
                "title": hub.title,
                "seconds": SECONDS,
                "read_only": read_only,
            }
        ]

    def answer(self, message: dict[str, Any]) -> None:
        """Tell it this first of all."""
        self._answers.append(message)

    def messages(self, now_ns: int) -> list[str | bytes]:
        """What it is to be told now."""
        hub = self._hub
        out: list[str | bytes] = [_json(message) for message in self._answers]
        self._answers.clear()
        news = {k: hub.value(k) for k, version in hub.versions.items() if self._told.get(k, 0) < version}
        if news:
            self._told |= {key: hub.versions[key] for key in news}
            out.append(_json({"is": "state", "state": news}))
        if now_ns - self._pulse_ns >= PULSE_NS:
            self._pulse_ns = now_ns
            out.append(_json(self._pulse(now_ns)))
        if self.view is not None:
            sweep = hub.sweep(self.view)
            if sweep.end < self._column:  # the board began anew
                self._column = 0
                self._number += 1
                out.append(_json(self._about_view(sweep)))
            first, low, high = sweep.since(self._column)
            if low.shape[1]:
                age_ms = (now_ns - hub.newest_ns) * 1e-6
                out.append(frame_bytes(self._number, first, low, high, age_ms))
                self._column = sweep.end
        if hub.ended and not self._said_end:
            self._said_end = True
            out.append(_json({"is": "ended"}))
        return out

    def _pulse(self, now_ns: int) -> dict[str, Any]:
        hub = self._hub
        return {
            "is": "pulse",
            "rate_hz": hub.rate_hz(now_ns),
            "lost": hub.lost,
            "age_ms": (now_ns - hub.newest_ns) * 1e-6 if hub.newest_ns else None,
        }

    def look_at(self, wanted: dict[str, Any]) -> None:
        """Change its view.

        Raises
        ------
        ValueError
            There is no such view.
        """
        values = (wanted.get("band"), wanted.get("notch_hz"), wanted.get("seconds"), wanted.get("pixels"))
        if not isinstance(values[0], str) or any(type(v) is not int for v in values[1:]):
            raise ValueError(f"no view is {wanted!r:.200}")
        self.view = View(*values)  # type: ignore[arg-type]
        self._hub._forget_unseen()
        sweep = self._hub.sweep(self.view)
        self._number += 1
        self._column = 0
        self.answer(self._about_view(sweep))

    def _about_view(self, sweep: Sweep) -> dict[str, Any]:
        view = sweep.view
        return {
            "is": "view",
            "number": self._number,
            "band": view.band,
            "notch_hz": view.notch_hz,
            "seconds": view.seconds,
            "samples_per_column": sweep.per_column,
            "columns": sweep.n_columns,
        }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
