"""What is wrong between this computer and a board, step by step, as values: `examine` finds, others find the words.

Each step rests on the one before it, so the examination ends with the first thing that has to be put right: is there
a port, may it be opened, does another program hold it, does a board answer, does the line carry its stream, do the
electrodes give a signal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bci.acquisition._serial import PortEntry, list_port_entries
from bci.acquisition.impedance import ImpedanceMeter, mean_impedance
from bci.acquisition.low_latency import advice, read_latency_ms
from bci.acquisition.source import Source, open_source
from bci.chunks import F64, SignalInfo
from bci.errors import (
    BudgetError,
    DesignError,
    DeviceBusyError,
    DeviceError,
    DeviceNotFoundError,
    DevicePermissionError,
    DeviceRefusedError,
    UnsupportedDeviceError,
)
from firmware_protocol import LeadOff
from firmware_protocol.ports import holders

__all__ = ["ChannelReport", "Computer", "Finding", "channel_reports", "examine"]

Level = Literal["fine", "note", "problem"]

LOW_LATENCY_MS = 1
RATE_TOLERANCE = 0.03  # boards run up to 2 % off what they state
FLAT_UV = 0.2
FULL_SCALE = 0.98  # of the converter's range
NOISY_UV = 100.0  # 1–40 Hz: an electrode that hangs loose, or a jaw
MAINS_UV = 30.0
MAINS_RATIO = 4.0  # to what lies beside the line: broad-band noise is no hum
POOR_KOHM = 30.0
OPEN_KOHM = 500.0
SILENT_READS = 3
IMPEDANCE_S = 4.0
CYTON = "cyton://"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `key` names it, `facts` are the numbers and names in its sentence."""

    key: str
    level: Level
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """What an electrode gives.

    Parameters
    ----------
    rms_uv : float
        From 1 to 40 Hz.
    mains_uv : float
        Amplitude at 50 or 60 Hz, whichever is larger.
    verdict : str
        "fine", "flat", "saturated", "off", "noisy" or "mains".
    kohm : float or None
        Impedance, where it was measured.
    """

    name: str
    rms_uv: float
    mains_uv: float
    verdict: str
    kohm: float | None = None


@dataclass(frozen=True, slots=True)
class Computer:
    """What the examination asks of the system; a test puts another one here."""

    ports: Callable[[], Sequence[PortEntry]] = list_port_entries
    holders: Callable[[str], Sequence[int]] = holders
    latency_ms: Callable[[str], int | None] = read_latency_ms
    open: Callable[..., Source] = open_source
    may_open: Callable[[str], bool] = lambda port: os.access(port, os.R_OK | os.W_OK)
    clock_ns: Callable[[], int] = time.monotonic_ns


def examine(
    port: str | None = None,
    *,
    baud: int = 921_600,
    seconds: float = 4.0,
    computer: Computer | None = None,
) -> Iterator[Finding]:
    """Look at everything between this computer and a board.

    Parameters
    ----------
    port : str, optional
        Default: the one USB port there is, or the first on which a board answers.
    baud : int
        Speed of the serial line.
    seconds : float
        How much signal to look at.
    computer : Computer, optional
        Default: this one.

    Yields
    ------
    finding : Finding
        As soon as it is known; after one of level "problem" that the rest depends on, nothing more.
    """
    computer = computer or Computer()
    entries = list(computer.ports())
    if port is None:
        names = [entry.name for entry in entries if entry.vendor_id is not None] or [e.name for e in entries]
        if not names:
            yield Finding("no-ports", "problem", {"platform": sys.platform})
            return
        yield Finding("ports", "fine", {"ports": ", ".join(names), "n": len(names)})
    else:
        names = [port]
    for name in names:
        found = list(_examine_port(name, entries, computer))
        source = next((f.facts["source"] for f in found if f.key == "board"), None)
        last = name == names[-1]
        if source is not None or last:
            yield from (_without_source(f) for f in found)
        if source is not None:
            with source:
                yield from _examine_stream(source, name, baud, seconds, computer)
            return


# ---- the port --------------------------------------------------------------------------------------------------


def _examine_port(port: str, entries: Sequence[PortEntry], computer: Computer) -> Iterator[Finding]:
    path = port.removeprefix(CYTON)
    is_device = "://" not in path
    if is_device and sys.platform != "win32" and Path(path).exists():
        if not computer.may_open(path):
            yield Finding("no-permission", "problem", {"port": path, "group": _group_of(path)})
            return
        if others := [pid for pid in computer.holders(path) if pid != os.getpid() and not _serves(pid, path)]:
            programs = ", ".join(f"{_name_of(pid)} ({pid})" for pid in others)
            yield Finding("held", "problem", {"port": path, "programs": programs})
            return
    if is_device:
        timer_ms = computer.latency_ms(path)
        if timer_ms is not None and timer_ms > LOW_LATENCY_MS:
            yield Finding("latency", "note", {"port": path, "ms": timer_ms, "fix": advice(path)})
    yield _open(port, entries, computer)


def _open(port: str, entries: Sequence[PortEntry], computer: Computer) -> Finding:
    facts: dict[str, Any] = {"port": port, "known": ", ".join(entry.name for entry in entries) or "–"}
    dialects = [port] if port.startswith(CYTON) else [port, CYTON + port]
    for url in dialects:
        try:
            source = computer.open(url)
        except DeviceNotFoundError as err:
            return Finding("no-such-port", "problem", {**facts, "detail": str(err)})
        except DevicePermissionError:
            return Finding("no-permission", "problem", {**facts, "group": _group_of(port)})
        except DeviceBusyError as err:
            return Finding("held", "problem", {**facts, "programs": str(err)})
        except UnsupportedDeviceError as err:
            return Finding("other-version", "problem", {**facts, "detail": str(err)})
        except DeviceError as err:  # nothing that makes sense answers
            facts.setdefault("detail", str(err))
        else:
            return Finding(
                "board", "fine", {**facts, "url": url, "source": source, **_what_it_is(source.info)}
            )
    return Finding("no-answer", "problem", facts)


def _what_it_is(info: SignalInfo) -> dict[str, Any]:
    return {"device": info.device, "n_channels": info.n_channels, "fs_hz": info.fs_hz}


def _without_source(finding: Finding) -> Finding:
    return Finding(finding.key, finding.level, {k: v for k, v in finding.facts.items() if k != "source"})


def _group_of(path: str) -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        import grp

        return grp.getgrgid(Path(path).stat().st_gid).gr_name
    return "dialout"


def _name_of(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "?"


def _serves(pid: int, path: str) -> bool:
    """Whether that process is the far end of a pseudo-terminal: a simulated board holds its own port."""
    if not os.path.realpath(path).startswith("/dev/pts/"):
        return False
    with contextlib.suppress(OSError):
        return any(os.path.realpath(fd) == "/dev/ptmx" for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


# ---- the stream ------------------------------------------------------------------------------------------------


def _examine_stream(
    source: Source, port: str, baud: int, seconds: float, computer: Computer
) -> Iterator[Finding]:
    info = source.info
    try:
        source.start()
    except BudgetError as err:
        yield Finding("budget", "problem", {"port": port, "detail": str(err)})
        return
    try:
        signal, rate_hz, off = _listen(source, round(seconds * info.fs_hz))
        source.stop()
        statistics = source.statistics  # not before: which losses are the board's own, it tells at the end
    except DeviceError as err:
        yield Finding("lost", "problem", {"port": port, "detail": str(err)})
        return
    if signal.shape[1] < info.fs_hz:
        yield Finding("silent", "problem", {"port": port, "n_samples": signal.shape[1]})
        return
    if rate_hz is not None:
        error = rate_hz / info.fs_hz - 1
        level: Level = "problem" if abs(error) > RATE_TOLERANCE else "fine"
        yield Finding("rate", level, {"rate_hz": rate_hz, "nominal_hz": info.fs_hz, "error": error})
    total = statistics.samples + statistics.samples_lost
    loss = {
        "lost": statistics.samples_lost,
        "by_board": statistics.samples_lost_device,
        "faults": statistics.faults,
        "share": statistics.samples_lost / max(total, 1),
        "baud": baud,
    }
    if not statistics.samples_lost and not statistics.faults:
        yield Finding("no-loss", "fine", loss)
    else:
        mostly_board = statistics.samples_lost_device * 2 > statistics.samples_lost
        yield Finding("loss-by-board" if mostly_board else "loss-on-line", "problem", loss)
    kohm = _impedances(source, min(max(seconds, 2.0), IMPEDANCE_S))
    reports = channel_reports(signal, info, off=off, kohm=kohm)
    bad = [report for report in reports if report.verdict != "fine"]
    for verdict in dict.fromkeys(report.verdict for report in bad):
        names = ", ".join(report.name for report in bad if report.verdict == verdict)
        worst = max((r.mains_uv if verdict == "mains" else r.rms_uv) for r in bad if r.verdict == verdict)
        yield Finding(f"channels-{verdict}", "problem", {"channels": names, "worst_uv": worst})
    good = [report for report in reports if report.verdict == "fine"]
    if good:
        median_uv = float(np.median([report.rms_uv for report in good]))
        yield Finding(
            "channels-fine", "fine", {"n": len(good), "n_channels": len(reports), "median_uv": median_uv}
        )
    if kohm is not None and (poor := [r for r in reports if POOR_KOHM < (r.kohm or 0) <= OPEN_KOHM]):
        names = ", ".join(f"{r.name} {r.kohm:.0f} kΩ" for r in poor)
        yield Finding("impedance-poor", "note", {"channels": names, "limit_kohm": POOR_KOHM})
    elif kohm is not None:
        there = kohm[kohm <= OPEN_KOHM]
        if there.size:
            yield Finding("impedance", "fine", {"lowest": float(there.min()), "highest": float(there.max())})
    yield Finding("channels", "fine", {"reports": reports})


def _listen(source: Source, n_samples: int) -> tuple[F64, float | None, F64]:
    """Signal, measured rate, and share of the time that each electrode was off by its comparators."""
    info = source.info
    parts: list[F64] = []
    off = np.zeros(info.n_channels)
    arrivals: list[tuple[int, int]] = []  # (sample behind a chunk, ns)
    silent = got = 0
    while got < n_samples and silent < SILENT_READS:
        chunks = [chunk for chunk in source.read(1.0) if chunk.n_samples]
        silent = 0 if chunks else silent + 1
        for chunk in chunks:
            parts.append(chunk.data_uv)
            got += chunk.n_samples
            if (bits := chunk.lead_off) is not None:
                off += (bits[0] | bits[1]).sum(axis=1)
        if chunks and source.last_byte_ns:
            arrivals.append((chunks[-1].end_sample, source.last_byte_ns))
    signal = np.concatenate(parts, axis=1) if parts else np.empty((info.n_channels, 0))
    rate_hz = None
    if len(arrivals) > 1 and arrivals[-1][1] > arrivals[0][1]:
        (first, begin_ns), (last, end_ns) = arrivals[0], arrivals[-1]
        rate_hz = (last - first) * 1e9 / (end_ns - begin_ns)
    return signal, rate_hz, off / max(got, 1)


def _impedances(source: Source, seconds: float) -> F64 | None:
    """Of each channel, kΩ; None where the board cannot measure it."""
    client = getattr(source, "client", None)
    if client is None:
        return None
    try:
        meter = ImpedanceMeter(source.info.rate, mode=LeadOff.AC_31_25_HZ)
        client.set_lead_off(LeadOff.AC_31_25_HZ)
        try:
            source.start()
            results, silent, got = [], 0, 0
            while got < seconds * source.info.fs_hz and silent < SILENT_READS:
                chunks = source.read(1.0)
                silent = 0 if chunks else silent + 1
                for chunk in chunks:
                    got += chunk.n_samples
                    results += meter.process(chunk)
            source.stop()
        finally:
            client.set_lead_off(LeadOff.OFF)
    except (DeviceRefusedError, DesignError):
        return None
    result = mean_impedance(results)
    return None if result is None else result.kohm


def channel_reports(
    signal_uv: F64, info: SignalInfo, *, off: F64 | None = None, kohm: F64 | None = None
) -> list[ChannelReport]:
    """What each electrode gives.

    Parameters
    ----------
    signal_uv : ndarray, shape (n_channels, n_samples), µV
        A second of raw signal at least.
    info : SignalInfo
    off : ndarray, shape (n_channels,), optional
        Share of the time that the lead-off comparator saw it off.
    kohm : ndarray, shape (n_channels,), optional
        Impedance.
    """
    n = signal_uv.shape[1]
    window = np.hanning(n)
    spectrum = np.abs(np.fft.rfft((signal_uv - signal_uv.mean(axis=1, keepdims=True)) * window, axis=1))
    spectrum *= 2.0 / window.sum()
    f_hz = np.fft.rfftfreq(n, 1.0 / info.fs_hz)
    enbw = n * (window**2).sum() / window.sum() ** 2
    rms_uv = np.sqrt((spectrum[:, (f_hz >= 1) & (f_hz <= 40)] ** 2).sum(axis=1) / 2.0 / enbw)
    mains_uv = np.zeros(len(signal_uv))
    for line_hz in (50.0, 60.0):
        off_hz = np.abs(f_hz - line_hz)
        near, beside = off_hz <= 1.0, (off_hz > 2.0) & (off_hz <= 8.0)
        if near.any():
            peak = spectrum[:, near].max(axis=1)
            peak[peak < MAINS_RATIO * np.median(spectrum[:, beside], axis=1)] = 0.0
            mains_uv = np.maximum(mains_uv, peak)
    rails_uv = FULL_SCALE * 2**23 * np.array(info.uv_per_count or (np.inf,) * len(signal_uv))
    reports = []
    for k, name in enumerate(info.channels):
        if np.ptp(signal_uv[k]) < FLAT_UV:
            saturated = abs(signal_uv[k]).max() >= rails_uv[k]
            verdict = "saturated" if saturated else "flat"
        elif np.mean(abs(signal_uv[k]) >= rails_uv[k]) > 0.01:
            verdict = "saturated"
        elif (off is not None and off[k] > 0.5) or (kohm is not None and kohm[k] > OPEN_KOHM):
            verdict = "off"
        elif mains_uv[k] > MAINS_UV:
            verdict = "mains"
        elif rms_uv[k] > NOISY_UV:
            verdict = "noisy"
        else:
            verdict = "fine"
        ohm = None if kohm is None else float(kohm[k])
        reports.append(ChannelReport(name, float(rms_uv[k]), float(mains_uv[k]), verdict, ohm))
    return reports
