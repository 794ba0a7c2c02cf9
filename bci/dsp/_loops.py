"""Plain loops that LLVM vectorises well enough by itself: matrices on samples, resampling, line tracking, blocks.

The inner loop runs over channels that lie side by side. Sums have one fixed order, so any cut gives the same bits;
a matrix product by BLAS would not promise that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.jit import kernel


@kernel
def apply_matrix(x: Any, columns: Any, y: Any, out: Any) -> Any:
    """y[:, t] = sum over c of columns[c] * x[c, t]. columns: (n_in, n_out), C order. out: (n_out,) scratch."""
    bad = False
    for t in range(x.shape[1]):
        out[:] = 0.0
        for c in range(x.shape[0]):
            v = x[c, t]
            bad |= v - v != 0.0
            for o in range(len(out)):
                out[o] += columns[c, o] * v
        for o in range(len(out)):
            y[o, t] = out[o]
    return bad


@kernel
def resample(x: Any, y: Any, phases: Any, line: Any, place: Any, up: Any, down: Any) -> Any:
    """Polyphase resampling. phases: (up, n_taps) per phase. line: (n_taps, n_channels), a ring of the newest samples.

    place: [next slot of the ring, input samples taken, output samples given]. Returns the number of outputs.
    """
    n_taps, n_channels = line.shape
    given = 0
    for t in range(x.shape[1]):
        slot = place[0]
        for c in range(n_channels):
            line[slot, c] = x[c, t]
        place[0] = (slot + 1) % n_taps
        # output m stands at input m * down / up; it is due when input floor(m * down / up) has come
        while place[2] * down // up == place[1]:
            phase = place[2] * down % up
            for c in range(n_channels):
                y[c, given] = 0.0
            for k in range(n_taps):
                h = phases[phase, k]
                row = (slot - k) % n_taps
                for c in range(n_channels):
                    y[c, given] += h * line[row, c]
            given += 1
            place[2] += 1
        place[1] += 1
    return given


@kernel
def cancel_line(x: Any, y: Any, amplitude: Any, oscillator: Any, rate: Any, pull: Any, limit: Any) -> Any:
    """Subtract a sine and its harmonics, following amplitude, phase and frequency.

    amplitude: (n_harmonics, 2, n_channels), cosine and sine parts. oscillator: [phase, step, nominal step], rad.
    """
    n_harmonics, _, n_channels = amplitude.shape
    gain = 1.0 - 0.5 * rate * n_harmonics  # each notch raises all other frequencies by half its rate
    e = np.empty(n_channels)
    for t in range(x.shape[1]):
        for c in range(n_channels):
            e[c] = x[c, t]
        c1, s1 = np.cos(oscillator[0]), np.sin(oscillator[0])
        ch, sh = 1.0, 0.0
        for h in range(n_harmonics):
            ch, sh = ch * c1 - sh * s1, sh * c1 + ch * s1
            for c in range(n_channels):
                e[c] -= amplitude[h, 0, c] * ch + amplitude[h, 1, c] * sh
        power, turn = 1e-12, 0.0
        ch, sh = 1.0, 0.0
        for h in range(n_harmonics):
            ch, sh = ch * c1 - sh * s1, sh * c1 + ch * s1
            for c in range(n_channels):
                if h == 0:  # how far the line ran ahead of the oscillator
                    power += amplitude[0, 0, c] ** 2 + amplitude[0, 1, c] ** 2
                    turn += e[c] * (amplitude[0, 1, c] * ch - amplitude[0, 0, c] * sh)
                amplitude[h, 0, c] += rate * e[c] * ch
                amplitude[h, 1, c] += rate * e[c] * sh
        for c in range(n_channels):
            y[c, t] = gain * e[c]
        ahead = rate * turn / power
        step = oscillator[1] + pull * ahead
        oscillator[1] = min(max(step, oscillator[2] - limit), oscillator[2] + limit)
        oscillator[0] = (oscillator[0] + oscillator[1]) % (2.0 * np.pi)


@kernel
def block_extremes(x: Any, muscle: Any, previous: Any, stats: Any) -> Any:
    """Add samples to the running block. stats: (5, n_channels): min, max, largest |x|, largest step, sum of muscle²."""
    for t in range(x.shape[1]):
        for c in range(x.shape[0]):
            v = x[c, t]
            stats[0, c] = min(stats[0, c], v)
            stats[1, c] = max(stats[1, c], v)
            stats[2, c] = max(stats[2, c], abs(v))
            stats[3, c] = max(stats[3, c], abs(v - previous[c]))
            stats[4, c] += muscle[c, t] * muscle[c, t]
            previous[c] = v


@kernel
def exponential_covariance(x: Any, cov: Any, mean: Any, forget: Any) -> Any:
    """cov and mean forget by (1 - forget) a sample; the mean is that before the sample."""
    n = len(mean)
    d = np.empty(n)
    for t in range(x.shape[1]):
        for i in range(n):
            d[i] = x[i, t] - mean[i]
            mean[i] += forget * d[i]
        for i in range(n):
            g = forget * (1.0 - forget) * d[i]
            for j in range(n):
                cov[i, j] = (1.0 - forget) * cov[i, j] + g * d[j]


@kernel
def add_squares(x: Any, sums: Any, weight: Any, decay: Any) -> Any:
    """sums[c] = decay * sums[c] + x[c, t]² for each sample; returns the weight, 1 a sample decayed likewise."""
    for t in range(x.shape[1]):
        for c in range(x.shape[0]):
            sums[c] = decay * sums[c] + x[c, t] * x[c, t]
        weight = decay * weight + 1.0
    return weight


@kernel
def is_below(limit: Any, cov: Any, work: Any) -> Any:
    """True if limit - cov is positive definite, i.e. its Cholesky factorisation succeeds.

    Reads the upper triangle of limit and the lower one of cov. work: at least (n, n), scratch.
    """
    n = limit.shape[0]
    for i in range(n):
        for j in range(i, n):
            work[i, j] = limit[i, j] - cov[j, i]
    # outer-product form: the inner loop runs along a row, with no sum that would have to wait
    for k in range(n):
        pivot = work[k, k]
        if not pivot > 0.0:
            return False
        for i in range(k + 1, n):
            factor = work[k, i] / pivot
            for j in range(i, n):
                work[i, j] -= factor * work[k, j]
    return True
