"""Loops over stacks of symmetric positive definite matrices: whiten, decompose, take logarithms.

Rules: every matrix is treated by itself and in the same order of additions, so it has the same bits alone and in any
stack. Inner loops run along rows. A matrix whose decomposition does not converge or that is not positive definite
gives NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.dsp._eigh import eigh_rows
from bci.jit import kernel

__all__ = ["gradient_of_mean", "n_work", "whitened_logarithms"]


def n_work(n: int) -> int:
    """Rows of scratch, n wide, that the kernels need."""
    return 4 * n + 3


@kernel
def whitened_logarithms(covs: Any, whitening: Any, logs: Any, work: Any) -> Any:
    """logs[i, j] = log(whitening[j] · covs[i, j] · whitening[j]). covs, logs: (k, m, n, n); whitening: (m, n, n)."""
    n = whitening.shape[2]
    for i in range(len(covs)):
        for j in range(len(whitening)):
            _decompose(covs[i, j], whitening[j], work)
            values, rows, log = work[4 * n + 2], work[2 * n : 3 * n], logs[i, j]
            for a in range(n):
                for b in range(n):
                    log[a, b] = 0.0
            for r in range(n):
                logarithm = np.log(values[r])
                for a in range(n):
                    f = logarithm * rows[r, a]
                    for b in range(a + 1):
                        log[a, b] += f * rows[r, b]
            for a in range(n):
                for b in range(a):
                    log[b, a] = log[a, b]


@kernel
def gradient_of_mean(covs: Any, shares: Any, whitening: Any, gradient: Any, work: Any) -> Any:
    """gradient = sum of shares · log(whitening · cov · whitening); returns the largest curvature along the descent.

    covs: (k, n, n); gradient: (n, n). The Hessian of half the squared distance to one matrix has eigenvalues between 1
    and (l / 2) · coth(l / 2), l being the logarithm of the whitened matrix's condition number.
    """
    n = len(whitening)
    for a in range(n):
        for b in range(n):
            gradient[a, b] = 0.0
    steepest = 0.0
    for i in range(len(covs)):
        _decompose(covs[i], whitening, work)
        values, rows = work[4 * n + 2], work[2 * n : 3 * n]
        low, high = np.inf, -np.inf
        for r in range(n):
            logarithm = np.log(values[r])
            low, high = min(low, logarithm), max(high, logarithm)
            for a in range(n):
                f = shares[i] * logarithm * rows[r, a]
                for b in range(a + 1):
                    gradient[a, b] += f * rows[r, b]
        half = 0.5 * (high - low)
        steepest += shares[i] * (half / np.tanh(half) if half > 1e-6 else 1.0)
    for a in range(n):
        for b in range(a):
            gradient[b, a] = gradient[a, b]
    return steepest


@kernel
def _decompose(cov: Any, whitening: Any, work: Any) -> Any:
    """Eigenvalues and eigenvectors of whitening · cov · whitening, left in work[4n + 2] and work[2n : 3n]."""
    n = len(cov)
    a, t, rows, values = work[:n], work[n : 2 * n], work[2 * n : 3 * n], work[4 * n + 2]
    for i in range(n):
        for j in range(n):
            t[i, j] = 0.0
        for k in range(n):
            f = whitening[i, k]
            for j in range(n):
                t[i, j] += f * cov[k, j]
    for i in range(n):
        for j in range(n):
            a[i, j] = 0.0
        for k in range(n):
            f = t[i, k]
            for j in range(i + 1):
                a[i, j] += f * whitening[k, j]
    for i in range(n):
        for j in range(i):
            a[j, i] = a[i, j]
    if not eigh_rows(a, values, rows, work[3 * n : 4 * n + 2]):
        values[:] = np.nan
