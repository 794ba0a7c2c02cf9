"""Slow plain twins: what each kernel should compute, written as one would explain it. Tests compare with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def sosfilt(sos: F64, x: F64) -> F64:
    """Direct difference equations, section after section, started in the steady state of the first sample."""
    y = np.array(x, dtype=np.float64)
    for b0, b1, b2, a0, a1, a2 in np.asarray(sos, dtype=np.float64):
        for c in range(len(y)):
            out = np.empty(y.shape[1])
            level_in = y[c, 0]
            level_out = level_in * (b0 + b1 + b2) / (a0 + a1 + a2)
            x1 = x2 = level_in
            y1 = y2 = level_out
            for t, v in enumerate(y[c]):
                out[t] = (b0 * v + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2) / a0
                x1, x2, y1, y2 = v, x1, out[t], y1
            y[c] = out
    return y


def fir(taps: F64, x: F64) -> F64:
    """The convolution sum; before the first sample the signal was that sample."""
    y = np.zeros(np.shape(x))
    for c in range(x.shape[0]):
        for t in range(x.shape[1]):
            y[c, t] = sum(taps[k] * x[c, max(t - k, 0)] for k in range(len(taps)))
    return y


def window_covariance(x: F64, end: int, n: int) -> F64:
    """Biased covariance of the n samples before `end`, element by element."""
    w = x[:, end - n : end]
    cov = np.empty((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            cov[i, j] = np.mean((w[i] - w[i].mean()) * (w[j] - w[j].mean()))
    return cov


def matrix_on_samples(matrix: F64, x: F64) -> F64:
    y = np.zeros((len(matrix), x.shape[1]))
    for t in range(x.shape[1]):
        for o in range(len(matrix)):
            y[o, t] = sum(matrix[o, c] * x[c, t] for c in range(len(x)))
    return y


def resample(x: F64, up: int, down: int, taps: F64) -> F64:
    """Zeros between the samples, a convolution, every `down`-th value; the first sample is the whole past."""
    past = len(taps)
    held = np.concatenate([np.repeat(x[:, :1], past, axis=1), x], axis=1)
    stuffed = np.zeros((len(x), held.shape[1] * up))
    stuffed[:, ::up] = held
    filtered = np.stack([np.convolve(row, taps)[: stuffed.shape[1]] for row in stuffed])
    return filtered[:, past * up :: down]


def exponential_covariance(x: F64, forget: float) -> F64:
    mean, cov = x[:, 0].copy(), np.zeros((len(x), len(x)))
    for t in range(x.shape[1]):
        d = x[:, t] - mean
        mean = mean + forget * d
        cov = (1 - forget) * (cov + forget * np.outer(d, d))
    return cov


def cancel_line(
    x: F64, line_hz: float, fs_hz: float, harmonics: int, time_constant_s: float, pull_hz: float
) -> F64:
    """Widrow's canceller with a complex amplitude per channel and harmonic, and one oscillator that follows."""
    rate = 2.0 / (time_constant_s * fs_hz)
    nominal = 2 * np.pi * line_hz / fs_hz
    limit = 2 * np.pi * pull_hz / fs_hz
    amplitude = np.zeros((harmonics, len(x)), dtype=complex)  # real part: cosine, imaginary part: sine
    phase, step = 0.0, nominal
    y = np.empty(x.shape)
    for t in range(x.shape[1]):
        turns = np.exp(1j * phase * np.arange(1, harmonics + 1))
        e = x[:, t] - sum((amplitude[h] * np.conj(turns[h])).real for h in range(harmonics))
        ahead = rate * np.sum(e * (amplitude[0].imag * turns[0].real - amplitude[0].real * turns[0].imag))
        ahead /= 1e-12 + np.sum(np.abs(amplitude[0]) ** 2)
        amplitude += rate * turns[:, None] * e
        y[:, t] = e * (1 - rate / 2 * harmonics)
        step = min(max(step + rate / 2 * ahead, nominal - limit), nominal + limit)
        phase = (phase + step) % (2 * np.pi)
    return y


def crossing_directions(cov: F64, thresholds: F64) -> bool:
    """Does any direction's variance reach the squared length of the threshold matrix applied to it?"""
    return bool(np.linalg.eigvalsh(thresholds.T @ thresholds - cov)[0] <= 0)
