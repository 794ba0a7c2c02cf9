"""Lab Streaming Layer: the one file that imports pylsl. What it adds: typed errors, and metadata as plain values.

Sockets and threads are liblsl's. Where its multicast finds nothing (a network that blocks it, a container), a file
`lsl_api.cfg` names the computers to ask; see docs/lsl.md.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import DeviceLostError, DeviceNotFoundError

__all__ = ["Inlet", "Outlet", "StreamFacts", "clock_offset_s", "look_for_streams"]

LOOK_S = 0.1
LIKELY_CHUNK = 4096  # samples that one pull can bring
#: Where liblsl looks for its settings; with none it tells the terminal every step it takes.
SETTINGS = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
ERRORS_ALONE = "[log]\nlevel = -2\n"


@cache
def _library() -> Any:
    ours = "pylsl" not in sys.modules  # else its settings are somebody else's
    try:
        import pylsl
    except (ImportError, RuntimeError, OSError) as err:  # RuntimeError: no liblsl for this system
        raise DeviceNotFoundError(
            f"Lab Streaming Layer cannot be used here: {err}. On Linux without a ready-made liblsl: install it from "
            "github.com/sccn/liblsl, then set PYLSL_LIB to its file",
            port="lsl://",
        ) from err
    if ours:
        _keep_quiet(pylsl)
    return pylsl


def _keep_quiet(library: Any) -> None:
    """liblsl tells of errors alone, where nobody has settings for it; before 1.17.7 it tells what it likes."""
    places = (os.environ.get("LSLAPICFG", ""), *SETTINGS)
    if not any(place and Path(place).expanduser().is_file() for place in places):
        with suppress(AttributeError, NotImplementedError):
            library.set_config_content(ERRORS_ALONE)


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a stream says of itself. `rate_hz` is 0 where samples come whenever they come."""

    name: str
    kind: str
    n_channels: int
    rate_hz: float
    host: str = ""
    source_id: str = ""
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    manufacturer: str = ""
    model: str = ""
    reference: str = ""
    exact_stamps: bool = False
    words: bool = False
    handle: Any = field(default=None, repr=False, compare=False)


def clock_offset_s() -> float:
    """Seconds to add to Python's monotonic clock for LSL's. Of nine readings the one between the closest two."""
    local_clock = _library().local_clock
    best, offset = float("inf"), 0.0
    for _ in range(9):
        before = time.monotonic_ns()
        there = local_clock()
        after = time.monotonic_ns()
        if after - before < best:
            best, offset = after - before, there - (before + after) / 2e9
    return offset


def look_for_streams(wait_s: float) -> Iterator[list[StreamFacts]]:
    """The streams that have answered so far, again and again until `wait_s` has passed.

    Not every program answers the first question: multicast reaches one of several on a computer, the others are asked
    one by one a little later.
    """
    resolver = _library().ContinuousResolver(forget_after=wait_s + 5.0)
    deadline = time.monotonic() + wait_s
    while True:
        left_s = deadline - time.monotonic()
        time.sleep(max(0.0, min(LOOK_S, left_s)))
        yield [_facts(info) for info in resolver.results()]
        if left_s <= 0:
            return


def _facts(info: Any, described: bool = False) -> StreamFacts:
    library = _library()
    facts = StreamFacts(
        info.name(),
        info.type(),
        info.channel_count(),
        float(info.nominal_srate()),
        info.hostname(),
        info.source_id(),
        words=info.channel_format() == library.cf_string,
        handle=info,
    )
    if not described:
        return facts
    desc = info.desc()
    rows: list[tuple[str, ...]] = []
    node = desc.child("channels").child("channel")
    while not node.empty():
        rows.append(tuple(node.child_value(key).strip() for key in ("label", "unit", "type")))
        node = node.next_sibling("channel")
    if len(rows) != facts.n_channels:
        rows = [("", "", "")] * facts.n_channels
    names, units, types = zip(*rows, strict=True) if rows else ((), (), ())
    acquisition = desc.child("acquisition")
    return StreamFacts(
        facts.name, facts.kind, facts.n_channels, facts.rate_hz, facts.host, facts.source_id, names, units, types,
        (desc.child_value("manufacturer") or acquisition.child_value("manufacturer")).strip(),
        acquisition.child_value("model").strip(),
        desc.child("reference").child_value("label").strip(),
        desc.child("synchronization").child_value("time_source") == "sample clock",
        facts.words, info,
    )  # fmt: skip


class Inlet:
    """Samples of a stream with time stamps on this computer's LSL clock."""

    def __init__(self, facts: StreamFacts, *, port: str, wait_s: float, recover: bool = False) -> None:
        library = _library()
        self._port, self._lost = port, library.util.LostError
        self._wide = LIKELY_CHUNK
        try:
            self._inlet = library.StreamInlet(
                facts.handle, max_buflen=360, recover=recover, processing_flags=library.proc_clocksync
            )
            self.facts = _facts(self._inlet.info(timeout=wait_s), described=True)
            self._inlet.time_correction(timeout=wait_s)  # so that the first stamps are right, too
            self._inlet.open_stream(timeout=wait_s)  # last: some senders begin when they are heard
        except (library.util.TimeoutError, self._lost) as err:
            raise DeviceNotFoundError(
                f"{port}: the stream {facts.name!r} was found but does not answer; is its program still running, and "
                "does the firewall let TCP ports 16572–16604 through?",
                port=port,
            ) from err

    def pull(self, timeout_s: float) -> tuple[list[list[Any]], NDArray[np.float64]]:
        """What is there; waits at most `timeout_s` for the first sample. DeviceLostError if its program is gone."""
        try:
            first, stamp = self._inlet.pull_sample(timeout=timeout_s)
            if first is None:
                return [], np.empty(0)
            more, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=self._wide)
        except self._lost as err:
            raise DeviceLostError(
                f"{self._port}: the stream is gone; its program has ended", port=self._port
            ) from err
        return [first, *more], np.array([stamp, *stamps])

    def flush(self) -> None:
        """Forget what came and was not pulled."""
        while self.pull(0.0)[0]:
            pass

    def close(self) -> None:
        self._inlet.close_stream()


class Outlet:
    """A stream that others on the network can take."""

    def __init__(self, facts: StreamFacts, *, filtering: Mapping[str, str] | None = None) -> None:
        library = _library()
        info = library.StreamInfo(
            facts.name,
            facts.kind,
            facts.n_channels,
            facts.rate_hz,
            library.cf_string if facts.words else library.cf_float32,
            facts.source_id,
        )
        desc = info.desc()
        desc.append_child_value("manufacturer", facts.manufacturer)
        channels = desc.append_child("channels")
        for name, unit, kind in zip(facts.channels, facts.units, facts.types, strict=True):
            channel = channels.append_child("channel")
            for key, value in (("label", name), ("unit", unit), ("type", kind)):
                channel.append_child_value(key, value)
            if filtering:
                node = channel.append_child("filtering")
                for key, value in filtering.items():
                    node.append_child_value(key, value)
        acquisition = desc.append_child("acquisition")
        acquisition.append_child_value("manufacturer", facts.manufacturer)
        acquisition.append_child_value("model", facts.model)
        if facts.reference:
            desc.append_child("reference").append_child_value("label", facts.reference)
        synchronization = desc.append_child("synchronization")
        synchronization.append_child_value("time_source", "sample clock" if facts.exact_stamps else "arrival")
        synchronization.append_child_value("can_drop_samples", "true")
        self._outlet = library.StreamOutlet(info)
        self._words = facts.words

    def push(
        self, samples: Sequence[Any] | NDArray[np.float32], stamps: Sequence[float] | NDArray[np.float64]
    ) -> None:
        """Rows of samples, each with its time on LSL's clock."""
        if len(stamps):
            self._outlet.push_chunk(samples, [float(s) for s in stamps])

    @property
    def heard(self) -> bool:
        """Somebody takes it."""
        return bool(self._outlet.have_consumers())

    def wait_for_listener(self, timeout_s: float) -> bool:
        return bool(self._outlet.wait_for_consumers(timeout_s))
