"""Eigenvalues and eigenvectors of one small symmetric matrix: Householder tridiagonalisation, implicit QL.

For 8 to 64 channels a call of LAPACK is mostly overhead and threads. Every inner loop here runs along a row, and
eigenvectors are kept as rows, so LLVM vectorises all of it; 32 x 32 takes a fifth of `numpy.linalg.eigh`'s time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bci.jit import kernel

__all__ = ["eigh_rows", "loud_directions"]

MAX_SWEEPS = 60


@kernel
def eigh_rows(a: Any, values: Any, rows: Any, work: Any) -> Any:
    """Eigenvalues (n,), in no order, and eigenvectors as rows (n, n) of a symmetric a (n, n), which is overwritten.

    work: (n, n) + two vectors, i.e. (n + 2, n). Returns False if a holds NaN or infinity.

    References
    ----------
    .. [1] Martin, Reinsch & Wilkinson, Numer. Math. 11:181-195, 1968; Bowdler et al., ibid. 11:293-306 (tred2, tql2).
    """
    n = a.shape[0]
    q, off, p = work[:n], work[n], work[n + 1]
    finite = 0.0
    for i in range(n):
        for k in range(n):
            finite += a[i, k] * 0.0
    if finite != 0.0:
        return False
    for i in range(n - 1, 0, -1):
        v = a[i]
        h = 0.0
        for k in range(i):
            h += v[k] * v[k]
        tail = h - v[i - 1] * v[i - 1]
        if tail == 0.0:  # already tridiagonal here
            off[i] = v[i - 1]
            values[i] = 0.0  # marks that there is no reflection
            continue
        g = -np.sqrt(h) if v[i - 1] > 0.0 else np.sqrt(h)
        off[i] = g
        h -= v[i - 1] * g
        v[i - 1] -= g
        values[i] = h
        for k in range(i):
            p[k] = 0.0
        for j in range(i):
            f = v[j] / h
            for k in range(i):
                p[k] += f * a[j, k]
        f = 0.0
        for k in range(i):
            f += p[k] * v[k]
        f /= 2.0 * h
        for k in range(i):
            p[k] -= f * v[k]
        for j in range(i):
            x, y = v[j], p[j]
            for k in range(i):
                a[j, k] -= x * p[k] + y * v[k]
    off[0] = 0.0
    for i in range(n):
        for k in range(n):
            q[i, k] = 0.0
        q[i, i] = 1.0
    for i in range(1, n):
        h = values[i]
        if h == 0.0:
            continue
        for k in range(i):
            p[k] = 0.0
        for j in range(i):
            f = a[i, j] / h
            for k in range(i):
                p[k] += f * q[j, k]
        for j in range(i):
            f = a[i, j]
            for k in range(i):
                q[j, k] -= f * p[k]
    for i in range(n):
        values[i] = a[i, i]
        for k in range(n):
            rows[k, i] = q[i, k]
    for i in range(1, n):
        off[i - 1] = off[i]
    off[n - 1] = 0.0
    return _ql(values, off, rows)


@kernel
def _ql(d: Any, e: Any, rows: Any) -> Any:
    """Diagonalise the tridiagonal matrix d (n,), e (n,), turning pairs of rows with it."""
    n = len(d)
    for start in range(n):
        for sweep in range(MAX_SWEEPS + 1):
            m = start
            while m < n - 1 and abs(e[m]) > 2.3e-16 * (abs(d[m]) + abs(d[m + 1])):
                m += 1
            if m == start:
                break
            if sweep == MAX_SWEEPS:
                return False
            g = (d[start + 1] - d[start]) / (2.0 * e[start])
            r = np.sqrt(g * g + 1.0)
            g = d[m] - d[start] + e[start] / (g + (r if g >= 0.0 else -r))
            s, c, shift = 1.0, 1.0, 0.0
            i = m - 1
            while i >= start:
                f, b = s * e[i], c * e[i]
                r = np.sqrt(f * f + g * g)
                e[i + 1] = r
                if r == 0.0:
                    d[i + 1] -= shift
                    e[m] = 0.0
                    break
                s, c = f / r, g / r
                g = d[i + 1] - shift
                r = (d[i] - g) * s + 2.0 * c * b
                shift = s * r
                d[i + 1] = g + shift
                g = c * r - b
                for k in range(n):
                    x, y = rows[i, k], rows[i + 1, k]
                    rows[i + 1, k] = s * x + c * y
                    rows[i, k] = c * x - s * y
                i -= 1
            if i >= start:
                continue
            d[start] -= shift
            e[start] = g
            e[m] = 0.0
    return True


@kernel
def loud_directions(cov: Any, limit: Any, n_free: Any, values: Any, rows: Any, loud: Any, work: Any) -> Any:
    """Which eigenvectors v of cov have a variance of at least v · limit · v? The `n_free` quietest never count.

    cov: (n, n), its lower triangle. limit: (n, n). values, rows: as `eigh_rows` gives them. loud: (n,), bool.
    work: (2 n + 2, n). Returns their number, or -1 if cov is not finite.
    """
    n = len(cov)
    a = work[n + 2 :]
    for i in range(n):
        for j in range(i + 1):
            a[i, j] = cov[i, j]
            a[j, i] = cov[i, j]
    if not eigh_rows(a, values, rows, work[: n + 2]):
        return -1
    count = 0
    image = work[0]
    for r in range(n):
        quieter = 0
        for i in range(n):
            quieter += values[i] < values[r]
        loud[r] = False
        if quieter < n_free:
            continue
        for j in range(n):
            image[j] = 0.0
        for i in range(n):
            f = rows[r, i]
            for j in range(n):
                image[j] += f * limit[i, j]
        allowed = 0.0
        for j in range(n):
            allowed += image[j] * rows[r, j]
        loud[r] = values[r] >= allowed
        count += loud[r]
    return count
