"""Kernels of the fused decision step: samples in, scores out, in one call and without asking for memory.

They call the kernels of the filter bank and of the sliding covariance as they stand, so their results are the
same bits; what is new here is only what follows a covariance. A chunk is taken in tiles, so the buffers are small
and chunks may have any length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import literally, types

from bci.dsp._gram import close_block, plain_slide, slide
from bci.dsp._rows import combine_rows, dot_rows
from bci.dsp._simd import array_type, compiled, plain
from bci.dsp._sos import bank_run, plain_bank_run
from bci.dsp._spd_log import log_spd, n_scratch, pitch_of, plain_log_spd
from bci.jit import fragment, kernel

__all__ = ["csp_runner", "csp_scores", "log_scores", "members_runner", "n_work"]

F64, I64 = np.float64, np.int64


def n_work(n_channels: int) -> int:
    """Numbers that `log_scores` works in."""
    return 2 * n_channels * pitch_of(n_channels) + n_scratch(n_channels)


def members_runner(form: str) -> Callable[..., int]:
    """`members_step` compiled for one form of filters."""
    if plain():
        return plain_members_step
    return compiled(
        members_step,
        array_type(F64, 2, "A"),
        types.int64,
        array_type(F64, 2),
        form,
        array_type(F64, 3, "A"),
        array_type(F64, 3),
        array_type(I64, 1),
        array_type(F64, 4),
        array_type(I64, 1),
        array_type(F64, 2),
        array_type(F64, 3),
        array_type(F64, 2),
        array_type(F64, 1),
        array_type(F64, 3),
        array_type(F64, 1),
        array_type(F64, 1),
        array_type(I64, 1),
        array_type(F64, 2),
    )


def csp_runner(form: str) -> Callable[..., int]:
    """`csp_step` compiled for one form of filters."""
    if plain():
        return plain_csp_step
    return compiled(
        csp_step,
        array_type(F64, 2, "A"),
        types.int64,
        array_type(F64, 2),
        form,
        array_type(F64, 3, "A"),
        array_type(F64, 2),
        array_type(F64, 2),
        array_type(I64, 1),
        array_type(F64, 2),
        array_type(I64, 1),
        array_type(F64, 2),
    )


@kernel
def members_step(
    x: Any,
    first: Any,
    packed: Any,
    form: Any,
    clean: Any,
    ring: Any,
    place: Any,
    covs: Any,
    band_of: Any,
    whitening: Any,
    weights: Any,
    bias: Any,
    mix: Any,
    table: Any,
    work: Any,
    one: Any,
    ends: Any,
    scores: Any,
) -> Any:
    """Take samples; returns how many decisions fell due, or -1 if x is not finite (nothing has been taken then).

    x: (n_channels, n_samples), any strides. clean: (n_bands, n_channels, tile). covs: (k, n_bands, n, n) scratch.
    band_of: (m,). whitening: (m, n * pitch). weights: (m, n_classes, n * pitch), rows padded with zeros.
    bias: (m, n_classes). mix: (m + 1,), the share of each member and the bound of its centred scores.
    table: `quadrature()`. work, one: scratch, (n_work(n),) and (n_classes,).
    ends: (k,). scores: (k, n_classes + m), the mixed scores and the distance from the reference of each member.
    """
    n_samples, tile = x.shape[1], clean.shape[2]
    n_window = place[2] * place[3]
    if not_finite(x):
        return -1
    emitted = 0
    for t in range(0, n_samples, tile):
        m = min(tile, n_samples - t)
        y = clean[:, :, :m]
        bank_run(x[:, t : t + m], y, packed, literally(form))
        due = slide(y, first + t, ring, place, ends[emitted:], covs)
        for k in range(due):
            out = scores[emitted + k]
            score_members(covs[k], n_window, band_of, whitening, weights, bias, mix, table, work, one, out)
        emitted += due
    return emitted


@kernel
def plain_members_step(
    x: Any,
    first: Any,
    packed: Any,
    form: Any,
    clean: Any,
    ring: Any,
    place: Any,
    covs: Any,
    band_of: Any,
    whitening: Any,
    weights: Any,
    bias: Any,
    mix: Any,
    table: Any,
    work: Any,
    one: Any,
    ends: Any,
    scores: Any,
) -> Any:
    """`members_step` on the plain twins of the kernels that it calls."""
    n_samples, tile = x.shape[1], clean.shape[2]
    n_window = place[2] * place[3]
    if not_finite(x):
        return -1
    emitted = 0
    for t in range(0, n_samples, tile):
        m = min(tile, n_samples - t)
        y = clean[:, :, :m]
        plain_bank_run(x[:, t : t + m], y, packed, form)
        due = plain_slide(y, first + t, ring, place, ends[emitted:], covs)
        for k in range(due):
            out = scores[emitted + k]
            plain_score_members(
                covs[k], n_window, band_of, whitening, weights, bias, mix, table, work, one, out
            )
        emitted += due
    return emitted


@fragment
def score_members(
    covs: Any,
    n_window: Any,
    band_of: Any,
    whitening: Any,
    weights: Any,
    bias: Any,
    mix: Any,
    table: Any,
    work: Any,
    one: Any,
    out: Any,
) -> Any:
    """Scores of one decision. covs: (n_bands, n, n); out: (n_classes + m,); the others as in `members_step`."""
    n_members, n_classes = bias.shape
    out[:n_classes] = 0.0
    for j in range(n_members):
        cov = covs[band_of[j]]
        out[n_classes + j] = log_scores(cov, n_window, whitening[j], weights[j], bias[j], table, work, one)
        mix_in(one, mix[j], mix[n_members], out)


@fragment
def plain_score_members(
    covs: Any,
    n_window: Any,
    band_of: Any,
    whitening: Any,
    weights: Any,
    bias: Any,
    mix: Any,
    table: Any,
    work: Any,
    one: Any,
    out: Any,
) -> Any:
    """`score_members` on plain loops."""
    n_members, n_classes = bias.shape
    out[:n_classes] = 0.0
    for j in range(n_members):
        cov = covs[band_of[j]]
        out[n_classes + j] = plain_log_scores(
            cov, n_window, whitening[j], weights[j], bias[j], table, work, one
        )
        mix_in(one, mix[j], mix[n_members], out)


@fragment
def mix_in(one: Any, share: Any, bound: Any, out: Any) -> Any:
    """Add a member's scores, centred and bounded, with its share."""
    n_classes = len(one)
    mean = one.sum() / n_classes
    for c in range(n_classes):  # min and max would turn NaN into a number
        centred = one[c] - mean
        centred = bound if centred > bound else (-bound if centred < -bound else centred)
        out[c] += share * centred


@fragment
def not_finite(x: Any) -> Any:
    """Whether x (n_channels, n_samples) holds NaN or infinity, asked before a state changes."""
    total = 0.0
    for t in range(x.shape[1]):
        for c in range(x.shape[0]):
            total += x[c, t] * 0.0
    return total != 0.0


@fragment
def log_scores(
    cov: Any, n_window: Any, whitening: Any, weights: Any, bias: Any, table: Any, work: Any, out: Any
) -> Any:
    """Linear functions of the logarithm of one covariance, shrunk and whitened; returns its distance.

    out[c] = sum of weights[c] ∘ log(whitening · oas(cov) · whitening) + bias[c]; NaN if cov is not positive definite.
    cov: (n, n). whitening, weights[c]: (n * pitch,), rows padded with zeros. work: (n_work(n),).
    """
    n, size = len(cov), len(whitening)
    pitch = size // n
    a, half, scratch = work[:size], work[size : 2 * size], work[2 * size :]
    shrink_padded(cov, n_window, a)
    for i in range(n):
        combine_rows(half, i * pitch, whitening, i * pitch, a, 0, pitch, n, pitch // 8)
    for i in range(n):
        combine_rows(a, i * pitch, half, i * pitch, whitening, 0, pitch, n, pitch // 8)
    log_spd(a, half, n, table, scratch)
    for c in range(len(weights)):
        out[c] = dot_rows(weights[c], 0, half, 0, size // 8) + bias[c]
    return np.sqrt(dot_rows(half, 0, half, 0, size // 8))


@fragment
def plain_log_scores(
    cov: Any, n_window: Any, whitening: Any, weights: Any, bias: Any, table: Any, work: Any, out: Any
) -> Any:
    """`log_scores` in plain loops."""
    n, size = len(cov), len(whitening)
    pitch = size // n
    a, half, scratch = work[:size], work[size : 2 * size], work[2 * size :]
    shrink_padded(cov, n_window, a)
    half[:] = 0.0
    for i in range(n):
        for k in range(n):
            for j in range(n):
                half[i * pitch + j] += whitening[i * pitch + k] * a[k * pitch + j]
    a[:] = 0.0
    for i in range(n):
        for k in range(n):
            for j in range(n):
                a[i * pitch + j] += half[i * pitch + k] * whitening[k * pitch + j]
    plain_log_spd(a, half, n, table, scratch)
    for c in range(len(weights)):
        out[c] = bias[c]
        for k in range(size):
            out[c] += weights[c, k] * half[k]
    distance = 0.0
    for k in range(size):
        distance += half[k] * half[k]
    return np.sqrt(distance)


@fragment
def shrink_padded(cov: Any, n_window: Any, a: Any) -> Any:
    """a = oas(cov), rows padded with zeros.

    References
    ----------
    .. [1] Chen et al. 2010, equation 23 (see `bci.dsp.oas`).
    """
    n = len(cov)
    pitch = len(a) // n
    square, trace = 0.0, 0.0
    for i in range(n):
        trace += cov[i, i]
        square += cov[i, i] * cov[i, i]
        for j in range(i + 1, n):
            square += 2.0 * cov[i, j] * cov[i, j]
    square /= n * n
    variance = trace / n
    above = square + variance * variance
    below = (n_window + 1) * (square - variance * variance / n)
    alpha = above / below if below > above else 1.0
    for i in range(n):
        for j in range(n):
            a[i * pitch + j] = (1.0 - alpha) * cov[i, j]
        for j in range(n, pitch):
            a[i * pitch + j] = 0.0
        a[i * pitch + i] += alpha * variance


@kernel
def csp_step(
    x: Any,
    first: Any,
    packed: Any,
    form: Any,
    clean: Any,
    filters: Any,
    ring: Any,
    place: Any,
    weights: Any,
    ends: Any,
    scores: Any,
) -> Any:
    """As `members_step`, for spatial filters: only the powers of their outputs slide, not a covariance.

    filters: (n_channels, f), f a multiple of 8, padded with zeros. ring: (n_blocks + 2, 2 f), sums of squares and sums
    of each output. place: see `bci.dsp._gram`. weights: (n_classes, number of filters + 1), the last one the bias.
    ends: (k,). scores: (k, n_classes).
    """
    n_samples, tile = x.shape[1], clean.shape[2]
    if not_finite(x):
        return -1
    emitted = 0
    for t in range(0, n_samples, tile):
        m = min(tile, n_samples - t)
        bank_run(x[:, t : t + m], clean[:, :, :m], packed, literally(form))
        y = clean[0, :, :m]
        emitted += add_powers(y, first + t, filters, ring, place, weights, ends[emitted:], scores[emitted:])
    return emitted


@kernel
def plain_csp_step(
    x: Any,
    first: Any,
    packed: Any,
    form: Any,
    clean: Any,
    filters: Any,
    ring: Any,
    place: Any,
    weights: Any,
    ends: Any,
    scores: Any,
) -> Any:
    """`csp_step` on the plain twin of the filter bank's kernel."""
    n_samples, tile = x.shape[1], clean.shape[2]
    if not_finite(x):
        return -1
    emitted = 0
    for t in range(0, n_samples, tile):
        m = min(tile, n_samples - t)
        plain_bank_run(x[:, t : t + m], clean[:, :, :m], packed, form)
        y = clean[0, :, :m]
        emitted += add_powers(y, first + t, filters, ring, place, weights, ends[emitted:], scores[emitted:])
    return emitted


@fragment
def add_powers(
    y: Any, first: Any, filters: Any, ring: Any, place: Any, weights: Any, ends: Any, scores: Any
) -> Any:
    """Filtered samples into the sums of outputs' powers; scores of the windows that are then full."""
    step, n_blocks = place[2], place[3]
    n_filters = filters.shape[1]
    emitted = 0
    for i in range(y.shape[1]):
        phase = (first + i) % step
        slot = (first + i) // step % n_blocks
        if phase == 0:
            place[1] = 1
            ring[slot] = 0.0
        if place[1] == 0:
            continue
        for f in range(0, n_filters, 8):
            add_outputs(y[:, i], filters, f, n_filters, ring[slot])
        if phase == step - 1:
            place[0] = min(place[0] + 1, n_blocks)
            close_block(ring, slot, n_blocks)
            if place[0] == n_blocks:
                csp_scores(ring[n_blocks + 1], step * n_blocks, weights, scores[emitted])
                ends[emitted] = first + i + 1
                emitted += 1
    return emitted


@kernel
def add_outputs(y: Any, filters: Any, f: Any, n_filters: Any, block: Any) -> Any:
    """Eight outputs of one sample, held in eight names so that they stay in registers; squares and sums are added."""
    a = b = c = d = e = g = h = k = 0.0
    for i in range(len(y)):
        v = y[i]
        a += filters[i, f] * v
        b += filters[i, f + 1] * v
        c += filters[i, f + 2] * v
        d += filters[i, f + 3] * v
        e += filters[i, f + 4] * v
        g += filters[i, f + 5] * v
        h += filters[i, f + 6] * v
        k += filters[i, f + 7] * v
    at = f
    for out in (a, b, c, d, e, g, h, k):
        block[at] += out * out
        block[n_filters + at] += out
        at += 1


@fragment
def csp_scores(window: Any, n_window: Any, weights: Any, out: Any) -> Any:
    """out[k] = weights[k] · log(variances) + bias, from sums of squares and sums; not finite where nothing varies."""
    n_filters, half = weights.shape[1] - 1, len(window) // 2
    for k in range(len(weights)):
        out[k] = weights[k, n_filters]
    for f in range(n_filters):
        mean = window[half + f] / n_window
        logarithm = np.log(window[f] / n_window - mean * mean)
        for k in range(len(weights)):
            out[k] += weights[k, f] * logarithm
