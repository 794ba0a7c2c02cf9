"""Two linear classifiers on features: ridge logistic regression and shrinkage LDA, sized for many small fits.

They are scikit-learn's `LogisticRegression` and `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")` by
definition; parity is a test. An ensemble fits hundreds of them, on fewer windows than features: there the solution lies
in the span of the windows, so the problem is solved in that space, exactly, by Newton's method while it is small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders.calibration import softmax

__all__ = ["Linear", "fit_lda", "fit_logistic", "matrices_of"]

I64 = NDArray[np.int64]

_STEPS = 100
_TOLERANCE = 1e-9
# Directions whose variance is below this share of the largest are rounding.
_RANK = 1e-12
# Newton's equations cost the cube of the unknowns; above this many L-BFGS is faster.
_NEWTON_MOST = 500


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Scores `x @ weights.T + bias`: weights (n_classes, n_features), bias (n_classes,). Probabilities are softmax."""

    weights: F64
    bias: F64

    def scores(self, features: F64) -> F64:
        """Scores, shape (n_windows, n_classes)."""
        result: F64 = features @ self.weights.T + self.bias
        return result


def fit_logistic(features: F64, targets: I64, *, C: float = 1.0) -> Linear:
    """Multinomial logistic regression with a ridge penalty; the bias is not penalised.

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_features)
    targets : ndarray of int, shape (n_windows,)
        Column of the class, 0 to n_classes - 1, each of them there.
    C : float
        Inverse strength of the penalty: minimises C · (sum of log-losses) + |weights|² / 2.

    Returns
    -------
    Linear
        With two classes the first one's scores are 0 (penalised once, as scikit-learn does).

    References
    ----------
    .. [1] Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., sections 4.4 and 18.3.5.
    """
    n, d = features.shape
    k = int(targets.max()) + 1
    back = None
    reduced = features
    if n < d:
        gram = features @ features.T
        values, vectors = np.linalg.eigh(gram)
        kept = values > _RANK * values[-1]
        roots = np.sqrt(values[kept])
        reduced, back = vectors[:, kept] * roots, vectors[:, kept] / roots
    x = np.column_stack([reduced, np.ones(n)])
    fitted = _binary(x, targets == 1, 1.0 / C)[None] if k == 2 else _multinomial(x, targets, k, 1.0 / C)
    weights = fitted[:, :-1]
    if back is not None:
        weights = (weights @ back.T) @ features
    bias = fitted[:, -1]
    if k == 2:
        weights, bias = np.concatenate([np.zeros_like(weights), weights]), np.append(0.0, bias)
    return Linear(weights, bias)


def fit_lda(features: F64, targets: I64) -> Linear:
    """Linear discriminant analysis with Ledoit-Wolf shrinkage of each class's covariance.

    Parameters as of `fit_logistic`. Priors are the classes' shares of the training windows.

    References
    ----------
    .. [1] Ledoit and Wolf, J. Multivar. Anal. 88(2):365-411, 2004. doi:10.1016/S0047-259X(03)00096-4
    .. [2] Blankertz et al., NeuroImage 56(2):814-825, 2011. doi:10.1016/j.neuroimage.2010.06.048
    """
    k = int(targets.max()) + 1
    n, d = features.shape
    counts = np.bincount(targets, minlength=k)
    means = np.stack([features[targets == j].mean(axis=0) for j in range(k)])
    within = np.zeros((d, d))
    for j in range(k):
        centred = features[targets == j] - means[j]
        scale = np.sqrt(np.mean(centred * centred, axis=0))
        scale[scale == 0.0] = 1.0
        within += counts[j] / n * (scale[:, None] * _ledoit_wolf(centred / scale) * scale)
    weights = np.linalg.lstsq(within, means.T, rcond=None)[0].T
    bias = np.log(counts / n) - 0.5 * np.sum(weights * means, axis=1)
    return Linear(weights, bias)


def matrices_of(linear: Linear, n: int) -> F64:
    """Weights of tangent vectors as symmetric matrices, shape (n_classes, n, n), to be multiplied with logarithms."""
    rows, columns = np.triu_indices(n)
    # A tangent coordinate is √2 times the off-diagonal entry, which stands in the matrix twice: √2 / 2 each.
    scaled = linear.weights * np.where(rows == columns, 1.0, np.sqrt(0.5))
    matrices = np.zeros((len(scaled), n, n))
    matrices[:, rows, columns] = matrices[:, columns, rows] = scaled
    return matrices


def _ledoit_wolf(x: F64) -> F64:
    """Shrunk covariance of centred rows."""
    n, d = x.shape
    cov: F64 = x.T @ x / n
    mean_variance = np.trace(cov) / d
    delta = np.sum(cov * cov) - d * mean_variance**2
    squares = np.sum(x * x, axis=1)
    beta = (np.sum(squares * squares) / n - np.sum(cov * cov)) / n
    alpha = 0.0 if delta <= 0 else min(max(beta, 0.0) / delta, 1.0)
    cov *= 1.0 - alpha
    cov[np.arange(d), np.arange(d)] += alpha * mean_variance
    return cov


def _binary(x: F64, positive: NDArray[np.bool_], ridge: float) -> F64:
    """Newton's method for two classes; the last column of x is the constant, which is not penalised."""
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 0.0
    sign = np.where(positive, 1.0, -1.0)
    if x.shape[1] > _NEWTON_MOST:

        def objective(w: F64) -> tuple[float, F64]:
            margin = sign * (x @ w)
            loss = np.sum(np.logaddexp(0.0, -margin)) + 0.5 * penalty @ (w * w)
            return float(loss), penalty * w - x.T @ (sign / (1.0 + np.exp(margin)))

        return _descend(objective, x.shape[1])
    w = np.zeros(x.shape[1])
    margin = np.zeros(len(x))
    loss = float(np.sum(np.logaddexp(0.0, -margin)))
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(margin))  # of the wrong class
        slope = penalty * w - x.T @ (sign * p)
        if np.abs(slope).max() < _TOLERANCE * max(1.0, len(x) / 100):
            break
        hessian = (x.T * (p * (1.0 - p))) @ x
        hessian[np.diag_indices_from(hessian)] += penalty + 1e-12
        step = np.linalg.solve(hessian, slope)
        moved = sign * (x @ step)
        length = 1.0
        while True:
            new = w - length * step
            new_loss = float(np.sum(np.logaddexp(0.0, length * moved - margin)) + 0.5 * penalty @ (new * new))
            if new_loss <= loss + 1e-12 * abs(loss) or length < 1e-6:
                break
            length *= 0.5
        w, margin, loss = new, margin - length * moved, new_loss
    return w


def _multinomial(x: F64, targets: I64, k: int, ridge: float) -> F64:
    """Weights (k, d) by L-BFGS: the loss is smooth and convex, and k · d unknowns are many for Newton."""
    truth = np.eye(k)[targets]
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 0.0

    def objective(flat: F64) -> tuple[float, F64]:
        w = flat.reshape(k, -1)
        scores = x @ w.T
        top = scores.max(axis=1)
        loss = np.sum(
            top + np.log(np.exp(scores - top[:, None]).sum(axis=1)) - np.sum(scores * truth, axis=1)
        )
        slope = (softmax(scores) - truth).T @ x + penalty * w
        return float(loss + 0.5 * np.sum(penalty * w * w)), slope.ravel()

    fitted = _descend(objective, k * x.shape[1]).reshape(k, -1)
    fitted[:, -1] -= fitted[:, -1].mean()
    return fitted


def _descend(objective: Callable[[F64], tuple[float, F64]], n_unknowns: int) -> F64:
    """Minimum of a smooth convex function that gives value and slope, by L-BFGS."""
    from scipy.optimize import minimize

    options = {"maxiter": 5000, "maxcor": 20, "gtol": 1e-7, "ftol": 1e-14}
    found: F64 = minimize(objective, np.zeros(n_unknowns), jac=True, method="L-BFGS-B", options=options).x
    return found
