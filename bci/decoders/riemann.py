"""Geometry of symmetric positive definite (SPD) matrices under the affine-invariant metric.

Covariances are points of a curved space in which a linear mixing of the sources, such as the skull and skin
make, is a shift that leaves all distances as they are. Seen from a reference point the space is flat enough
for linear decoders: that is the tangent space. All functions take stacks (..., n, n); every matrix of a stack
is treated by itself, so a result never depends on how many others came along.

References
----------
.. [1] Pennec, Fillard and Ayache, A Riemannian framework for tensor computing, Int. J. Comput. Vis.
   66(1):41-66, 2006. doi:10.1007/s11263-005-3222-z
.. [2] Barachant, Bonnet, Congedo and Jutten, Multiclass brain-computer interface classification by Riemannian
   geometry, IEEE Trans. Biomed. Eng. 59(4):920-928, 2012. doi:10.1109/TBME.2011.2172210
"""

from __future__ import annotations

import numpy as np

from bci.chunks import F64
from bci.errors import NonFiniteError, RankDeficientError, ShapeError

__all__ = [
    "as_spd",
    "distance",
    "exp_map",
    "exp_symmetric",
    "inverse_sqrt",
    "log_map",
    "log_whitened",
    "mean",
    "spd_from_tangent",
    "tangent_vectors",
]

# A matrix whose smallest eigenvalue is below this fraction of its largest has lost its rank to rounding:
# the logarithm of such an eigenvalue says something about the arithmetic and nothing about the brain.
_RANK_TOLERANCE = 1e-13


def as_spd(covs: object) -> F64:
    """Return `covs` as float64 (..., n, n), checked to be symmetric positive definite.

    Raises
    ------
    ShapeError
        If they are not square matrices, not symmetric or none.
    NonFiniteError
        If one holds NaN or infinity.
    RankDeficientError
        If one is singular or indefinite.
    """
    a = np.asarray(covs, dtype=np.float64)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.size == 0:
        raise ShapeError(f"expected covariances of shape (..., n_channels, n_channels), got {a.shape}")
    if not np.isfinite(a).all():
        raise NonFiniteError("a covariance holds NaN or infinity: leave windows that touch a gap out")
    if not np.allclose(a, np.swapaxes(a, -1, -2), rtol=1e-9, atol=1e-12 * float(np.abs(a).max())):
        raise ShapeError("a covariance is not symmetric")
    eigenvalues = np.linalg.eigvalsh(a)
    singular = eigenvalues[..., 0] <= _RANK_TOLERANCE * eigenvalues[..., -1]
    if singular.any():
        raise RankDeficientError(
            f"{int(singular.sum())} of {singular.size} covariances are not positive definite: channels "
            "depend on each other (average reference, bridged electrodes, a dead channel) or a window has "
            "fewer samples than channels. Drop a channel or shrink the covariances."
        )
    return a


def inverse_sqrt(spd: F64) -> F64:
    """The symmetric `spd`^(-1/2), shape (..., n, n): it whitens, for `w @ spd @ w` is the identity."""
    eigenvalues, vectors = np.linalg.eigh(spd)
    return _compose(1.0 / np.sqrt(eigenvalues), vectors)


def log_whitened(covs: F64, whitening: F64) -> F64:
    """Logarithm of covariances seen from the point that `whitening` turns into the identity.

    Parameters
    ----------
    covs : ndarray, shape (..., n, n), µV²
        Positive definite.
    whitening : ndarray, shape (n, n) or (m, n, n), 1/µV
        `inverse_sqrt(reference)`; with m of them the covariances are (..., m, n, n).

    Returns
    -------
    logs : ndarray, same shape as `covs`, dimensionless
        Symmetric. The Frobenius norm is the Riemannian distance to the reference. NaN for a matrix that is
        not positive definite.
    """
    from bci.decoders import _spd_kernels

    w = np.asarray(whitening if whitening.ndim == 3 else whitening[None], dtype=np.float64)
    stack = np.ascontiguousarray(covs, dtype=np.float64).reshape(-1, *w.shape)
    return _spd_kernels.whitened_logarithms(stack, w).reshape(covs.shape)


def tangent_vectors(covs: F64, reference: F64) -> F64:
    """Coordinates of covariances in the tangent space at `reference`.

    Parameters
    ----------
    covs : ndarray, shape (..., n, n), µV²
    reference : ndarray, shape (n, n), µV²

    Returns
    -------
    vectors : ndarray, shape (..., n (n + 1) / 2), dimensionless
        Upper triangle of `log_whitened`, row by row, off-diagonal entries times √2, so that the Euclidean
        norm is the Riemannian distance to the reference.

    References
    ----------
    .. [1] Barachant et al. 2012, equation 13 (see the module).
    """
    logs = log_whitened(covs, inverse_sqrt(reference))
    rows, columns, scale = _triangle(reference.shape[-1])
    vectors: F64 = logs[..., rows, columns] * scale
    return vectors


def spd_from_tangent(vectors: F64, reference: F64) -> F64:
    """Inverse of `tangent_vectors`: the covariances, shape (..., n, n), that have these coordinates."""
    n = reference.shape[-1]
    rows, columns, scale = _triangle(n)
    logs = np.zeros((*vectors.shape[:-1], n, n))
    logs[..., rows, columns] = logs[..., columns, rows] = vectors / scale
    half = _sqrt(reference)
    return half @ exp_symmetric(logs) @ half


def log_map(covs: F64, reference: F64) -> F64:
    """Initial velocity, shape (..., n, n), of the geodesic from `reference` to each covariance, arriving at
    time 1.
    """
    half = _sqrt(reference)
    return half @ log_whitened(covs, inverse_sqrt(reference)) @ half


def exp_map(velocities: F64, reference: F64) -> F64:
    """End points, at time 1, of geodesics that leave `reference` with these velocities (see `log_map`)."""
    half, whitening = _sqrt(reference), inverse_sqrt(reference)
    return half @ exp_symmetric(whitening @ velocities @ whitening) @ half


def exp_symmetric(symmetric: F64) -> F64:
    """Matrix exponential of symmetric matrices, shape (..., n, n)."""
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    return _compose(np.exp(eigenvalues), vectors)


def distance(a: F64, b: F64) -> F64:
    """Affine-invariant Riemannian distance, shape (...), of covariances `a` (..., n, n) from the one `b`
    (n, n).
    """
    whitening = inverse_sqrt(b)
    ratios = np.linalg.eigvalsh(whitening @ a @ whitening)
    result: F64 = np.sqrt(np.sum(np.log(ratios) ** 2, axis=-1))
    return result


def mean(covs: F64, *, weights: F64 | None = None, tolerance: float = 1e-7, max_steps: int = 100) -> F64:
    """Riemannian (Fréchet, Karcher) mean: the matrix with the least sum of squared distances.

    Parameters
    ----------
    covs : ndarray, shape (n_matrices, n, n) or (n_matrices, m, n, n)
        Positive definite. With the second shape, m means side by side.
    weights : ndarray, shape (n_matrices,), optional
        Non-negative; equal ones by default.
    tolerance : float
        The descent ends with the step along a gradient whose Frobenius norm, per √n, is below this. The step itself
        takes off two more digits.
    max_steps : int
        Guard against data for which rounding keeps the gradient above `tolerance`.

    Returns
    -------
    mean : ndarray, shape (n, n) or (m, n, n)
        NaN where a matrix holds NaN.

    References
    ----------
    .. [1] Moakher, SIAM J. Matrix Anal. Appl. 26(3):735-747, 2005. doi:10.1137/S0895479803436937
    .. [2] Bini and Iannazzo, Linear Algebra Appl. 438(4):1700-1710, 2013 (length of the step).
       doi:10.1016/j.laa.2011.08.052
    """
    from bci.decoders import _spd_kernels

    stack = np.ascontiguousarray(covs if covs.ndim == 4 else covs[:, None], dtype=np.float64)
    share = np.full(len(stack), 1.0 / len(stack)) if weights is None else weights / weights.sum()
    n = stack.shape[-1]
    # The arithmetic and the harmonic mean lie on either side, about as far away.
    going = np.flatnonzero(np.isfinite(stack).all(axis=(0, 2, 3)))
    whole = stack[:, going]
    arithmetic = np.tensordot(share, whole, axes=1)
    harmonic = np.linalg.inv(np.tensordot(share, np.linalg.inv(whole), axes=1))
    point = np.full(stack.shape[1:], np.nan)
    point[going] = _midpoint(arithmetic, harmonic)
    step, last = np.zeros_like(point), np.zeros_like(point)
    for turn in range(max_steps if len(going) else 0):
        half = _sqrt(point[going])
        whitening = np.asarray(np.linalg.inv(half), dtype=np.float64)
        gradient, steepest = _spd_kernels.gradient_of_mean(stack, share, whitening, going)
        # Curvatures lie between 1 and `steepest`. The last step and what it did to the gradient tell the curvature
        # along it (Barzilai and Borwein); the first step shrinks all errors alike.
        length = 2.0 / (1.0 + steepest)
        if turn:
            change = last[going] - gradient
            squared = np.sum(change * change, axis=(1, 2))
            told = np.sum(step[going] * change, axis=(1, 2)) / np.where(squared > 0.0, squared, 1.0)
            length = np.where(squared > 0.0, np.clip(told, 1.0 / steepest, 1.0), length)
        moved = length[:, None, None] * gradient
        step[going], last[going] = moved, gradient
        broken = ~np.isfinite(steepest)
        moved[broken] = 0.0
        new = half @ exp_symmetric(moved) @ half
        new[broken] = np.nan
        point[going] = 0.5 * (new + np.swapaxes(new, 1, 2))
        size = np.sqrt(np.sum(gradient * gradient, axis=(1, 2)) / n)
        going = going[(size >= tolerance) & ~broken]
        if not len(going):
            break
    return point if covs.ndim == 4 else point[0]


def _midpoint(a: F64, b: F64) -> F64:
    half, whitening = _sqrt(a), inverse_sqrt(a)
    middle: F64 = half @ _sqrt(whitening @ b @ whitening) @ half
    return 0.5 * (middle + np.swapaxes(middle, -1, -2))


def _sqrt(spd: F64) -> F64:
    eigenvalues, vectors = np.linalg.eigh(spd)
    return _compose(np.sqrt(eigenvalues), vectors)


def _compose(eigenvalues: F64, vectors: F64) -> F64:
    composed: F64 = (vectors * eigenvalues[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return composed


def _triangle(n: int) -> tuple[np.ndarray, np.ndarray, F64]:
    """Row and column numbers of the upper triangle, and the factor that makes its norm the whole matrix's."""
    rows, columns = np.triu_indices(n)
    return rows, columns, np.where(rows == columns, 1.0, np.sqrt(2.0))
