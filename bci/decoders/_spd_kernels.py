"""Loops over stacks of symmetric positive definite matrices: whiten each, take its logarithm.

Rules: every matrix is treated by itself and in the same order of additions, so it has the same bits alone and in any
stack. Rows are padded with zeros to whole vectors (`pitch_of`). A matrix that is not positive definite gives NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp._rows import combine_rows, dot_rows
from bci.dsp._simd import plain
from bci.dsp._spd_log import log_spd, n_scratch, pitch_of, plain_log_spd, quadrature
from bci.jit import kernel

__all__ = ["gradient_of_mean", "whitened_logarithms"]


def whitened_logarithms(covs: F64, whitening: F64) -> F64:
    """log(whitening[j] · covs[i, j] · whitening[j]). covs: (k, m, n, n); whitening: (m, n, n); both C order."""
    n = covs.shape[-1]
    logs = np.empty_like(covs)
    run = _plain_logarithms if plain() else _logarithms
    run(covs, _padded(whitening), logs, quadrature(), _work(n))
    return logs


def gradient_of_mean(covs: F64, shares: F64, whitening: F64, which: NDArray[np.int64]) -> tuple[F64, F64]:
    """Sum of shares · log(whitening · cov · whitening), and a bound of the curvature along the descent, for some means.

    covs: (k, m, n, n), C order; which: (j,), numbers out of m; whitening: (j, n, n). The Hessian of half the squared
    distance to one matrix has eigenvalues between 1 and (l / 2) · coth(l / 2), l being the logarithm of the whitened
    matrix's condition number; that is at most √2 times the Frobenius norm of its logarithm.
    """
    n = covs.shape[-1]
    total, steepest = np.zeros((len(which), n * pitch_of(n))), np.zeros(len(which))
    run = _plain_gradient if plain() else _gradient
    run(covs, shares, _padded(whitening), which, total, steepest, quadrature(), _work(n))
    return total.reshape(len(which), n, -1)[:, :, :n].copy(), steepest


def _padded(whitening: F64) -> F64:
    m, n, _ = whitening.shape
    padded = np.zeros((m, n, pitch_of(n)))
    padded[:, :, :n] = whitening
    return padded.reshape(m, -1)


def _work(n: int) -> F64:
    return np.zeros(2 * n * pitch_of(n) + n_scratch(n))


@kernel
def _logarithms(covs: Any, whitening: Any, logs: Any, table: Any, work: Any) -> Any:
    """whitening: (m, n * pitch); work: `_work(n)`."""
    n = covs.shape[2]
    size = whitening.shape[1]
    pitch = size // n
    a, log, scratch = work[:size], work[size : 2 * size], work[2 * size :]
    for i in range(len(covs)):
        for j in range(len(whitening)):
            _whiten(covs[i, j], whitening[j], a, log)
            log_spd(a, log, n, table, scratch)
            for r in range(n):
                for c in range(n):
                    logs[i, j, r, c] = log[r * pitch + c]


@kernel
def _gradient(
    covs: Any, shares: Any, whitening: Any, which: Any, total: Any, steepest: Any, table: Any, work: Any
) -> Any:
    """total: (j, n * pitch) and steepest: (j,), to be added to."""
    n = covs.shape[2]
    size = whitening.shape[1]
    a, log, scratch = work[:size], work[size : 2 * size], work[2 * size :]
    for j in range(len(which)):
        for i in range(len(covs)):
            _whiten(covs[i, which[j]], whitening[j], a, log)
            log_spd(a, log, n, table, scratch)
            half = np.sqrt(0.5 * dot_rows(log, 0, log, 0, size // 8))
            steepest[j] += shares[i] * (1.0 if half < 1e-6 else half / np.tanh(half))
            for k in range(size):
                total[j, k] += shares[i] * log[k]


@kernel
def _whiten(cov: Any, whitening: Any, a: Any, half: Any) -> Any:
    """a = whitening · cov · whitening, rows padded. half: scratch of the same size."""
    n, size = len(cov), len(a)
    pitch = size // n
    for r in range(n):
        for c in range(n):
            a[r * pitch + c] = cov[r, c]
        for c in range(n, pitch):
            a[r * pitch + c] = 0.0
    for r in range(n):
        combine_rows(half, r * pitch, whitening, r * pitch, a, 0, pitch, n, pitch // 8)
    for r in range(n):
        combine_rows(a, r * pitch, half, r * pitch, whitening, 0, pitch, n, pitch // 8)


@kernel
def _plain_logarithms(covs: Any, whitening: Any, logs: Any, table: Any, work: Any) -> Any:
    """`_logarithms` in plain loops."""
    n = covs.shape[2]
    size = whitening.shape[1]
    pitch = size // n
    a, log, scratch = work[:size], work[size : 2 * size], work[2 * size :]
    for i in range(len(covs)):
        for j in range(len(whitening)):
            _plain_whiten(covs[i, j], whitening[j], a, log)
            plain_log_spd(a, log, n, table, scratch)
            for r in range(n):
                for c in range(n):
                    logs[i, j, r, c] = log[r * pitch + c]


@kernel
def _plain_gradient(
    covs: Any, shares: Any, whitening: Any, which: Any, total: Any, steepest: Any, table: Any, work: Any
) -> Any:
    """`_gradient` in plain loops."""
    n = covs.shape[2]
    size = whitening.shape[1]
    a, log, scratch = work[:size], work[size : 2 * size], work[2 * size :]
    for j in range(len(which)):
        for i in range(len(covs)):
            _plain_whiten(covs[i, which[j]], whitening[j], a, log)
            plain_log_spd(a, log, n, table, scratch)
            half = np.sqrt(0.5 * np.sum(log * log))
            steepest[j] += shares[i] * (1.0 if half < 1e-6 else half / np.tanh(half))
            total[j] += shares[i] * log


@kernel
def _plain_whiten(cov: Any, whitening: Any, a: Any, half: Any) -> Any:
    """`_whiten` in plain loops."""
    n, size = len(cov), len(a)
    pitch = size // n
    a[:] = 0.0
    half[:] = 0.0
    for r in range(n):
        for k in range(n):
            for c in range(n):
                half[r * pitch + c] += whitening[r * pitch + k] * cov[k, c]
    for r in range(n):
        for k in range(n):
            for c in range(n):
                a[r * pitch + c] += half[r * pitch + k] * whitening[k * pitch + c]
