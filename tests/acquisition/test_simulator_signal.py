"""The synthetic wearer: reproducible, anatomically right, quantised as the converter does."""

from __future__ import annotations

import numpy as np
import pytest

from bci.acquisition.simulator import DEFAULT_MONTAGE, BoardConfig, CuedRun, Played, Synthetic, SyntheticEeg
from bci.acquisition.simulator._eeg import RHYTHMS, rhythm_topographies
from bci.acquisition.simulator._head import electrode_directions, lead_field
from bci.acquisition.simulator._pages import NoisePages, bump, hop_length, knots, pink
from bci.acquisition.simulator._schedule import Schedule, cue_drop, rhythm_gain
from bci.acquisition.simulator._signals import UV_PER_COUNT, quantise
from bci.errors import MontageMismatchError

SHORT = Synthetic(
    seed=3, runs=(CuedRun(trials_per_class=2), CuedRun(classes=("left", "right"), trials_per_class=1))
)


def band_power(x: np.ndarray, fs: float, low: float, high: float) -> np.ndarray:
    spectrum = np.abs(np.fft.rfft(x * np.hanning(x.shape[-1]), axis=-1)) ** 2
    f = np.fft.rfftfreq(x.shape[-1], 1 / fs)
    return np.asarray(spectrum[..., (f >= low) & (f <= high)].sum(axis=-1))


# ---- reproducible ----


@pytest.mark.parametrize("step", [1, 7, 250, 5000])
def test_samples_are_the_same_bits_however_the_run_is_cut(step: int) -> None:
    whole = SyntheticEeg(SHORT).read(0, 0, 1500)
    again = SyntheticEeg(SHORT)
    pieces = [again.read(0, first, min(step, 1500 - first)) for first in range(0, 1500, step)]
    np.testing.assert_array_equal(np.hstack(pieces), whole)


def test_samples_do_not_depend_on_what_was_read_before() -> None:
    fresh, used = SyntheticEeg(SHORT), SyntheticEeg(SHORT)
    used.read(0, 0, 4000)
    used.read(1, 100, 50)
    np.testing.assert_array_equal(used.read(0, 2000, 600), fresh.read(0, 2000, 600))


def test_another_seed_or_run_is_another_signal() -> None:
    one, other = SyntheticEeg(SHORT), SyntheticEeg(Synthetic(seed=4, runs=SHORT.runs))
    assert not np.allclose(one.read(0, 0, 500), other.read(0, 0, 500))
    assert not np.allclose(one.read(0, 0, 500), one.read(2, 0, 500))
    assert one.cues(0) != one.cues(2)


def test_a_run_ends_where_it_says_and_the_next_one_always_exists() -> None:
    eeg = SyntheticEeg(SHORT)
    n = eeg.run_samples(0)
    assert eeg.read(0, n - 10, 100).shape == (16, 10)
    assert eeg.read(0, n, 100).shape == (16, 0)
    assert eeg.n_runs is None
    assert eeg.read(17, 0, 10).shape == (16, 10)


# ---- schedule ----


def test_trials_are_balanced_shuffled_and_not_periodic() -> None:
    run = CuedRun(classes=("rest", "left", "right"), trials_per_class=10)
    schedule = Schedule.draw(run, rate_hz=250, intent=1.0, rng=np.random.default_rng(0))
    labels = [trial.label for trial in schedule.trials]
    assert {name: labels.count(name) for name in set(labels)} == {"rest": 10, "left": 10, "right": 10}
    assert labels != sorted(labels)
    gaps = np.diff([trial.cue_s for trial in schedule.trials])
    assert gaps.min() > 3 + 4 + 1.5 - 0.01
    assert gaps.std() > 0.2
    assert schedule.cues[-1][0] + 4 * 250 < schedule.n_samples


def test_rhythms_fall_opposite_the_hand_less_on_its_side_and_beta_comes_back_higher() -> None:
    run = CuedRun(classes=("right",), trials_per_class=1)
    schedule = Schedule.draw(run, rate_hz=250, intent=1.0, rng=np.random.default_rng(1))
    cue_s = schedule.trials[0].cue_s
    task, after = cue_s + np.array([1.5, 3.0]), cue_s + np.array([4.8, 5.4])
    left, right = (rhythm_gain(schedule, task, band="mu", hemisphere=side) for side in ("left", "right"))
    assert (left < right - 0.1).all()
    assert (right < 0.95).all()
    assert rhythm_gain(schedule, after, band="beta", hemisphere="left").max() > 1.1
    assert (rhythm_gain(schedule, np.array([0.0, cue_s]), band="mu", hemisphere="left") == 1.0).all()


def test_executed_movement_moves_the_same_sources_more_and_no_intent_none() -> None:
    def gain(intent: float, movement: str) -> float:
        run = CuedRun(classes=("right",), trials_per_class=1, movement=movement)  # type: ignore[arg-type]
        schedule = Schedule.draw(run, rate_hz=250, intent=intent, rng=np.random.default_rng(1))
        at = np.array([schedule.trials[0].cue_s + 2.0])
        return float(rhythm_gain(schedule, at, band="mu", hemisphere="left")[0])

    assert (
        gain(1.0, "executed") < gain(1.0, "intended") < gain(0.5, "intended") < gain(0.0, "intended") == 1.0
    )


def test_a_rest_cue_is_looked_at_like_any_other_but_moves_no_rhythm() -> None:
    run = CuedRun(classes=("rest",), trials_per_class=1)
    schedule = Schedule.draw(run, rate_hz=250, intent=1.0, rng=np.random.default_rng(1))
    t_s = np.arange(schedule.n_samples) / 250
    assert (rhythm_gain(schedule, t_s, band="mu", hemisphere="left") == 1.0).all()
    assert cue_drop(schedule, t_s).min() < 0.8


# ---- noise pages ----


def test_pages_have_unit_variance_everywhere_also_where_they_are_joined() -> None:
    hop = 64
    f = np.arange(hop + 1, dtype=np.float64)
    pages = NoisePages(np.tile(pink(f, exponent=1.0, knee_hz=2.0), (2000, 1)), seed=(0,))
    variance = np.hstack([pages.block(0), pages.block(1)]).var(axis=0)
    assert variance.min() > 0.85
    assert variance.max() < 1.15


def test_a_rhythm_lies_in_its_band_and_pink_noise_falls() -> None:
    rate, hop = 250, hop_length(250)
    f = np.arange(hop + 1) * (rate / 2 / hop)
    pages = NoisePages(np.array([bump(f, 10.5, 0.9), pink(f, exponent=1.0, knee_hz=0.5)]), seed=(1,))
    x = np.hstack([pages.block(k) for k in range(40)])
    total = band_power(x, rate, 0.3, 124)
    assert band_power(x[0], rate, 8, 13) > 0.97 * total[0]
    octaves = [band_power(x[1], rate, low, 2 * low) for low in (4, 8, 16, 32)]
    assert max(octaves) < 1.6 * min(octaves)  # 1/f holds equal power per octave


def test_slow_courses_pass_through_their_knots_without_leaving_their_range() -> None:
    course = np.hstack([knots(np.array([0.0, 3.0, -1.0, 2.0]), block, 100) for block in range(3)])
    np.testing.assert_allclose(course[[0, 100, 200]], [0.0, 3.0, -1.0], atol=2e-3)
    assert course.max() <= 3.0
    assert course.min() >= -1.0
    assert np.abs(np.diff(course)).max() < 0.1


# ---- head ----


def test_mu_of_each_hand_area_is_largest_over_it() -> None:
    maps = rhythm_topographies(DEFAULT_MONTAGE)
    strongest = {
        r.name: DEFAULT_MONTAGE[k] for r, k in zip(RHYTHMS, np.abs(maps).argmax(axis=0), strict=True)
    }
    assert strongest["mu left"] == "C3"
    assert strongest["mu right"] == "C4"
    assert strongest["mu feet"] == "Cz"
    assert strongest["alpha left"] == "O1"
    left = dict(zip(DEFAULT_MONTAGE, maps[:, 0], strict=True))
    assert left["C3"] > 2 * left["CP5"] > 4 * abs(left["C4"])


def test_the_head_is_symmetric_and_skull_blurs() -> None:
    names = ["C3", "C4", "C1", "C5", "Cz"]
    above = electrode_directions(["C3", "C4"])
    gain = lead_field(names, above * 0.83, above)
    assert gain[0, 0] == pytest.approx(gain[1, 1], rel=0.15)  # the template head is not quite symmetric
    assert 0.1 < gain[2, 0] / gain[0, 0] < 0.7
    deeper = lead_field(names, above * 0.5, above)
    assert deeper[0, 0] < 0.4 * gain[0, 0]


def test_an_electrode_outside_the_10_05_system_is_refused_by_name() -> None:
    with pytest.raises(MontageMismatchError, match="Q7"):
        SyntheticEeg(Synthetic(montage=("C3", "Q7"))).read(0, 0, 1)


def test_mu_falls_over_the_opposite_hemisphere_in_the_signal_itself() -> None:
    runs = (CuedRun(classes=("left", "right"), trials_per_class=20, movement="executed"),)
    eeg = SyntheticEeg(Synthetic(seed=0, runs=runs))
    x = eeg.read(0, 0, eeg.run_samples(0))
    power = {}
    for code, name in ((2, "left"), (3, "right")):
        windows = np.array([x[:, cue + 200 : cue + 900] for cue, c in eeg.cues(0) if c == code])
        windows -= windows.mean(axis=2, keepdims=True)
        power[name] = np.median(band_power(windows, 250, 8, 13), axis=0)
    c3, c4 = DEFAULT_MONTAGE.index("C3"), DEFAULT_MONTAGE.index("C4")
    assert power["right"][c3] < 0.7 * power["left"][c3]
    assert power["left"][c4] < 0.7 * power["right"][c4]


def test_the_scalp_signal_has_the_size_of_eeg_with_mains_blinks_and_offsets() -> None:
    eeg = SyntheticEeg(SHORT)
    x = eeg.read(0, 0, eeg.run_samples(0))
    assert 500 < np.abs(x.mean(axis=1)).max() < 100_000  # half-cell offsets, within the converter's ±187 mV
    x = x - x.mean(axis=1, keepdims=True)
    rms = np.sqrt(band_power(x, 250, 1, 40) / band_power(x, 250, 0, 125)) * x.std(axis=1)
    assert 5 < np.median(rms) < 40
    assert band_power(x, 250, 49, 51).mean() > 5 * band_power(x, 250, 45, 47).mean()
    steps = np.abs(x[:, 25:] - x[:, :-25]).max(axis=1)
    frontal, occipital = DEFAULT_MONTAGE.index("Fz"), DEFAULT_MONTAGE.index("O1")
    assert steps[frontal] > 40 > 0
    assert steps[frontal] > 0.5 * steps[occipital]


# ---- converter and configuration ----


def test_the_converter_rounds_to_its_step_and_saturates_at_its_rails() -> None:
    assert pytest.approx(0.0223517, rel=1e-5) == UV_PER_COUNT
    counts = quantise(np.array([[0.0, 0.49 * UV_PER_COUNT, 0.51 * UV_PER_COUNT, -1000.0, 1e6, -1e6]]))
    assert counts.tolist() == [[0, 0, 1, round(-1000 / UV_PER_COUNT), 2**23 - 1, -(2**23)]]
    x = SyntheticEeg(SHORT).read(0, 0, 500)
    assert np.abs(quantise(x) * UV_PER_COUNT - x).max() <= UV_PER_COUNT / 2 * (1 + 1e-9)


def test_a_configuration_survives_its_journey_as_json() -> None:
    import json

    config = BoardConfig(SHORT, speed=0.0, faults=({"kind": "flip", "at_byte": 9},), truth_path="/x")
    assert BoardConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    played = BoardConfig(Played("/y.npz", repeat=True))
    assert BoardConfig.from_json(json.loads(json.dumps(played.to_json()))) == played


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CuedRun(classes=("rest", "wave")), "wave"),
        (lambda: CuedRun(trials_per_class=0), "one trial"),
        (lambda: Synthetic(montage=()), "64"),
        (lambda: Synthetic(intent=-1), "intent"),
        (lambda: Synthetic(rate_hz=50), "100"),
        (lambda: BoardConfig(baud=0), "baud"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_came(make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        make()
