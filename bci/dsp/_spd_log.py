"""Logarithm of one small covariance matrix without its eigenvectors, twice as fast as with them.

A decision in the tangent space is the logarithm of one matrix of 8 to 64 channels, and one matrix alone leaves an
eigensolver waiting for its own square roots: 560 rotations in a row, each of 50 cycles, at 22 channels. Here instead:

1. Reflections make the matrix tridiagonal, T (Householder).
2. `log z = ∫ (z − 1) / (1 + t (z − 1)) dt`, t from 0 to 1, by m Gauss-Legendre points, which is the diagonal Padé
   approximant. Each point needs the inverse of one tridiagonal matrix, whose entries are products of ratios of two
   recurrences; the points lie side by side in vectors, so nothing waits.
3. The reflections are undone.

The number of points follows from bounds of the eigenvalues: with T scaled to lie evenly around 1 and a condition number
κ, the error falls as ((κ^¼ − 1) / (κ^¼ + 1))^(2m). It is held below 10⁻¹², and where 64 points do not reach that, the
eigenvectors are taken after all.

References
----------
.. [1] Dieci, Morini & Papini, SIAM J. Matrix Anal. Appl. 17(3):570-593, 1996 (the quadrature and its error).
   doi:10.1137/S0895479894273614
.. [2] Meurant, SIAM J. Matrix Anal. Appl. 13(3):707-728, 1992 (inverse of a tridiagonal matrix). doi:10.1137/0613045
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from bci.chunks import F64
from bci.dsp._eigh import eigh_rows
from bci.dsp._rows import W, combine_rows, dot_rows, multiply_rows, rank_two
from bci.jit import fragment, kernel

__all__ = ["log_spd", "n_scratch", "pitch_of", "plain_log_spd", "quadrature"]

MOST = 64
_POINTS = (8, 16, 24, 32, 48, MOST)
_LOG_ERROR = -28.0  # natural logarithm of the bound


def pitch_of(n: int) -> int:
    """Numbers from one row to the next: whole vectors."""
    return -(-n // W) * W


def n_scratch(n: int) -> int:
    """Numbers that `log_spd` works in."""
    pitch = pitch_of(n)
    return 4 * pitch + 2 * MOST + 2 * n * MOST + 2 * MOST * (pitch + W) + W + n * pitch + (n + 2) * n


@cache
def quadrature() -> F64:
    """Points and weights of Gauss-Legendre rules on 0…1, shape (rules, 2, 64); first the number of points in each."""
    table = np.zeros((len(_POINTS) + 1, 2, MOST))
    table[0, 0, : len(_POINTS)] = _POINTS
    for rule, m in zip(table[1:], _POINTS, strict=True):
        points, weights = np.polynomial.legendre.leggauss(m)
        rule[0, :m], rule[1, :m] = (points + 1.0) / 2.0, weights / 2.0
    return table


@kernel
def log_spd(a: Any, out: Any, n: Any, table: Any, scratch: Any) -> Any:
    """out = log a, both triangles; a and out: (n * pitch,), rows padded. a is overwritten, table is `quadrature()`.

    Returns False where a is not positive definite (then out is NaN).
    """
    pitch = (n + W - 1) // W * W
    d, e, inverse, p = scratch[:n], scratch[pitch:], scratch[2 * pitch :], scratch[3 * pitch :]
    rest = scratch[4 * pitch :]
    kept = rest[len(rest) - n * pitch - (n + 2) * n :]
    for k in range(n * pitch):
        kept[k] = a[k]
    reduce(a, n, pitch, d, e, inverse, p)
    done = log_tridiagonal(d, e, n, pitch, table, rest, out)
    if done > 0:
        restore(a, out, n, pitch, inverse, p)
        return True
    if done == 0:
        return by_eigenvectors(kept, out, n, pitch, a, d, kept[n * pitch :])
    for k in range(n * pitch):
        out[k] = np.nan
    return False


@fragment
def reduce(a: Any, n: Any, pitch: Any, d: Any, e: Any, inverse: Any, p: Any) -> Any:
    """Diagonals d (n,) and e (n - 1,) of Qᵀ a Q; row i of a keeps the i-th reflection, inverse[i] = 2 / its square."""
    for i in range(n - 1, 0, -1):
        v, vectors = i * pitch, (i + W - 1) // W
        d[i] = a[v + i]
        for k in range(i, vectors * W):
            a[v + k] = 0.0
        h = dot_rows(a, v, a, v, vectors)
        last = a[v + i - 1]
        inverse[i] = 0.0
        e[i - 1] = last
        if h - last * last == 0.0:  # already tridiagonal here
            continue
        root = -np.sqrt(h) if last > 0.0 else np.sqrt(h)
        e[i - 1] = root
        a[v + i - 1] = last - root
        inverse[i] = 1.0 / (h - last * root)
        combine_rows(p, 0, a, v, a, 0, pitch, i, vectors)
        half = 0.5 * inverse[i] * inverse[i] * dot_rows(p, 0, a, v, vectors)
        for k in range(vectors * W):
            p[k] = p[k] * inverse[i] - half * a[v + k]
        rank_two(a, pitch, i, vectors, a, v, p, 0)
    d[0] = a[0]


@fragment
def restore(a: Any, out: Any, n: Any, pitch: Any, inverse: Any, p: Any) -> Any:
    """out = Q out Qᵀ with the reflections that `reduce` left in a."""
    for i in range(1, n):
        if inverse[i] == 0.0:
            continue
        v = i * pitch
        for k in range(i, pitch):
            a[v + k] = 0.0
        combine_rows(p, 0, a, v, out, 0, pitch, i, pitch // W)
        half = 0.5 * inverse[i] * inverse[i] * dot_rows(p, 0, a, v, pitch // W)
        for k in range(pitch):
            p[k] = p[k] * inverse[i] - half * a[v + k]
        rank_two(out, pitch, n, pitch // W, a, v, p, 0)


@fragment
def bounds(d: Any, e: Any, n: Any, before: Any, behind: Any) -> Any:
    """(lower, upper) bound of the eigenvalues: 1 / trace of the inverse, and Gershgorin's; lower 0 if not definite."""
    upper, beside = 0.0, 0.0
    for i in range(n):
        after = abs(e[i]) if i < n - 1 else 0.0
        upper = max(upper, d[i] + beside + after)
        beside = after
    before[0], behind[n - 1] = d[0], d[n - 1]
    # pivots of elimination from either end; two chains, so one hides the other's waiting
    for i in range(1, n):
        j = n - 1 - i
        before[i] = d[i] - e[i - 1] * e[i - 1] / before[i - 1]
        behind[j] = d[j] - e[j] * e[j] / behind[j + 1]
    trace = 0.0
    for i in range(n):
        if not (before[i] > 0.0 and behind[i] > 0.0):  # also where a pivot is NaN
            return 0.0, upper
        trace += 1.0 / (before[i] + behind[i] - d[i])
    return 1.0 / trace, upper


@fragment
def log_tridiagonal(d: Any, e: Any, n: Any, pitch: Any, table: Any, scratch: Any, out: Any) -> Any:
    """out = log T; returns the number of points, 0 if there are not enough of them, -1 if T is not definite."""
    ratio, pivot = scratch[:MOST], scratch[MOST:]
    lower, upper = bounds(d, e, n, ratio, pivot)
    if lower <= 0.0:
        return -1
    root = np.sqrt(np.sqrt(upper / lower))
    needed = 0.5 * _LOG_ERROR / np.log((root - 1.0) / (root + 1.0)) if root > 1.0 else 1.0
    rule, m = 0, 0
    while m < needed:
        rule += 1
        if rule == len(table):
            return 0
        m = int(table[0, 0, rule - 1])
    x, w = table[rule, 0], table[rule, 1]
    centre = np.sqrt(lower * upper)

    # By recurrences from either end, a point in each lane: `diagonal` of the inverses times their weight, and `ratio`
    # of each entry to the one on its left.
    wide = pitch + W
    by_point = scratch[2 * MOST : 2 * MOST + 2 * n * MOST]
    diagonals, ratios = by_point[: n * MOST], by_point[n * MOST :]
    end = d[n - 1] / centre
    for k in range(m):
        q = 1.0 - x[k] + x[k] * end
        diagonals[(n - 1) * MOST + k] = q
        pivot[k] = 1.0 / q
    for i in range(n - 2, -1, -1):
        b, c = e[i] / centre, d[i] / centre
        for k in range(m):
            bx = b * x[k]
            r = -bx * pivot[k]
            q = 1.0 - x[k] + x[k] * c + r * bx
            ratios[(i + 1) * MOST + k] = r
            diagonals[i * MOST + k] = q
            pivot[k] = 1.0 / q
    total = np.log(centre)
    for k in range(m):
        total += w[k] / x[k]
        diagonals[k] = w[k] / x[k] / diagonals[k]
        pivot[k] = 1.0 / (1.0 - x[k] + x[k] * d[0] / centre)
    for i in range(1, n):
        b, c = e[i - 1] / centre, d[i] / centre
        for k in range(m):
            bx = b * x[k]
            taken = bx * bx * pivot[k]
            diagonals[i * MOST + k] = w[k] / x[k] / (diagonals[i * MOST + k] - taken)
            pivot[k] = 1.0 / (1.0 - x[k] + x[k] * c - taken)

    # Now a channel in each lane: from diagonal to diagonal every entry is the one before times a ratio.
    first = 2 * MOST + 2 * n * MOST
    entries, factors = scratch[first : first + m * wide], scratch[first + MOST * wide :]
    for k in range(m):
        for i in range(n):
            entries[k * wide + i] = diagonals[i * MOST + k]
            factors[k * wide + i] = ratios[i * MOST + k]
        for i in range(n, wide):
            entries[k * wide + i] = 0.0
            factors[k * wide + i] = 0.0
    for i in range(n):
        one = 0.0
        for k in range(m):
            one += entries[k * wide + i]
        out[i * pitch + i] = total - one
        for j in range(n, pitch):
            out[i * pitch + j] = 0.0
    for s in range(1, n):
        multiply_rows(entries, factors, s, wide, m, (n - s + W - 1) // W, ratio, 0)
        for i in range(n - s):
            out[i * pitch + i + s] = -ratio[i]
            out[(i + s) * pitch + i] = -ratio[i]
    return m


@kernel
def by_eigenvectors(a: Any, out: Any, n: Any, pitch: Any, square: Any, values: Any, work: Any) -> Any:
    """out = log a through eigenvalues; `square` takes a without padding and then the eigenvectors."""
    matrix = square[: n * n].reshape(n, n)
    rows = out[: n * n].reshape(n, n)
    for i in range(n):
        for j in range(n):
            matrix[i, j] = a[i * pitch + j]
    fine = eigh_rows(matrix, values, rows, work[: (n + 2) * n].reshape(n + 2, n))
    for i in range(n):
        fine = fine and values[i] > 0.0
        values[i] = np.log(values[i]) if fine else np.nan
    for i in range(n):
        for j in range(n):
            matrix[i, j] = rows[i, j]
    for k in range(n * pitch):
        out[k] = 0.0
    for r in range(n):
        for i in range(n):
            f = values[r] * matrix[r, i]
            for j in range(n):
                out[i * pitch + j] += f * matrix[r, j]
    return fine


@kernel
def plain_log_spd(a: Any, out: Any, n: Any, table: Any, scratch: Any) -> Any:
    """`log_spd` through eigenvectors: the twin for tests, and for a machine where vectors do not work."""
    pitch = (n + W - 1) // W * W
    kept = scratch[pitch : pitch + n * pitch]
    for k in range(n * pitch):
        kept[k] = a[k]
    return by_eigenvectors(kept, out, n, pitch, a, scratch[:n], scratch[pitch + n * pitch :])
