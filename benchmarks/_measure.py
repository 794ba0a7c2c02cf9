"""How a comparison is made here, so that a shared and noisy machine still gives a fair answer.

Parity first: results are compared before anything is timed. Then short rounds in which ours and the rival take turns;
noise that lasts longer than a round hits both. Of each round comes one ratio, and the median of the ratios is the
figure. Work on one thread is timed by that thread's processor clock, which other programs on the machine do not
advance, whole processes by the processor time they took. Work on several threads is timed by the processor time of the
process, shared between them: what the wall clock shows where each has a core to itself. Limits of the machine are
measured in the same run: the peak of fused multiply-adds and the bandwidth of memory.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

_BEGAN = time.perf_counter()

Work = Callable[[], Any]
Clock = Callable[[], float]
Share = tuple[float, str]  # how much of which limit


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was done, by whom, how fast, and how fast it should be."""

    work: str
    rival: str
    ours_s: float
    rival_s: float
    ratio: float
    target: float
    at_most: bool = False  # the target is an upper bound of ours/rival, not a lower one of rival/ours
    shares: tuple[Share, ...] = ()
    note: str = ""
    p99_s: float = math.nan
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        return math.isnan(self.target) or (
            self.ratio <= self.target if self.at_most else self.ratio >= self.target
        )


def compare(
    work: str,
    ours: Work,
    rival: Work,
    *,
    rival_name: str,
    target: float,
    equal: Callable[[Any, Any], None] | None,
    rounds: int = 15,
    round_s: float = 0.02,
    share: Callable[[float], Share | tuple[Share, ...]] | None = None,
    note: str = "",
    clock: Clock = time.thread_time,
    threads: int = 1,
) -> Row:
    """Assert that both give the same, then time them in turns.

    `equal(ours(), rival())` raises AssertionError where they differ; None where the caller has asserted it already.
    `share(seconds)` turns the median time of ours into (share, name of the limit), or several of them. `clock` is
    `time.thread_time`, `time.process_time` with the number of `threads` of ours, `perf_counter` or `children_time`.
    """
    say(f"{work}, against {rival_name}")
    a, b = ours(), rival()  # also compiles, loads and warms up
    if equal is not None:
        equal(a, b)
    n_ours, n_rival = _repeats(ours, round_s), _repeats(rival, round_s)
    ours_s, rival_s = [], []
    for _ in range(rounds):
        ours_s.append(_mean_time(ours, n_ours, clock) / threads)
        rival_s.append(_mean_time(rival, n_rival, clock))
    ratio = float(np.median(np.array(rival_s) / np.array(ours_s)))
    mine = float(np.median(ours_s))
    parts = share(mine) if share else ()
    return Row(
        work=work,
        rival=rival_name,
        ours_s=mine,
        rival_s=float(np.median(rival_s)),
        ratio=ratio,
        target=target,
        shares=(parts,) if parts and isinstance(parts[1], str) else parts,  # type: ignore[arg-type]
        note=note,
        p99_s=_percentile_99(ours) if mine < 1e-3 else math.nan,
    )


def say(what: str) -> None:
    """What is being measured now, for whoever waits: seconds since the start and a line, on stderr."""
    print(f"{time.perf_counter() - _BEGAN:5.0f} s  {what}", file=sys.stderr, flush=True)


def children_time() -> float:
    """Processor seconds of all child processes that have ended; the wall clock where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def median_time(work: Work, *, rounds: int = 9, round_s: float = 0.01) -> float:
    """Median seconds of one call."""
    work()
    n = _repeats(work, round_s)
    return float(np.median([_mean_time(work, n) for _ in range(rounds)]))


def fma_peak(dtype: type = np.float64) -> float:
    """Measured fused multiply-adds a second of one core, each lane counted."""
    from bci.dsp._simd import array_type, compiled, lanes_of
    from benchmarks._peak import CHAINS, fma_chains

    data = np.full(lanes_of(dtype), 1.0, dtype)
    from numba import types

    run = compiled(fma_chains, array_type(dtype, 1), types.intp)
    n = 200_000
    best = min(_mean_time(lambda: run(data, n), 5) for _ in range(9))
    return n * CHAINS * lanes_of(dtype) / best


def bandwidth(n_threads: int = 1) -> float:
    """Measured bytes a second, read and written, of copying arrays far larger than the caches' second level.

    By the processor time of the threads, like the work that is compared with it.
    """
    from concurrent.futures import ThreadPoolExecutor

    sources = [np.zeros(16_000_000) for _ in range(n_threads)]
    targets = [np.zeros(16_000_000) for _ in range(n_threads)]
    best = math.inf
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(7):
            start = time.process_time()
            list(pool.map(np.copyto, targets, sources))
            best = min(best, (time.process_time() - start) / n_threads)
    return n_threads * 2 * sources[0].nbytes / best


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    import numba
    import scipy

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            model = next(
                (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model
            )
    except OSError:
        pass
    return {
        "processor": model,
        "cores": os.cpu_count() or 1,
        "load average": load(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
    }


def load() -> str:
    """How busy the machine was in the last 1, 5 and 15 minutes, this run included."""
    return "/".join(f"{v:.1f}" for v in os.getloadavg()) if hasattr(os, "getloadavg") else "not told"


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| work | rival | ours | p99 | rival's | ratio | target | share of limit | |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for r in rows:
        target = "" if math.isnan(r.target) else f"{'≤' if r.at_most else '≥'} {r.target:g}"
        share = ", ".join(f"{100 * part:.0f} % {limit}" for part, limit in r.shares)
        verdict = "" if math.isnan(r.target) else "reached" if r.reached else "**missed**"
        note = f" {r.note}" if r.note else ""
        lines.append(
            f"| {r.work} | {r.rival} | {_human(r.ours_s)} | {_human(r.p99_s)} | {_human(r.rival_s)} "
            f"| {r.ratio:.2f} | {target} | {share} | {verdict}{note} |"
        )
    return "\n".join(lines)


def to_json(row: Row) -> dict[str, Any]:
    """A row as JSON takes it: NaN becomes null."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(row).items()} | {
        "reached": row.reached
    }


def _repeats(work: Work, round_s: float) -> int:
    """Calls that fill a round; the smallest of some tries, since the first are cold and any may be interrupted."""
    if round_s == 0:
        return 1
    n = 1
    while True:
        once = min(_mean_time(work, n) for _ in range(5))
        if n * once > round_s / 20 or n > 10_000:
            return max(1, int(round_s / once))
        n *= 8


def _mean_time(work: Work, n: int, clock: Clock = time.thread_time) -> float:
    start = clock()
    for _ in range(n):
        work()
    return max(clock() - start, 1e-9) / n


def _percentile_99(work: Work) -> float:
    times = np.empty(2000)
    for k in range(len(times)):
        start = time.perf_counter()
        work()
        times[k] = time.perf_counter() - start
    return float(np.quantile(times, 0.99))


def _human(seconds: float) -> str:
    if math.isnan(seconds):
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"
