"""Places of electrodes on the drawn head, against MNE's montage as a witness."""

from __future__ import annotations

import numpy as np
import pytest

from bci.acquisition.simulator import DEFAULT_MONTAGE
from bci.web.head import head_places


def test_places_agree_with_a_measured_head():
    mne = pytest.importorskip("mne")
    known = mne.channels.get_builtin_montages()
    name = "colin27_1020" if "colin27_1020" in known else "standard_1020"  # renamed in MNE 1.13
    montage = mne.channels.make_standard_montage(name)
    position = montage.get_positions()["ch_pos"]
    names = [n for n in montage.ch_names if n not in ("A1", "A2", "M1", "M2")]
    assert None not in head_places(names)
    assert len(names) > 80
    where = np.array([position[n] for n in names]) - position["Cz"] * [0, 1, 0.35]
    angle = np.arccos(where[:, 2] / np.linalg.norm(where, axis=1))
    flat = where[:, :2] / np.linalg.norm(where[:, :2], axis=1, keepdims=True) * angle[:, None]
    ours = np.array(head_places(names))
    for axis in (0, 1):
        assert np.corrcoef(flat[:, axis], ours[:, axis])[0, 1] > 0.98


def test_left_is_left_and_front_is_up():
    (c3, fz, oz, t8) = head_places(["C3", "Fz", "Oz", "T8"])
    assert c3[0] < 0
    assert fz[1] > 0 > oz[1]
    assert t8 == pytest.approx((0.8, 0.0))


def test_old_names_mean_their_new_places():
    assert head_places(["T3", "T4", "T5", "T6"]) == head_places(["T7", "T8", "P7", "P8"])


def test_case_does_not_matter():
    assert head_places(["fp1", "FCZ"]) == head_places(["Fp1", "FCz"])


def test_a_name_without_a_place_has_none():
    assert head_places(["EMG1", "X", "", "C99"]) == [None] * 4


def test_no_two_electrodes_of_the_simulated_cap_lie_on_each_other():
    places = np.array(head_places(DEFAULT_MONTAGE))
    distance = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(places))
    assert distance.min() > 0.2
