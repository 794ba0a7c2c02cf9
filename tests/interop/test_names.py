"""Words of other systems for units and channels."""

from __future__ import annotations

import mne
import pytest

from bci.interop._names import ascii_only, canonical_unit, channel_kind, electrode_name, is_trigger, unalike


def test_every_electrode_of_the_10_05_system_gets_its_own_letters_back() -> None:
    builtin = mne.channels.get_builtin_montages()
    known = "colin27_1005" if "colin27_1005" in builtin else "standard_1005"
    names = mne.channels.make_standard_montage(known).ch_names
    assert len(names) > 340
    for name in names:
        assert electrode_name(name.upper()) == electrode_name(name.lower()) == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Fc5.", "FC5"), ("EEG C3-Ref", "C3"), ("EEG FP1-LE", "Fp1"), ("EOG left", "left"), ("EXG1", "EXG1"),
        ("左手", "左手"),
    ],
)  # fmt: skip
def test_names_lose_what_is_no_name(given: str, name: str) -> None:
    assert electrode_name(given) == name


def test_units_kinds_and_triggers() -> None:
    assert {canonical_unit(u) for u in ("uV", "µV", "μV", " UV ", "microvolts")} == {"uV"}
    assert canonical_unit("degC") == "degC"
    assert [channel_kind(n) for n in ("C3", "HEOG", "EKG", "EMG1", "Acc X", "Temp")] == [
        "eeg", "eog", "ecg", "emg", "misc", "misc"
    ]  # fmt: skip
    assert channel_kind("C3", "G") == "misc"
    assert all(map(is_trigger, ("Status", "TRIG", "STI 014", "Trigger 2", "Stim")))
    assert not any(map(is_trigger, ("C3", "T3", "Sternum", "Stimulated arm")))


def test_no_two_channels_are_called_alike() -> None:
    assert unalike(("C3", "", "C3", "")) == ("C3", "Ch2", "C3_2", "Ch4")


def test_headers_get_ascii() -> None:
    assert [ascii_only(t) for t in ("É1", "左手", "µV", "Größe")] == ["E1", "__", "uV", "Gro_e"]
