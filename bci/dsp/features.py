"""Numbers a decoder or a display reads from the cleaned signal: of one window, or running along a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.chunks import F64
from bci.dsp import _loops
from bci.dsp._stage import F64 as FLOAT64
from bci.dsp._stage import checked_channels, checked_signal, not_finite
from bci.dsp.design import cascade, design_highpass, design_lowpass
from bci.dsp.filters import SosFilter
from bci.errors import DesignError, FlatSignalError, NonFiniteError, ShapeError

__all__ = ["ExponentialCovariance", "LogBandPower", "SlowPotentials", "erd_ers", "hjorth", "log_variance"]


def log_variance(window_uv: F64) -> F64:
    """Log of each channel's share of the window's variance.

    Parameters
    ----------
    window_uv : ndarray, shape (..., n_channels, n_samples), float64, µV
        One band-passed window, or a set of them. A gain common to all channels cancels out.

    Returns
    -------
    features : ndarray, shape (..., n_channels), dimensionless
        Natural log. NaN throughout if the window holds a lost (NaN) sample.

    Raises
    ------
    ShapeError
        If there are fewer than 2 axes or fewer than 2 samples.
    FlatSignalError
        If a channel is constant; the message names it.

    References
    ----------
    .. [1] Ramoser et al., IEEE Trans. Rehabil. Eng. 8(4):441-446, 2000. doi:10.1109/86.895946

    Examples
    --------
    >>> np.exp(log_variance(np.array([[1.0, -1.0], [3.0, -3.0]]))).round(2)
    array([0.1, 0.9])
    """
    x = np.asarray(window_uv, dtype=np.float64)
    if x.ndim < 2 or x.shape[-1] < 2:
        raise ShapeError(f"expected a window of shape (n_channels, n_samples >= 2), got {x.shape}")
    variance = x.var(axis=-1)
    flat = np.flatnonzero((variance == 0).reshape(-1, x.shape[-2]).any(axis=0))
    if len(flat):
        raise FlatSignalError(
            f"channel {', '.join(map(str, flat))} is constant: no log variance can be taken; check its electrode",
            channels=[int(c) for c in flat],
        )
    share: F64 = variance / variance.sum(axis=-1, keepdims=True)
    return np.log(share)


def hjorth(window_uv: F64) -> F64:
    """Activity (µV²), mobility and complexity (dimensionless) of each channel.

    Parameters
    ----------
    window_uv : ndarray, shape (..., n_channels, n_samples), float64, µV

    Returns
    -------
    features : ndarray, shape (..., n_channels, 3)

    Raises
    ------
    ShapeError, NonFiniteError
        If there are fewer than 2 axes or 4 samples, or a value is not finite.
    FlatSignalError
        If a channel or its derivative is constant.

    References
    ----------
    .. [1] Hjorth, Electroencephalogr. Clin. Neurophysiol. 29:306-310, 1970. doi:10.1016/0013-4694(70)90143-4
    """
    x = np.asarray(window_uv, dtype=np.float64)
    if x.ndim < 2 or x.shape[-1] < 4:
        raise ShapeError(f"expected a window of shape (n_channels, n_samples >= 4), got {x.shape}")
    if not np.isfinite(x).all():
        raise NonFiniteError("Hjorth parameters need a window without NaN or infinity")
    slope = np.diff(x, axis=-1)
    activity, first, second = x.var(axis=-1), slope.var(axis=-1), np.diff(slope, axis=-1).var(axis=-1)
    flat = (activity == 0) | (first == 0)
    if flat.any():
        rows = np.flatnonzero(flat.reshape(-1, x.shape[-2]).any(axis=0))
        raise FlatSignalError(
            f"channel {', '.join(map(str, rows))} is constant", channels=[int(r) for r in rows]
        )
    mobility = np.sqrt(first / activity)
    return np.stack([activity, mobility, np.sqrt(second / first) / mobility], axis=-1)


def erd_ers(power_uv2: F64, baseline_uv2: F64) -> F64:
    """Event-related (de)synchronisation in per cent: 100 · (power - baseline) / baseline; negative is ERD.

    Parameters
    ----------
    power_uv2 : ndarray, shape (n_trials, n_channels, n_times), µV²
        Band power along each trial.
    baseline_uv2 : ndarray, shape (n_trials, n_channels, n_baseline), µV²
        Band power of the reference interval before each trial.

    Returns
    -------
    change : ndarray, shape (n_channels, n_times), per cent

    Raises
    ------
    ShapeError, FlatSignalError
        If trials and channels do not agree, or a channel has no power in the reference interval.

    References
    ----------
    .. [1] Pfurtscheller & Lopes da Silva, Clin. Neurophysiol. 110:1842-1857, 1999. doi:10.1016/S1388-2457(99)00141-8
    """
    power, base = np.asarray(power_uv2, dtype=np.float64), np.asarray(baseline_uv2, dtype=np.float64)
    if power.ndim != 3 or base.ndim != 3 or power.shape[:2] != base.shape[:2]:
        raise ShapeError(f"power {power.shape} and baseline {base.shape} must agree in trials and channels")
    reference = base.mean(axis=(0, 2))
    flat = np.flatnonzero(~(reference > 0))
    if len(flat):
        raise FlatSignalError(
            f"channel {', '.join(map(str, flat))} has no power in the reference interval",
            channels=[int(c) for c in flat],
        )
    out: F64 = 100.0 * (power.mean(axis=0) - reference[:, None]) / reference[:, None]
    return out


class ExponentialCovariance:
    """Running covariance that forgets with a time constant. For displays: a gap leaves its trace, a window's does not.

    Parameters
    ----------
    n_channels : int
    time_constant_samples : float
        After so many samples a past one counts 1/e.

    Raises
    ------
    ShapeError, DesignError
        If there is no channel, or the time constant is not above one sample.

    References
    ----------
    .. [1] West, Commun. ACM 22(9):532-535, 1979 (weighted updates). doi:10.1145/359146.359153
    """

    def __init__(self, n_channels: int, *, time_constant_samples: float) -> None:
        self.n_channels = checked_channels(n_channels)
        if not time_constant_samples > 1:
            raise DesignError(f"the time constant must be above one sample, got {time_constant_samples}")
        self._forget = 1.0 - float(np.exp(-1.0 / time_constant_samples))
        self._cov = np.zeros((self.n_channels, self.n_channels))
        self._mean = np.zeros(self.n_channels)
        self._started = False

    def process(self, x_uv: F64) -> F64:
        """Take the next samples.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV

        Returns
        -------
        cov : ndarray, shape (n_channels, n_channels), float64, µV²
            After the last of them.

        Raises
        ------
        ShapeError, NonFiniteError
            If the chunk has another number of channels, or holds NaN or infinity; the state is untouched.
        """
        x = checked_signal(x_uv, self.n_channels, FLOAT64)
        if not np.isfinite(x).all():
            raise not_finite("a running covariance")
        if x.shape[1] and not self._started:
            self._mean[:] = x[:, 0]
            self._started = True
        _loops.exponential_covariance(x, self._cov, self._mean, self._forget)
        return self._cov.copy()

    def reset(self) -> None:
        """Forget the past."""
        self._cov[:] = 0.0
        self._mean[:] = 0.0
        self._started = False

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        return {"cov": self._cov.copy(), "mean": self._mean.copy(), "started": np.array(self._started)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it is of another shape."""
        if np.shape(state["cov"]) != self._cov.shape:
            raise ShapeError(
                f"the saved covariance has shape {np.shape(state['cov'])}, expected {self._cov.shape}"
            )
        self._cov[:] = state["cov"]
        self._mean[:] = state["mean"]
        self._started = bool(state["started"])


class LogBandPower:
    """Natural log of the running power of a band-passed signal.

    Parameters
    ----------
    sos : array_like, shape (n_sections, 6)
        The band, see `design_bandpass`.
    n_channels : int
    time_constant_samples : float
        Of the exponential average of the squared signal.

    Raises
    ------
    DesignError
        As `SosFilter`, or if the time constant is not above one sample.
    """

    def __init__(self, sos: object, *, n_channels: int, time_constant_samples: float) -> None:
        if not time_constant_samples > 1:
            raise DesignError(f"the time constant must be above one sample, got {time_constant_samples}")
        self._filter = SosFilter(sos, n_channels=n_channels)
        self._decay = float(np.exp(-1.0 / time_constant_samples))
        self._sums = np.zeros(self._filter.n_channels)
        self._weight = 0.0

    def process(self, x_uv: F64) -> F64:
        """Take the next samples.

        Parameters
        ----------
        x_uv : ndarray, shape (n_channels, n_samples), float64, µV

        Returns
        -------
        log_power : ndarray, shape (n_channels,), ln µV²
            After the last of them; -inf where a channel has been exactly zero.

        Raises
        ------
        ShapeError, NonFiniteError
            As `SosFilter.process`; the state is untouched.
        """
        y = self._filter.process(x_uv)
        self._weight = _loops.add_squares(y, self._sums, self._weight, self._decay)
        with np.errstate(divide="ignore"):
            out: F64 = np.log(self._sums / max(self._weight, 1e-300))
        return out

    def reset(self) -> None:
        """Forget the past."""
        self._filter.reset()
        self._sums[:] = 0.0
        self._weight = 0.0

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes, for saving in the middle of a stream."""
        own = {"sums": self._sums.copy(), "weight": np.array(self._weight)}
        return own | {f"filter_{name}": value for name, value in self._filter.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved `state`, bit for bit. ShapeError if it is of another shape."""
        self._filter.restore({"z": state["filter_z"], "started": state["filter_started"]})
        self._sums[:] = state["sums"]
        self._weight = float(state["weight"])


class SlowPotentials(SosFilter):
    """The 0.1–3 Hz part of the signal, in which movement-related cortical potentials live. A `SosFilter` by design.

    Parameters
    ----------
    n_channels : int
    fs_hz : float, Hz
    low_hz, high_hz : float, Hz

    Raises
    ------
    DesignError
        If the band does not rise or does not fit the rate.

    Notes
    -----
    Causal: a second-order high-pass and low-pass, so a potential of half a second comes about 0.1 s late.

    References
    ----------
    .. [1] Jiang et al., IEEE Trans. Neural Syst. Rehabil. Eng. 23:137-146, 2015. doi:10.1109/TNSRE.2014.2345395
    """

    def __init__(self, n_channels: int, *, fs_hz: float, low_hz: float = 0.1, high_hz: float = 3.0) -> None:
        if not low_hz < high_hz:
            raise DesignError(f"the band must rise, got {low_hz:g} to {high_hz:g} Hz")
        high = design_highpass(low_hz, fs_hz=fs_hz, order=2)
        super().__init__(cascade(high, design_lowpass(high_hz, fs_hz=fs_hz, order=2)), n_channels=n_channels)
