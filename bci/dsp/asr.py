"""Artifact subspace reconstruction: directions louder than they ever were in clean signal are rebuilt from the others.

Every 32 samples the covariance of the last half second, weighted towards blink and muscle frequencies, is compared with
thresholds from clean seconds. Most steps need no eigenvectors: if `TᵀT - C` is positive definite no direction exceeds
its threshold, whatever the eigenvectors are, and a Cholesky factorisation of that costs a fiftieth of an eigen-
decomposition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _gram, _loops
from bci.dsp._eigh import loud_directions
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.dsp.filters import SosFilter
from bci.dsp.marks import Mark
from bci.errors import DesignError, ShapeError, TooFewTrialsError

__all__ = ["ArtifactSubspaceReconstruction", "AsrModel", "calibrate_asr", "design_asr_weighting"]


class AsrModel:
    """What clean seconds taught: `mixing` (n, n), `thresholds` (n, n) with one row per clean component, `sos`."""

    def __init__(self, mixing: F64, thresholds: F64, sos: F64, *, fs_hz: float) -> None:
        self.mixing = np.array(mixing, dtype=np.float64)
        self.thresholds = np.array(thresholds, dtype=np.float64)
        self.sos = np.array(sos, dtype=np.float64)
        self.fs_hz = float(fs_hz)
        n = len(self.mixing)
        if self.mixing.shape != (n, n) or self.thresholds.shape != (n, n):
            raise ShapeError(
                f"mixing {self.mixing.shape} and thresholds {self.thresholds.shape} must be square alike"
            )


def design_asr_weighting(*, fs_hz: float) -> F64:
    """Sections that weight delta and gamma up, alpha and beta down, shape (4, 6); see [1]_ for the curve.

    The curve's minimum-phase impulse response is fitted by eight poles (Prony) and eight zeros (Shanks).

    References
    ----------
    .. [1] Mullen et al., IEEE Trans. Biomed. Eng. 62(11):2553-2567, 2015. doi:10.1109/TBME.2015.2481482
    .. [2] Shanks, Geophysics 32(1):33-44, 1967. doi:10.1190/1.1439855
    """
    from scipy.signal import lfilter, tf2sos

    if not fs_hz > 100:
        raise DesignError(
            f"the weighting of ASR reaches to 50 Hz and more: {fs_hz:g} Hz is too slow, use above 100"
        )
    n, order = 4096, 8
    grid = np.arange(n // 2 + 1) * fs_hz / n
    corners = [0, 2, 3, 13, 16, 40, min(80.0, fs_hz / 2 - 1), fs_hz / 2]
    gain = np.interp(grid, corners, [3, 0.75, 0.33, 0.33, 1, 1, 3, 3])
    fold = np.zeros(n)
    fold[0] = fold[n // 2] = 1.0
    fold[1 : n // 2] = 2.0
    h = np.fft.irfft(np.exp(np.fft.rfft(np.fft.irfft(np.log(gain)) * fold)))[: n // 4]
    past = np.stack([np.concatenate([np.zeros(k), h[:-k]]) for k in range(1, order + 1)], axis=1)
    a = np.concatenate([[1.0], -np.linalg.lstsq(past[order + 1 :], h[order + 1 :], rcond=None)[0]])
    roots = np.roots(a)
    roots = np.where(np.abs(roots) >= 1, 0.99 / np.conj(roots), roots)
    a = np.poly(roots).real
    impulse = lfilter([1.0], a, np.eye(1, len(h))[0])
    basis = np.stack([np.concatenate([np.zeros(k), impulse[: len(h) - k]]) for k in range(order + 1)], axis=1)
    b = np.linalg.lstsq(basis, h, rcond=None)[0]
    return np.asarray(tf2sos(b, a), dtype=np.float64)


def calibrate_asr(x_uv: F64, *, fs_hz: float, cutoff: float = 20.0, window_s: float = 0.5) -> AsrModel:
    """Learn from clean seconds.

    Parameters
    ----------
    x_uv : ndarray, shape (n_channels, n_samples), float64, µV
        High-passed, mostly clean; half a minute or more.
    fs_hz : float, Hz
    cutoff : float
        Standard deviations above the clean mean that a component may reach. 20 removes the gross, 5 is aggressive.
    window_s : float, s
        Windows over which a component's amplitude is taken.

    Returns
    -------
    model : AsrModel

    Raises
    ------
    TooFewTrialsError
        If there are fewer than 20 windows.
    ShapeError, NonFiniteError, DesignError
        If the signal does not fit.

    Notes
    -----
    A component's clean amplitude is the median of its windows and the spread that the lower half of them shows, so up
    to half of the windows may be dirty. The original fits a truncated generalised Gaussian instead.

    References
    ----------
    .. [1] Mullen et al., IEEE Trans. Biomed. Eng. 62(11):2553-2567, 2015. doi:10.1109/TBME.2015.2481482
    """
    x = checked_signal(x_uv, None, FLOAT64)
    if not np.isfinite(x).all():
        raise not_finite("ASR calibration")
    n = round(window_s * fs_hz)
    n_windows = (x.shape[1] - n) // max(1, n // 3)
    if n_windows < 20:
        raise TooFewTrialsError(
            f"{x.shape[1] / fs_hz:.1f} s are too short to calibrate: give half a minute of clean signal",
            counts={"windows": max(0, n_windows)},
            needed=20,
        )
    sos = design_asr_weighting(fs_hz=fs_hz)
    y = SosFilter(sos, n_channels=len(x)).process(x)
    size = 100
    blocks = y[:, : y.shape[1] // size * size].reshape(len(y), -1, size).transpose(1, 0, 2)
    covs = blocks @ blocks.transpose(0, 2, 1) / size
    centre = _geometric_median(covs.reshape(len(covs), -1)).reshape(len(x), len(x))
    value, vector = np.linalg.eigh(centre)
    mixing = vector * np.sqrt(np.maximum(value, 0.0)) @ vector.T
    power = (vector.T @ y) ** 2
    sums = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    starts = np.arange(0, power.shape[1] - n, max(1, n // 3))
    amplitude = np.sqrt((sums[:, starts + n] - sums[:, starts]) / n)
    middle = np.median(amplitude, axis=1)
    # one deviation below the median
    spread = (middle - np.quantile(amplitude, 0.1587, axis=1)).clip(min=1e-12)
    return AsrModel(mixing, (middle + cutoff * spread)[:, None] * vector.T, sos, fs_hz=fs_hz)


class ArtifactSubspaceReconstruction:
    """Streaming ASR. The output lags by `delay_samples`, half the window, so that a step is judged on both its sides.

    Parameters
    ----------
    model : AsrModel
    step_samples : int
        Samples from one judgement to the next.
    window_s : float, s
        Signal that a judgement rests on.
    max_removed : float
        Largest share of dimensions that may be rebuilt.

    Attributes
    ----------
    delay_samples : int
        The output of a sample comes this much later.
    output_sample : int
        Number of the first column of the last output: when it happened, not when it came.
    marks : list of Mark
        The steps of the last output that were rebuilt, of kind "rebuilt".

    References
    ----------
    .. [1] Mullen et al., IEEE Trans. Biomed. Eng. 62(11):2553-2567, 2015. doi:10.1109/TBME.2015.2481482
    """

    output_sample: int
    marks: list[Mark]
    _last: F64 | None
    _next: int | None
    _removed: int
    _removed_before: int
    _slot: int
    _seen: int
    _filled: int

    def __init__(
        self, model: AsrModel, *, step_samples: int = 32, window_s: float = 0.5, max_removed: float = 0.66
    ) -> None:
        n_blocks = round(window_s * model.fs_hz / step_samples)
        if step_samples < 1 or n_blocks < 1 or not 0 < max_removed < 1:
            raise DesignError(
                f"a window of {window_s:g} s with steps of {step_samples} samples cannot be judged"
            )
        self.model = model
        self.n_channels = checked_channels(len(model.mixing))
        self.step_samples = int(step_samples)
        self.delay_samples = n_blocks * self.step_samples // 2
        self._max_removed = round(self.n_channels * max_removed)
        self._limit = model.thresholds.T @ model.thresholds
        self._filter = SosFilter(model.sos, n_channels=self.n_channels)
        n = self.n_channels
        pitch = _gram.pitch_of(n)
        self._grams = np.zeros((n_blocks, pitch * pitch))
        self._tile = np.zeros(_gram.TILE * pitch)
        self._add_gram = _gram.adder()
        self._work = np.zeros((2 * n + 2, n))
        self._values, self._rows, self._loud = np.empty(n), np.empty((n, n)), np.empty(n, dtype=bool)
        full_rank = np.linalg.cond(model.mixing) < 1e5
        self._precision = np.linalg.inv(model.mixing @ model.mixing) if full_rank else None
        self._scratch = np.empty(n)
        half = np.pi * (np.arange(self.step_samples) + 1) / self.step_samples
        self._blend = (1.0 - np.cos(half)) / 2.0
        self.reset()

    def process(self, x_uv: F64, first_sample: int | None = None) -> F64:
        """Clean the next chunk.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV, high-passed
        first_sample : int, optional
            Conversion number of the first column; a jump starts anew. Without it samples are counted from 0.

        Returns
        -------
        y_uv : ndarray, shape (n_channels, n_out), float64, µV
            The samples that became due: whole steps, `delay_samples` late. `n_out` may be 0.

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity; the state is untouched.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not np.isfinite(x).all():
            raise not_finite("ASR")
        if first_sample is not None and first_sample != self._next:
            self.reset()
            self._next = first_sample
        start = self._next or 0
        self._next = start + x.shape[1]
        self.output_sample, self.marks = start - self._filled - self.delay_samples, []
        weighted = self._filter.process(x) if x.shape[1] else x
        out = []
        t = 0
        while t < x.shape[1]:
            m = min(x.shape[1] - t, self.step_samples - self._filled, _gram.TILE)
            if self._filled == 0:
                self._grams[self._slot] = 0.0
            self._add_gram(weighted[:, t : t + m], self._grams[self._slot], self._tile)
            self._line[:, self.delay_samples + self._filled : self.delay_samples + self._filled + m] = x[
                :, t : t + m
            ]
            self._filled += m
            t += m
            if self._filled == self.step_samples:
                out.append(self._step(start + t - self.step_samples - self.delay_samples))
        return np.concatenate(out, axis=1) if out else np.empty((self.n_channels, 0))

    def _step(self, first: int) -> F64:
        """Judge the window, give the oldest step of the line, which begins at sample `first`, and move on."""
        n_blocks = len(self._grams)
        self._slot = (self._slot + 1) % n_blocks
        self._seen = min(self._seen + 1, n_blocks)
        oldest = self._slot + n_blocks - self._seen
        total = self._grams[oldest % n_blocks].copy()
        for k in range(oldest + 1, self._slot + n_blocks):
            total += self._grams[k % n_blocks]
        total /= self._seen * self.step_samples
        pitch = _gram.pitch_of(self.n_channels)
        self._removed = 0
        rebuilt = self._rebuilding(total.reshape(pitch, pitch)[: self.n_channels, : self.n_channels].T)
        due = self._line[:, : self.step_samples]
        if rebuilt is None and self._last is None:
            y = due.copy(order="F")
        else:
            old = self._apply(self._last, due)
            y = old + self._blend * (self._apply(rebuilt, due) - old)
            n_loud = max(self._removed, self._removed_before)  # one rebuilding fades into the next
            reason = f"louder than clean signal ever was: {n_loud} of {self.n_channels} directions rebuilt"
            self.marks.append(Mark(first, first + self.step_samples, "rebuilt", reason))
        self._removed_before = self._removed
        self._last = rebuilt
        self._line[:, : self.delay_samples] = self._line[:, self.step_samples :].copy()
        self._filled = 0
        return y

    def _rebuilding(self, cov: F64) -> F64 | None:
        """The matrix that rebuilds what is too loud, or None where nothing is. Only the lower triangle is right."""
        if _loops.is_below(self._limit, cov, self._work):
            return None
        n, rows, loud = self.n_channels, self._rows, self._loud
        n_free = n - self._max_removed - 1
        count = loud_directions(cov, self._limit, n_free, self._values, rows, loud, self._work)
        if count < 0:
            raise not_finite("ASR")
        if count == 0:
            return None
        self._removed = count
        if self._precision is None:  # mixing of lower rank, as after an average reference
            quiet = rows[~loud]
            rebuilt: F64 = self.model.mixing @ np.linalg.pinv(quiet @ self.model.mixing) @ quiet
            return rebuilt
        # M pinv(Vₖᵀ M) Vₖᵀ is the projection along the removed directions Vᵣ onto C Vₖ, C = M²: what it takes away
        # needs the inverse of a matrix of the size of what is removed only
        away = rows[loud]
        seen = away @ self._precision
        matrix: F64 = np.eye(n) - away.T @ np.linalg.solve(seen @ away.T, seen)
        return matrix

    def _apply(self, matrix: F64 | None, x: F64) -> F64:
        if matrix is None:
            return x
        y = np.empty(x.shape, order="F")
        _loops.apply_matrix(x, np.ascontiguousarray(matrix.T), y, self._scratch)
        return y

    def reset(self) -> None:
        """Forget the past; the output starts with `delay_samples` zeros."""
        self._filter.reset()
        self._grams[:] = 0.0
        self._line = np.zeros((self.n_channels, self.delay_samples + self.step_samples), order="F")
        self._last = self._next = None
        self._slot = self._seen = self._filled = self._removed = self._removed_before = 0
        self.output_sample = -self.delay_samples
        self.marks = []

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        own = {
            "grams": self._grams.copy(),
            "line": self._line.copy(),
            "last": np.empty((0, 0)) if self._last is None else self._last.copy(),
            "place": np.array(
                [self._slot, self._seen, self._filled, self._removed_before, self._next or 0], dtype=np.int64
            ),
        }
        return own | {f"filter_{name}": value for name, value in self._filter.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it is of another shape."""
        if state["grams"].shape != self._grams.shape:
            raise ShapeError(
                f"the saved ASR state has shape {state['grams'].shape}, expected {self._grams.shape}"
            )
        self._filter.restore({"z": state["filter_z"], "started": state["filter_started"]})
        self._grams[:] = state["grams"]
        self._line[:] = state["line"]
        self._last = np.array(state["last"]) if state["last"].size else None
        self._slot, self._seen, self._filled, self._removed_before, self._next = (
            int(v) for v in state["place"]
        )


def _geometric_median(points: F64) -> F64:
    """Weiszfeld's iteration on rows."""
    y: F64 = np.median(points, axis=0)
    for _ in range(200):
        weight = 1.0 / np.maximum(np.sqrt(((points - y) ** 2).sum(axis=1)), 1e-12)
        new: F64 = weight @ points / weight.sum()
        if np.sqrt(((new - y) ** 2).sum()) < 1e-6 * max(np.sqrt((y**2).sum()), 1e-300):
            return new
        y = new
    return y
