"""A decoder that follows its signal: causal recentring of the reference covariances, with brakes.

Gel dries, a cap shifts, a person tires: covariances move, and with them everything a fixed decoder sees. Recentring
moves the reference of each member along. It never looks at a label, and it is the part of adaptation that can go wrong
most quietly, so it obeys rules:

- *Causal.* A window is decided first; only then may it move the reference, for those after it.
- *Posterior-weighted and class-balanced.* A window counts for its most probable class, by as much as that is ahead of
  the next, and no class may be ahead of the rarest one by more than `slack` windows. Rest for half an hour is not a
  drift: after the first `slack` windows it moves nothing until movements come too. The references of the training are
  balanced the same way.
- *Gated.* A window with an artefact, or unlike everything seen, moves nothing.
- *Reversible.* It can be frozen and rolled back, and says in a log what it did and why not.

Needs numpy and numba alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.decoders.frozen import FrozenEnsemble, mix
from bci.decoders.riemann import exp_symmetric
from bci.errors import LabelError, ShapeError

__all__ = ["AdaptationParameters", "Recentring", "Update"]

_LOG_LENGTH = 100_000
_SNAPSHOTS = 64


@dataclass(frozen=True, slots=True)
class AdaptationParameters:
    """How far and how fast references may move.

    Parameters
    ----------
    prior : float
        Independent windows that the training's reference counts for. The reference is the mean of these and of all
        windows since.
    slack : float
        How many independent windows a class may be ahead of the rarest one.
    every : int
        Only every so-many-th decision is looked at, ...
    pace : float
        ... and counts for this many independent windows, since sliding windows overlap.

    Raises
    ------
    ShapeError
        If a number is not positive.
    """

    prior: float = 10.0
    slack: float = 10.0
    every: int = 1
    pace: float = 1.0

    def __post_init__(self) -> None:
        if not (self.prior > 0 and self.slack > 0 and self.every >= 1 and 0 < self.pace <= self.prior):
            raise ShapeError(f"{self}: expected positive numbers, and a pace not above the prior")


@dataclass(frozen=True, slots=True)
class Update:
    """One line of the log: what a window did to the references.

    Parameters
    ----------
    sample_index : int
    weight : float
        Independent windows it counted for; 0 where it moved nothing.
    reason : str
        Why not; "" where it did.
    moved : float
        Riemannian distance that the references moved, root mean square over the members.
    """

    sample_index: int
    weight: float
    reason: str = ""
    moved: float = 0.0


class Recentring:
    """References of a frozen ensemble that follow the windows of one run.

    Parameters
    ----------
    decoder : FrozenEnsemble
        Trained on windows seen from the class-balanced mean of their own run.
    parameters : AdaptationParameters

    Attributes
    ----------
    decoder : FrozenEnsemble
        With the references as they are now.
    log : deque of Update
        Newest last.
    frozen : bool
        While set, nothing moves.
    """

    def __init__(self, decoder: FrozenEnsemble, parameters: AdaptationParameters | None = None) -> None:
        self.parameters = parameters or AdaptationParameters()
        self._start = decoder
        self.reset()

    def reset(self) -> None:
        """Back to the references of the training; the next window is the first of a run. The log stays empty."""
        self.decoder = self._start
        self.log: deque[Update] = deque(maxlen=_LOG_LENGTH)
        self.frozen = False
        self._half: F64 = np.asarray(np.linalg.inv(self._start.whitening), dtype=np.float64)
        self._mass: F64 = np.zeros(len(self._start.classes))
        self._snapshots: deque[tuple[F64, F64, F64]] = deque(maxlen=_SNAPSHOTS)

    def update(
        self,
        covs: F64,
        probabilities: F64,
        *,
        sample_index: int = 0,
        artefact: bool = False,
        confirmed: str | None = None,
    ) -> Update:
        """Let a decided window move the references.

        Parameters
        ----------
        covs : ndarray, shape (m, n_channels, n_channels), µV²
            One per member's view, shrunk, as the decoder got them.
        probabilities : ndarray, shape (n_classes,)
            What the decoder said of it.
        sample_index : int
            For the log.
        artefact : bool
            The window is contaminated or an outlier.
        confirmed : str, optional
            The class, where it is known (a trial that the person or the protocol confirmed). It takes the place of the
            probabilities.

        Returns
        -------
        Update
            What was done; also the newest entry of `log`.

        Raises
        ------
        LabelError
            If the confirmed class is none of the decoder's.
        """
        p = self._belief(probabilities, confirmed)
        told = self._gate(p, artefact)
        entry = Update(sample_index, 0.0, told) if told else self._move(covs, p, sample_index)
        self.log.append(entry)
        return entry

    def run(self, covs: F64, *, moves: NDArray[np.bool_] | None = None) -> tuple[F64, F64]:
        """Decide the windows of a run in their order, each before it may move the references.

        Parameters
        ----------
        covs : ndarray, shape (n_windows, m, n_channels, n_channels), µV²
        moves : ndarray of bool, shape (n_windows,), optional
            Which windows may move the references; all by default.

        Returns
        -------
        each : ndarray, shape (n_windows, m, n_classes)
            Scores of each member; `mix` makes the ensemble's of them.
        distances : ndarray, shape (n_windows,)
        """
        each, distances = [], []
        looks = range(len(covs)) if moves is None else np.flatnonzero(moves).tolist()
        first = 0
        for look in [*looks, None]:
            decoder = self.decoder
            part = covs[first : None if look is None else look + 1]
            scores, far = decoder.member_scores(decoder.logarithms(part))
            each.append(scores)
            distances.append(far)
            if look is not None:
                p, outlier = decoder.probabilities(mix(scores[-1:], decoder.shares, decoder.clip), far[-1:])
                self.update(part[-1], p[0], sample_index=look, artefact=bool(outlier[0]))
                first = look + 1
        return np.concatenate(each), np.concatenate(distances)

    def rollback(self, updates: int | None = None) -> None:
        """Take back the newest `updates` that moved the references (the last 64 are kept), or all of the run."""
        if updates is None:
            self._snapshots.clear()
            self._half = np.asarray(np.linalg.inv(self._start.whitening), dtype=np.float64)
            self._mass = np.zeros(len(self._start.classes))
            self.decoder = self._start
            return
        for _ in range(min(updates, len(self._snapshots))):
            whitening, self._half, self._mass = self._snapshots.pop()
            self.decoder = replace(self.decoder, whitening=whitening)

    def _belief(self, probabilities: F64, confirmed: str | None) -> F64:
        if confirmed is None:
            return np.asarray(probabilities, dtype=np.float64)
        if confirmed not in self.decoder.classes:
            raise LabelError(
                f"{confirmed!r} is none of the classes {', '.join(self.decoder.classes)}",
                found=(confirmed,),
                expected=self.decoder.classes,
            )
        return np.array([float(name == confirmed) for name in self.decoder.classes])

    def _gate(self, p: F64, artefact: bool) -> str:
        if self.frozen:
            return "frozen"
        if artefact:
            return "artefact"
        if not np.isfinite(p).all():
            return "no decision"
        if self._mass[int(p.argmax())] >= self._mass.min() + self.parameters.slack:
            return "one class only"
        return ""

    def _move(self, covs: F64, p: F64, sample_index: int) -> Update:
        top = int(p.argmax())
        weight = float(p[top] - np.delete(p, top).max()) * self.parameters.pace
        length = weight / (self.parameters.prior + float(self._mass.sum()) + weight)
        velocity = length * self.decoder.logarithms(covs[None])[0]
        if not np.isfinite(velocity).all():
            return Update(sample_index, 0.0, "singular covariance")
        self._snapshots.append((self.decoder.whitening, self._half, self._mass))
        point = self._half @ exp_symmetric(velocity) @ self._half
        values, vectors = np.linalg.eigh(0.5 * (point + np.swapaxes(point, 1, 2)))
        transposed = np.swapaxes(vectors, 1, 2)
        roots = np.sqrt(values)[:, None]
        whitening: F64 = (vectors / roots) @ transposed
        self._half = (vectors * roots) @ transposed
        self.decoder = replace(self.decoder, whitening=whitening)
        self._mass = self._mass + weight * (np.arange(len(p)) == top)
        moved = float(np.sqrt(np.mean(np.sum(velocity**2, axis=(1, 2)))))
        return Update(sample_index, weight, moved=moved)
