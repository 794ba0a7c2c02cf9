"""Where on the scalp a decision comes from: activation patterns of linear decoders.

The weights of a linear decoder do not show that: a channel that only helps to take noise off another one
carries a large weight. Its *pattern* does, the signal's own change per unit of the decoder's score:
`pattern = cov(features) · weights / var(score)` (Haufe). For a decoder in the tangent space the pattern is a
direction of covariance matrices; seen in the channels it says by what share the band power of each rises or
falls with the score. Contralateral motor cortex should; a pattern over the eyes or visual cortex means that
gaze or the picture on the screen decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bci.chunks import F64
from bci.decoders import riemann
from bci.decoders.frozen import FrozenEnsemble
from bci.errors import ShapeError

__all__ = [
    "Carriers",
    "carriers",
    "csp_patterns",
    "haufe_pattern",
    "member_patterns",
    "power_pattern",
    "region",
]

#: A region whose channels change this much more than the motor ones, in mean square, carries the decision.
_CARRIES = 1.0


def haufe_pattern(features: F64, weights: F64) -> F64:
    """Change of each feature per standard deviation of the score `features @ weights`.

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_features)
        Those the decoder was trained on.
    weights : ndarray, shape (n_features,)

    Returns
    -------
    pattern : ndarray, shape (n_features,)
        In units of the features; zeros where the score is constant.

    Raises
    ------
    ShapeError
        If the two do not fit.

    References
    ----------
    .. [1] Haufe et al., NeuroImage 87:96-110, 2014, equation 6. doi:10.1016/j.neuroimage.2013.10.067
    """
    x, w = np.asarray(features, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if x.ndim != 2 or w.shape != x.shape[1:]:
        raise ShapeError(f"expected features (n_windows, n) and weights (n,), got {x.shape} and {w.shape}")
    centred = x - x.mean(axis=0)
    score = centred @ w
    spread = float(np.sqrt(np.mean(score**2)))
    if spread == 0.0:
        return np.zeros_like(w)
    pattern: F64 = centred.T @ score / (len(x) * spread)
    return pattern


def power_pattern(covs: F64, weights: F64, reference: F64) -> F64:
    """By what share each channel's band power changes per standard deviation of a tangent-space score.

    Parameters
    ----------
    covs : ndarray, shape (n_windows, n_channels, n_channels), µV²
        Covariances of the training windows.
    weights : ndarray, shape (n_channels * (n_channels + 1) / 2,)
        Of their `riemann.tangent_vectors`; positive for the class that is shown.
    reference : ndarray, shape (n_channels, n_channels), µV²

    Returns
    -------
    pattern : ndarray, shape (n_channels,), dimensionless
        −0.1 says that the power of this channel lies 10 % lower (to first order) where the score is one
        standard deviation higher: desynchronisation with the class.

    References
    ----------
    .. [1] Haufe et al. 2014 (see `haufe_pattern`); the tangent direction is mapped back to the channels by
       `reference^(1/2) · direction · reference^(1/2)` (Barachant et al. 2012, equation 5).
    """
    vectors = riemann.tangent_vectors(covs, reference)
    direction = haufe_pattern(vectors, weights)
    # A small step along the geodesic; its length does not matter, the derivative at the reference is taken.
    step = 1e-4
    moved = riemann.spd_from_tangent(step * direction, reference)
    share: F64 = (np.diagonal(moved) / np.diagonal(reference) - 1.0) / step
    return share


def member_patterns(decoder: FrozenEnsemble, covs: F64, *, towards: str) -> F64:
    """`power_pattern` of every member of an ensemble.

    Parameters
    ----------
    decoder : FrozenEnsemble
    covs : ndarray, shape (n_windows, m, n_channels, n_channels), µV²
        Covariances of the training windows, one per member's view.
    towards : str
        Class whose score is followed, against the mean of the others.

    Returns
    -------
    patterns : ndarray, shape (m, n_channels), dimensionless

    Raises
    ------
    ShapeError
        If the covariances do not fit.
    """
    n, m, k = decoder.n_channels, decoder.n_members, decoder.classes.index(towards)
    if covs.ndim != 4 or covs.shape[1:] != (m, n, n):
        raise ShapeError(f"expected covariances of shape (n_windows, {m}, {n}, {n}), got {covs.shape}")
    others = [j for j in range(len(decoder.classes)) if j != k]
    matrices = decoder.weights[:, k] - decoder.weights[:, others].mean(axis=1)
    rows, columns = np.triu_indices(n)
    weights = matrices[:, rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2.0))
    patterns = np.empty((m, n))
    for j in range(m):
        root = np.linalg.inv(decoder.whitening[j])
        patterns[j] = power_pattern(covs[:, j], weights[j], root @ root)
    return patterns


def csp_patterns(filters: F64, covariance: F64) -> F64:
    """Activation patterns of spatial filters.

    Parameters
    ----------
    filters : ndarray, shape (n_filters, n_channels)
        One spatial filter a row.
    covariance : ndarray, shape (n_channels, n_channels), µV²
        Of the signal they were made for.

    Returns
    -------
    patterns : ndarray, shape (n_filters, n_channels)
        Scalp distribution, in µV per unit of each filter's output.

    References
    ----------
    .. [1] Haufe et al. 2014, equation 6 (see `haufe_pattern`).
    """
    outputs = filters @ covariance @ filters.T
    patterns: F64 = np.linalg.pinv(outputs, hermitian=True) @ filters @ covariance
    return patterns


@dataclass(frozen=True, slots=True)
class Carriers:
    """How much the channels of each region change with the score, and what to think of it.

    Parameters
    ----------
    strength : dict of str to float
        Root mean square of the pattern over the channels of "motor", "posterior" and "frontal"; regions
        without channels are missing.
    strongest : tuple of str
        The three channels that change most.
    warning : str
        In plain words, where eyes or visual cortex change more than motor channels; "" else.
    """

    strength: dict[str, float]
    strongest: tuple[str, ...]
    warning: str


def carriers(pattern: F64, channels: Sequence[str]) -> Carriers:
    """Judge whether a pattern lies where movement is made.

    Parameters
    ----------
    pattern : ndarray, shape (n_channels,)
        As `power_pattern` gives it.
    channels : sequence of str
        10-20 or 10-10 names.

    Raises
    ------
    ShapeError
        If there is not one name per channel.
    """
    values = np.asarray(pattern, dtype=np.float64)
    if values.shape != (len(channels),):
        raise ShapeError(f"expected one value per channel ({len(channels)}), got {values.shape}")
    of = np.array([region(name) for name in channels])
    strength = {
        name: float(np.sqrt(np.mean(values[of == name] ** 2)))
        for name in ("motor", "posterior", "frontal")
        if (of == name).any()
    }
    strongest = tuple(channels[i] for i in np.argsort(-np.abs(values), kind="stable")[:3])
    motor = strength.get("motor", 0.0)
    causes = {"posterior": "what is seen", "frontal": "the eyes"}
    guilty = [
        f"{name} channels ({causes[name]})"
        for name in causes
        if strength.get(name, 0.0) > _CARRIES * motor and any(region(s) == name for s in strongest)
    ]
    warning = ""
    if guilty:
        warning = (
            f"{' and '.join(guilty)} carry this decision more than motor channels: "
            f"strongest at {', '.join(strongest)}. Look at the accuracy of the motor channels alone."
        )
    return Carriers(strength, strongest, warning)


def region(channel: str) -> str:
    """ "motor", "frontal", "posterior" or "other", by the 10-10 name of an electrode.

    Motor are rows FC, C and CP and the F electrodes next to the midline, above premotor cortex; frontal those
    that see the eyes (Fp, AF, F5 and further out); posterior those over visual cortex (PO, O, I and P; T5 and
    T6 are older names of P7 and P8).

    Examples
    --------
    >>> [region(name) for name in ("C3", "Fp1", "POz", "F7", "F3", "T7")]
    ['motor', 'frontal', 'posterior', 'frontal', 'motor', 'other']
    """
    row = channel.rstrip("0123456789zZ").upper()
    place = channel[len(row) :].lower()
    if row in ("FC", "C", "CP", "CCP", "FCC"):
        return "motor"
    if row == "F":
        return "motor" if place in ("z", "1", "2", "3", "4") else "frontal"
    if row in ("FP", "AF"):
        return "frontal"
    return "posterior" if row in ("P", "PO", "O", "I") or channel.upper() in ("T5", "T6") else "other"
