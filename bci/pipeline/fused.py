"""The decision step as one kernel call: filter bank → sliding covariance → members → scores.

`OnlinePipeline` runs on it. The same sum as stage by stage, without what Python and a dozen calls cost between
the stages, and without asking for memory: buffers are there from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import FilterBank, SlidingCovariance
from bci.errors import NonFiniteError, ShapeError

__all__ = ["CspStep", "TangentStep"]

I64 = NDArray[np.int64]

_float64 = np.dtype(np.float64)  # looked up once: it stands on the path of every chunk

#: Samples that are filtered before their covariance is taken: small enough to stay in the first-level cache.
_TILE = 64


class _Step:
    """What both steps have in common: filters, a place in the stream, buffers for results."""

    _width: int  # numbers per decision
    _fixed: tuple[Any, ...]  # arguments of the kernel that stay the same
    _kernel: Callable[..., int]

    def __init__(
        self, bands: Sequence[object], n_channels: int, window_samples: int, step_samples: int
    ) -> None:
        self._bank = FilterBank(bands, n_channels=n_channels)
        self._packed, self._form = self._bank.kernel_arrays
        self.n_channels = n_channels
        self.step_samples = step_samples
        self._clean = np.zeros((len(bands), _TILE, n_channels)).transpose(0, 2, 1)
        self._next: int | None = None
        self._due = 0

    def _make_room(self, n_samples: int) -> None:
        """Buffers for what falls due in a chunk of `n_samples`, and the arguments of the kernel, ready to hand."""
        n_decisions = n_samples // self.step_samples + 1
        self._room = n_samples
        self._ends = np.zeros(n_decisions, dtype=np.int64)
        self._scores = np.zeros((n_decisions, self._width))
        self._arguments = (*self._fixed, self._ends, self._scores)

    def process(self, x_uv: F64, first_sample: int) -> int:
        """Take the next samples; `end_samples` and `scores` then hold what fell due.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV
            Not yet filtered.
        first_sample : int
            Conversion number of the first column. A jump starts the window anew, not the filters.

        Returns
        -------
        int
            Number of decisions, often 0.

        Raises
        ------
        ShapeError
            If the chunk has another number of channels or is no float64 array.
        NonFiniteError
            If it holds NaN or infinity; nothing has been taken.
        """
        # The kernel takes the memory on trust: every chunk is looked at, a matter of 0.1 µs.
        if first_sample != self._next or x_uv.dtype is not _float64 or len(x_uv) != self.n_channels:
            self._begin(x_uv, first_sample)
        n = x_uv.shape[1]
        if n > self._room:
            self._make_room(n)
        due = self._due = self._kernel(x_uv, first_sample, *self._arguments)
        if due < 0:
            self._due = 0
            raise NonFiniteError("a decision step got NaN or infinity: fill the gap (GapPolicy) or reset")
        self._next = first_sample + n
        return due

    @property
    def end_samples(self) -> I64:
        """Of the last `process`: number of the sample that follows each window, shape (k,). Overwritten by the next."""
        return self._ends[: self._due]

    def _begin(self, x_uv: F64, first_sample: int) -> None:
        if not isinstance(x_uv, np.ndarray) or x_uv.dtype != np.float64 or x_uv.ndim != 2:
            raise ShapeError(f"expected a float64 array of shape ({self.n_channels}, n_samples)")
        if len(x_uv) != self.n_channels:
            raise ShapeError(f"expected {self.n_channels} channels, got a signal of shape {x_uv.shape}")
        if first_sample != self._next:
            self._empty_window()
        if not self._bank.started and x_uv.shape[1]:
            self._bank.start(x_uv)

    def reset(self) -> None:
        """Forget the past; the next chunk is the first of a stream."""
        self._bank.reset()
        self._empty_window()
        self._next = None

    def _empty_window(self) -> None:
        raise NotImplementedError


class TangentStep(_Step):
    """Filter bank → sliding covariance per band → OAS → tangent-space members → mixed scores.

    Parameters
    ----------
    bands : sequence of ndarray, each of shape (n_sections, 6)
        Sections of every band.
    n_channels : int
    window_samples, step_samples : int
        See `SlidingCovariance`.
    band_of : sequence of int, length m
        Which band each member looks at.
    whitening : ndarray, shape (m, n, n)
    weights : ndarray, shape (m, n_classes, n, n)
    bias : ndarray, shape (m, n_classes)
    shares : ndarray, shape (m,)
        Of each member in the sum.
    clip : float
        Bound of each member's scores, after their mean over classes is taken off.
    """

    def __init__(
        self,
        bands: Sequence[object],
        *,
        n_channels: int,
        window_samples: int,
        step_samples: int,
        band_of: Sequence[int],
        whitening: F64,
        weights: F64,
        bias: F64,
        shares: F64,
        clip: float = np.inf,
    ) -> None:
        from bci.dsp._spd_log import quadrature
        from bci.pipeline import _fused_kernels

        super().__init__(bands, n_channels, window_samples, step_samples)
        m, self._n_classes = bias.shape
        self._covariance = SlidingCovariance(
            n_channels, window_samples=window_samples, step_samples=step_samples, n_bands=len(bands)
        )
        self._ring, self._place = self._covariance.kernel_arrays
        self._covs = np.zeros((_TILE // step_samples + 2, len(bands), n_channels, n_channels))
        self._whitening = _padded(whitening)
        self._fixed = (
            self._packed,
            self._form,
            self._clean,
            self._ring,
            self._place,
            self._covs,
            np.array(band_of, dtype=np.int64),
            self._whitening,
            _padded(weights),
            np.ascontiguousarray(bias, dtype=np.float64),
            np.append(shares, clip),
            quadrature(),
            np.zeros(_fused_kernels.n_work(n_channels)),
            np.zeros(self._n_classes),
        )
        self._width = self._n_classes + m
        self._make_room(_TILE)
        self._kernel = _fused_kernels.members_runner(self._form)

    @property
    def scores(self) -> F64:
        """Of the last `process`: mixed scores, shape (k, n_classes). NaN where a covariance is singular."""
        return self._scores[: self._due, : self._n_classes]

    @property
    def covariances(self) -> F64:
        """Where the last `process` gave one decision, its covariances, shape (n_bands, n_channels, n_channels), µV².

        Not shrunk. Overwritten by the next.
        """
        newest: F64 = self._covs[0]
        return newest

    def follow(self, whitening: F64) -> None:
        """Look from other references from now on; `whitening` as in the constructor."""
        self._whitening[:] = _padded(whitening)

    @property
    def distances(self) -> F64:
        """Of the last `process`: Riemannian distance from each member's reference, shape (k, m)."""
        return self._scores[: self._due, self._n_classes :]

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        after = np.array(-1 if self._next is None else self._next, dtype=np.int64)
        parts = {"bank": self._bank.state(), "window": self._covariance.state()}
        inner = {f"{part}_{key}": value for part, state in parts.items() for key, value in state.items()}
        return {**inner, "next": after}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from another window or montage."""
        self._covariance.restore(_part(state, "window_"))
        self._bank.restore(_part(state, "bank_"))
        after = int(state["next"])
        self._next = None if after < 0 else after

    def _empty_window(self) -> None:
        self._covariance.reset()


class CspStep(_Step):
    """Band-pass → spatial filters → sliding log-variance → linear scores.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
    n_channels, window_samples, step_samples : int
        See `SlidingCovariance`.
    filters : ndarray, shape (f, n_channels)
        One spatial filter a row.
    weights : ndarray, shape (n_classes, f)
        Of the logarithms of the filters' variances.
    bias : ndarray, shape (n_classes,)
    """

    def __init__(
        self,
        sos: object,
        *,
        n_channels: int,
        window_samples: int,
        step_samples: int,
        filters: F64,
        weights: F64,
        bias: F64,
    ) -> None:
        from bci.pipeline import _fused_kernels

        super().__init__([sos], n_channels, window_samples, step_samples)
        n_blocks = window_samples // step_samples
        padded = np.zeros((n_channels, -(-len(filters) // 8) * 8))
        padded[:, : len(filters)] = filters.T
        self._ring = np.zeros((n_blocks + 2, 2 * padded.shape[1]))
        self._place = np.array([0, 0, step_samples, n_blocks], dtype=np.int64)
        by_class = np.ascontiguousarray(np.column_stack([weights, bias]), dtype=np.float64)
        self._fixed = (self._packed, self._form, self._clean, padded, self._ring, self._place, by_class)
        self._width = len(bias)
        self._make_room(_TILE)
        self._kernel = _fused_kernels.csp_runner(self._form)

    @property
    def scores(self) -> F64:
        """Of the last `process`: scores, shape (k, n_classes)."""
        return self._scores[: self._due]

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        after = np.array(-1 if self._next is None else self._next, dtype=np.int64)
        bank = {f"bank_{k}": v for k, v in self._bank.state().items()}
        return {**bank, "ring": self._ring.copy(), "place": self._place.copy(), "next": after}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it comes from another window or montage."""
        ring, place = np.asarray(state["ring"]), np.asarray(state["place"])
        if ring.shape != self._ring.shape or (place[2:] != self._place[2:]).any():
            raise ShapeError(f"the saved state has shape {ring.shape}, this step needs {self._ring.shape}")
        self._bank.restore(_part(state, "bank_"))
        self._ring[:], self._place[:] = ring, place
        after = int(state["next"])
        self._next = None if after < 0 else after

    def _empty_window(self) -> None:
        self._place[:2] = 0


def _padded(matrices: F64) -> F64:
    """Matrices (…, n, n) as flat rows (…, n * pitch), padded with zeros to whole vectors."""
    from bci.dsp._spd_log import pitch_of

    n = matrices.shape[-1]
    padded = np.zeros((*matrices.shape[:-1], pitch_of(n)))
    padded[..., :n] = matrices
    return padded.reshape(*matrices.shape[:-2], -1)


def _part(state: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The entries of one stage in the state of the whole step."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
