"""Spatial filters that need to know where electrodes lie on the head. The one file of this room that imports MNE.

Positions are those of MNE's standard 10-05 montage, in metres; labels are compared without regard to case. What MNE can
do to recordings it does to the identity here, so its answer is the matrix; nothing of it is needed at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bci.chunks import F64
from bci.errors import MontageMismatchError, ShapeError

__all__ = ["electrode_positions", "interpolate_bad", "laplacian", "rest_reference", "surface_laplacian"]


def electrode_positions(channels: Sequence[str]) -> F64:
    """Positions of electrodes on the head.

    Parameters
    ----------
    channels : sequence of str
        10-05 names.

    Returns
    -------
    places : ndarray, shape (n_channels, 3), metres, MNE's head frame

    Raises
    ------
    MontageMismatchError
        If a label is not a 10-05 name; `expected` lists the unknown ones.
    """
    import mne

    names = mne.channels.get_builtin_montages()
    # the same positions, renamed in MNE 1.13
    montage = "colin27_1005" if "colin27_1005" in names else "standard_1005"
    places = mne.channels.make_standard_montage(montage).get_positions()["ch_pos"]
    known = {label.lower(): place for label, place in places.items()}
    unknown = [c for c in channels if c.lower() not in known]
    if unknown:
        raise MontageMismatchError(
            f"no 10-20 position is known for {', '.join(unknown)}: rename the channels, or leave them out",
            got=channels,
            expected=unknown,
        )
    return np.array([known[c.lower()] for c in channels], dtype=np.float64)


def laplacian(channels: Sequence[str], *, size: Literal["small", "large"] = "small") -> F64:
    """Each channel minus the distance-weighted mean of four electrodes around it.

    Parameters
    ----------
    channels : sequence of str
        10-05 names, at least 5.
    size : "small" or "large"
        "small" takes the nearest four, "large" the four nearest beyond one and a half times their distance, which
        suits broader sources [1]_. Weights are 1/distance [2]_.

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels), for `SpatialFilter`

    Raises
    ------
    ShapeError, MontageMismatchError
        If there are fewer than 5 channels, or a label is not a 10-05 name.

    References
    ----------
    .. [1] McFarland et al., Electroencephalogr. clin. Neurophysiol. 103:386-394, 1997.
       doi:10.1016/S0013-4694(97)00022-2
    .. [2] Hjorth, Electroencephalogr. Clin. Neurophysiol. 39:526-530, 1975. doi:10.1016/0013-4694(75)90056-5
    """
    n = len(channels)
    if n < 5:
        raise ShapeError(f"a Laplacian needs at least 5 channels, got {n}")
    where = electrode_positions(channels)
    distance = np.linalg.norm(where[:, None] - where[None], axis=2)
    matrix = np.eye(n)
    for c in range(n):
        order = [k for k in np.argsort(distance[c], kind="stable") if k != c]
        if size == "large":
            ring = 1.5 * np.mean(distance[c, order[:4]])
            beyond = [k for k in order if distance[c, k] > ring]
            order = beyond if len(beyond) >= 4 else order[-4:]
        weight = 1.0 / distance[c, order[:4]]
        matrix[c, order[:4]] -= weight / weight.sum()
    return matrix


def surface_laplacian(channels: Sequence[str], *, stiffness: float = 4, lambda2: float = 1e-5) -> F64:
    """Spherical-spline current source density.

    Parameters
    ----------
    channels : sequence of str
        10-05 names.
    stiffness, lambda2 : float
        Of the spline, and its regularisation; MNE's defaults.

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels), µV/m² per µV, for `SpatialFilter`

    Raises
    ------
    MontageMismatchError
        If a label is not a 10-05 name.

    References
    ----------
    .. [1] Perrin et al., Electroencephalogr. Clin. Neurophysiol. 72:184-187, 1989. doi:10.1016/0013-4694(89)90180-6
    """
    import mne

    identity = _identity(channels)
    density = mne.preprocessing.compute_current_source_density(
        identity, sphere=(0.0, 0.0, 0.0, 0.095), stiffness=stiffness, lambda2=lambda2, verbose="error"
    )
    return np.asarray(density.get_data(), dtype=np.float64)


def interpolate_bad(channels: Sequence[str], bad: Sequence[str]) -> F64:
    """Matrix that replaces bad channels by spherical splines through the good ones.

    Parameters
    ----------
    channels, bad : sequence of str
        10-05 names of all channels, and of those to replace.

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels), for `SpatialFilter`

    Raises
    ------
    MontageMismatchError
        If a label is not a 10-05 name, or a bad one is not among the channels.

    References
    ----------
    .. [1] Perrin et al., Electroencephalogr. Clin. Neurophysiol. 72:184-187, 1989. doi:10.1016/0013-4694(89)90180-6
    """
    missing = [b for b in bad if b not in channels]
    if missing:
        raise MontageMismatchError(
            f"no channel {', '.join(missing)} to interpolate", got=channels, expected=missing
        )
    identity = _identity(channels)
    identity.info["bads"] = list(bad)
    identity.interpolate_bads(reset_bads=True, verbose="error")
    return np.asarray(identity.get_data(), dtype=np.float64)


def rest_reference(channels: Sequence[str]) -> F64:
    """Matrix that re-references to a point at infinity (REST) on a three-shell sphere.

    Parameters
    ----------
    channels : sequence of str
        10-05 names.

    Returns
    -------
    matrix : ndarray, shape (n_channels, n_channels), for `SpatialFilter`

    Raises
    ------
    MontageMismatchError
        If a label is not a 10-05 name.

    References
    ----------
    .. [1] Yao, Physiol. Meas. 22(4):693-711, 2001. doi:10.1088/0967-3334/22/4/305
    """
    import mne

    identity = _identity(channels)
    sphere = mne.make_sphere_model("auto", "auto", identity.info, verbose="error")
    sources = mne.setup_volume_source_space(sphere=sphere, pos=15.0, exclude=30.0, verbose="error")
    forward = mne.make_forward_solution(identity.info, trans=None, src=sources, bem=sphere, verbose="error")
    identity.set_eeg_reference("REST", forward=forward, verbose="error")
    return np.asarray(identity.get_data(), dtype=np.float64)


def _identity(channels: Sequence[str]) -> Any:
    """An MNE evoked response whose sample k is 1 in channel k and 0 elsewhere."""
    import mne

    where = electrode_positions(channels)
    info = mne.create_info(list(channels), 1.0, "eeg", verbose="error")
    montage = mne.channels.make_dig_montage(dict(zip(channels, where, strict=True)), coord_frame="head")
    info.set_montage(montage, verbose="error")
    return mne.EvokedArray(np.eye(len(channels)), info, verbose="error")
