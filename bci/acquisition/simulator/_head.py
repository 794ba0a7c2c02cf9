"""From cortex to scalp: the four-layer sphere head. The one file of this room that imports MNE.

Brain, cerebrospinal fluid, skull and scalp are concentric shells with the conductivities that MNE takes from
Mosher, Leahy & Lewis (1999). The skull is what makes EEG small and blurred: a spot of a few millimetres on
the cortex reaches every electrode within 5 cm. Electrodes stand where MNE's template of the 10-05 system has
them, drawn onto the sphere; all are measured against linked ears (A1 + A2)/2, as a board with its reference
clip on the ear does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import mne
import numpy as np

from bci.chunks import F64
from bci.errors import MontageMismatchError

__all__ = ["BRAIN_RADIUS", "electrode_directions", "lead_field"]

HEAD_RADIUS_M = 0.09
#: Outer radius of the brain in head radii; a current dipole lies inside it.
BRAIN_RADIUS = 0.90
_REFERENCE = ("A1", "A2")


@lru_cache(maxsize=1)
def _template() -> dict[str, F64]:
    """10-05 name → unit vector (x right, y front, z up), seen from the centre of the sphere that fits them
    best.
    """
    # MNE 1.13 renamed the template and 1.14 drops the old name
    name = "colin27_1005" if "colin27_1005" in mne.channels.get_builtin_montages() else "standard_1005"
    positions = mne.channels.make_standard_montage(name).get_positions()["ch_pos"]
    points = np.array(list(positions.values()))
    # |p - c|² = r² is linear in c and r² - |c|²
    unknown = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(axis=1), rcond=None)[0]
    rays = points - unknown[:3]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return dict(zip(positions, rays, strict=True))


def electrode_directions(names: Sequence[str]) -> F64:
    """Unit vectors from the head's centre, shape (n, 3): x right, y front, z up.

    Raises
    ------
    MontageMismatchError
        If a name is not in the 10-05 system.
    """
    template = _template()
    if unknown := [name for name in names if name not in template]:
        raise MontageMismatchError(
            f"no 10-05 position for {', '.join(unknown)}; names like C3, FCz, CP4h and PO7 are known",
            got=tuple(names),
        )
    return np.array([template[name] for name in names])


@lru_cache(maxsize=4)
def _lead_field(names: tuple[str, ...], places: bytes, moments: bytes) -> F64:
    rr = np.frombuffer(places).reshape(-1, 3)
    nn = np.frombuffer(moments).reshape(-1, 3)
    electrodes = names + _REFERENCE
    points = electrode_directions(electrodes) * HEAD_RADIUS_M
    # A name may be asked for twice or be the reference itself; MNE wants distinct channel names.
    info = mne.create_info([f"{i}" for i in range(len(electrodes))], 250.0, "eeg")
    montage = {f"{i}": point for i, point in enumerate(points)}
    info.set_montage(mne.channels.make_dig_montage(montage, coord_frame="head"), verbose="ERROR")
    sphere = mne.make_sphere_model((0.0, 0.0, 0.0), HEAD_RADIUS_M, verbose="ERROR")
    at = {"rr": rr * HEAD_RADIUS_M, "nn": nn / np.linalg.norm(nn, axis=1, keepdims=True)}
    forward = mne.make_forward_solution(
        info,
        trans=None,
        src=mne.setup_volume_source_space(pos=at, verbose="ERROR"),
        bem=sphere,
        meg=False,
        eeg=True,
        mindist=0.0,
        verbose="ERROR",
    )
    volts_per_am = forward["sol"]["data"].reshape(len(electrodes), len(rr), 3)
    gain = np.einsum("eki,ki->ek", volts_per_am, nn) * 1e-3  # V/(A·m) → µV/(nA·m)
    gain = gain[: len(names)] - gain[len(names) :].mean(axis=0)
    return np.asarray(gain, dtype=np.float64)


def lead_field(names: Sequence[str], places: F64, moments: F64) -> F64:
    """Potential at the electrodes against linked ears, per unit of dipole moment.

    Parameters
    ----------
    names : sequence of str
        Electrodes, 10-05 names.
    places : ndarray, shape (n_dipoles, 3), head radii
        Where the dipoles lie; inside `BRAIN_RADIUS`.
    moments : ndarray, shape (n_dipoles, 3), nA·m
        Their direction and strength.

    Returns
    -------
    gain : ndarray, shape (n_electrodes, n_dipoles), µV
    """
    rr = np.ascontiguousarray(places, dtype=np.float64)
    nn = np.ascontiguousarray(moments, dtype=np.float64)
    return _lead_field(tuple(names), rr.tobytes(), nn.tobytes())
