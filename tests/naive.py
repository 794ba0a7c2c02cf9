"""Slow plain twins: what each kernel should compute, written as one would explain it. Tests compare with them."""

from __future__ import annotations

from itertools import pairwise

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


def zero_phase(sos: F64, x: F64, pad: int) -> F64:
    """Forwards, backwards, over odd reflections of both ends."""
    before, after = 2 * x[:, :1] - x[:, pad:0:-1], 2 * x[:, -1:] - x[:, -2 : -pad - 2 : -1]
    there = sosfilt(sos, np.concatenate([before, x, after], axis=1))
    return sosfilt(sos, there[:, ::-1])[:, ::-1][:, pad:-pad]


def jacobi_eigenvalues(a: F64, sweeps: int = 30) -> F64:
    """Rotate one off-diagonal element after another to zero."""
    a = np.array(a)
    for _ in range(sweeps):
        for i in range(len(a)):
            for j in range(i + 1, len(a)):
                angle = 0.5 * np.arctan2(2 * a[i, j], a[j, j] - a[i, i])
                turn = np.eye(len(a))
                turn[i, i] = turn[j, j] = np.cos(angle)
                turn[i, j], turn[j, i] = np.sin(angle), -np.sin(angle)
                a = turn.T @ a @ turn
    return np.sort(np.diag(a))


def shrunk_oas(cov: F64, n_samples: int) -> F64:
    """Chen et al. 2010, equation 23, in the form without the terms of order 1/n that scikit-learn has too."""
    n = len(cov)
    trace = sum(cov[i, i] for i in range(n))
    trace_of_square = sum(cov[i, j] * cov[j, i] for i in range(n) for j in range(n))
    above = trace_of_square / n**2 + (trace / n) ** 2
    below = (n_samples + 1) * (trace_of_square / n**2 - (trace / n) ** 2 / n)
    alpha = min(1.0, above / below)
    return (1 - alpha) * cov + alpha * trace / n * np.eye(n)


def spectrum(segment: F64, tapers: F64, fs_hz: float) -> F64:
    """One-sided density of one channel by the sum that defines the Fourier transform, averaged over tapers."""
    n = len(segment)
    centred = segment - segment.mean()
    out = np.zeros(n // 2 + 1)
    for k in range(n // 2 + 1):
        wave = np.exp(-2j * np.pi * k * np.arange(n) / n)
        power = np.mean([abs(np.sum(t * centred * wave)) ** 2 / np.sum(t**2) for t in tapers]) / fs_hz
        out[k] = power if k == 0 or 2 * k == n else 2 * power
    return out


def hjorth(row: F64) -> tuple[float, float, float]:
    def variance(v: F64) -> float:
        return float(sum((a - sum(v) / len(v)) ** 2 for a in v) / len(v))

    slope = np.array([b - a for a, b in pairwise(row)])
    bend = np.array([b - a for a, b in pairwise(slope)])
    mobility = np.sqrt(variance(slope) / variance(row))
    return variance(row), mobility, np.sqrt(variance(bend) / variance(slope)) / mobility


def log_variance(window: F64) -> F64:
    powers = [sum((v - row.mean()) ** 2 for v in row) for row in window]
    return np.log([p / sum(powers) for p in powers])


def log_band_power(sos: F64, x: F64, time_constant: float) -> F64:
    """Every past square weighted by exp(-age / time constant)."""
    y = sosfilt(sos, x)
    weight = np.exp(-np.arange(y.shape[1])[::-1] / time_constant)
    return np.log([sum(weight * row**2) / sum(weight) for row in y])


def erd(power: F64, baseline: F64) -> F64:
    out = np.empty(power.shape[1:])
    for c in range(power.shape[1]):
        reference = np.mean([baseline[k, c, t] for k in range(len(power)) for t in range(baseline.shape[2])])
        for t in range(power.shape[2]):
            out[c, t] = 100 * (np.mean([p[c, t] for p in power]) - reference) / reference
    return out


def coherence(windows: F64, k: int, i: int, j: int) -> float:
    """Magnitude-squared coherence of channels i and j at bin k."""
    n = windows.shape[2]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    wave = hann * np.exp(-2j * np.pi * k * np.arange(n) / n)
    a, b = ([np.sum((w[c] - w[c].mean()) * wave) for w in windows] for c in (i, j))
    cross = sum(p * q.conjugate() for p, q in zip(a, b, strict=True))
    return float(abs(cross) ** 2 / (sum(abs(p) ** 2 for p in a) * sum(abs(q) ** 2 for q in b)))


def phase_locking(windows: F64, i: int, j: int) -> float:
    """Length of the mean of unit phasors of the phase difference; phases from the Hilbert transform."""
    n = windows.shape[2]
    total, count = 0j, 0
    for w in windows:
        phases = []
        for row in (w[i], w[j]):
            spectrum_ = np.fft.fft(row)
            spectrum_[(n // 2 + 1) if n % 2 == 0 else (n + 1) // 2 :] = 0
            spectrum_[1 : (n + 1) // 2] *= 2
            phases.append(np.angle(np.fft.ifft(spectrum_)))
        total += np.sum(np.exp(1j * (phases[0] - phases[1])))
        count += n
    return float(abs(total) / count)


def regress_eyes(x: F64, eog: list[int]) -> F64:
    """Each channel minus its least-squares fit by the EOG channels; those stay."""
    centred = x - x.mean(axis=1, keepdims=True)
    y = np.array(x)
    for c in range(len(x)):
        if c not in eog:
            weights = np.linalg.lstsq(centred[eog].T, centred[c], rcond=None)[0]
            y[c] = x[c] - weights @ x[eog]
    return y


def asr(
    x: F64, mixing: F64, thresholds: F64, sos: F64, *, step: int, n_blocks: int, max_removed: float = 0.66
) -> F64:
    """Artifact subspace reconstruction as its paper has it, by eigenvectors and a pseudo-inverse at every step."""
    n, lag = len(x), n_blocks * step // 2
    weighted = sosfilt(sos, x)
    delayed = np.concatenate([np.zeros((n, lag)), x], axis=1)
    out, last = [], np.eye(n)
    for end in range(step, x.shape[1] + 1, step):
        window = weighted[:, max(0, end - n_blocks * step) : end]
        value, vector = np.linalg.eigh(window @ window.T / window.shape[1])
        keep = value < ((thresholds @ vector) ** 2).sum(axis=0)
        keep |= np.arange(n) < n - round(n * max_removed) - 1
        now = (
            mixing @ np.linalg.pinv(keep[:, None] * (vector.T @ mixing)) @ vector.T
            if not keep.all()
            else np.eye(n)
        )
        for t in range(step):
            share = (1 - np.cos(np.pi * (t + 1) / step)) / 2
            out.append((share * now + (1 - share) * last) @ delayed[:, end - step + t])
        last = now
    return np.array(out).T


def riemannian_distance(a: F64, b: F64) -> float:
    """Root of the summed squared logarithms of the generalised eigenvalues."""
    values = np.linalg.eigvals(np.linalg.solve(a, b)).real
    return float(np.sqrt(sum(np.log(v) ** 2 for v in values)))


def artefact_kinds(x: F64, muscle: F64, limits: object, start: int, stop: int) -> set[tuple[str, int]]:
    """(kind, channel) of the block [start, stop) of a whole signal and its part above the muscle frequency."""
    found = set()
    for c in range(len(x)):
        block, before = x[c, start:stop], x[c, max(0, start - 1) : stop]
        swing = max(block) - min(block)
        saturated = max(abs(v) for v in block) >= limits.saturation_uv  # type: ignore[attr-defined]
        verdicts = {
            "saturation": saturated,
            "flat": swing < limits.flat_uv and not saturated,  # type: ignore[attr-defined]
            "step": max((abs(b - a) for a, b in pairwise(before)), default=0.0) > limits.step_uv,  # type: ignore[attr-defined]
            "amplitude": swing > limits.peak_to_peak_uv,  # type: ignore[attr-defined]
            "muscle": np.sqrt(np.mean(muscle[c, start:stop] ** 2)) > limits.muscle_uv,  # type: ignore[attr-defined]
        }
        found |= {(kind, c) for kind, yes in verdicts.items() if yes}
    return found


def held(x: F64) -> F64:
    """What is not finite takes the value before it, 0 at the start."""
    y = np.array(x)
    for c in range(len(y)):
        for t in range(y.shape[1]):
            if not np.isfinite(y[c, t]):
                y[c, t] = y[c, t - 1] if t else 0.0
    return y


def line_ratio(row: F64, fs_hz: float, line_hz: float) -> float:
    """Power within 1 Hz of the line over that of 2 to 4 Hz beside it, from one Hann periodogram per 2 s, half apart."""
    n = int(2 * fs_hz)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    total = sum(spectrum(row[s : s + n], hann[None], fs_hz) for s in range(0, len(row) - n + 1, n // 2))
    freqs = np.arange(n // 2 + 1) * fs_hz / n
    away = np.abs(freqs - line_hz)
    beside = ((freqs >= line_hz - 4) & (freqs < line_hz - 2)) | (
        (freqs >= line_hz + 2) & (freqs < line_hz + 4)
    )
    return float(
        2 * total[(freqs >= line_hz - 1) & (freqs < line_hz + 1)].sum() / total[beside & (away <= 4)].sum()
    )


def small_laplacian(x: F64, places: F64) -> F64:
    """Each channel minus the mean of the four nearest, weighted by one over their distance."""
    y = np.array(x)
    for c in range(len(x)):
        around = sorted((float(np.linalg.norm(places[c] - places[k])), k) for k in range(len(x)) if k != c)[
            :4
        ]
        total = sum(1 / d for d, _ in around)
        y[c] -= sum(x[k] / d for d, k in around) / total
    return y


def without_blinks(x: F64, near: NDArray[np.bool_]) -> F64:
    """Each channel minus its regression, at blinks, on the filter output that blinks make loudest."""
    from scipy.linalg import eigh

    centred = x - x.mean(axis=1, keepdims=True)
    during, elsewhere = (centred[:, s] @ centred[:, s].T / s.sum() for s in (near, ~near))
    weights = eigh(during, elsewhere)[1][:, -1]
    blink = weights @ x
    at_blinks = (weights @ centred)[near]
    y = np.array(x)
    for c in range(len(x)):
        y[c] -= centred[c, near] @ at_blinks / (at_blinks @ at_blinks) * blink
    return y


def bad_channels(x: F64, z_limit: float, flat: float, correlation: float) -> set[int]:
    """Flat, much louder than the middle of the channels, or like no other."""
    amplitude = [0.7413 * (np.percentile(row, 75) - np.percentile(row, 25)) for row in x]
    middle = np.median(amplitude)
    spread = max(0.7413 * (np.percentile(amplitude, 75) - np.percentile(amplitude, 25)), 0.1 * middle)
    bad = set()
    for c, row in enumerate(x):
        alike = max(abs(np.corrcoef(row, other)[0, 1]) for k, other in enumerate(x) if k != c)
        if amplitude[c] < flat or amplitude[c] > middle + z_limit * spread or alike < correlation:
            bad.add(c)
    return bad
