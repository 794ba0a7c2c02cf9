"""What goes wrong in a clinic: each has a plain sentence, in both languages, and a safe outcome."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bci.acquisition import Recording
from bci.chunks import SignalInfo
from bci.cli import main
from bci.cli._clinic_view_keys import ClinicKeys
from bci.errors import (
    DeviceLostError,
    DiskFullError,
    ElectrodesError,
    ModelFileError,
    MontageMismatchError,
    NotCertifiedError,
    ProfileError,
    RateMismatchError,
    RecordingError,
)
from bci.language import _, use_language
from bci.pipeline import load_model, model_digest, save_model
from bci.prosthesis import Profile
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Arm, Entered
from bci.sessions.bench import Bench, Wearer
from bci.sessions.calibrating import CalibrationOptions
from bci.sessions.control_files import control_files
from bci.sessions.controlling import ControlOptions
from bci.sessions.fitting import fitting_model, fitting_profile
from bci.sessions.guided import CalibrationPlan, CueTiming
from bci.sessions.replay import replay_session
from bci.sessions.screen import Screens
from bci.sessions.signal_check import Gate
from bci.sessions.store import SessionStore, VisitFolder
from bci.sessions.visiting import Clinic
from tests.sessions.clinic_bench import WEARER, Clinician
from tests.sessions.conftest import Day

#: A calibration that is only walked through: nothing is learnt from so few trials.
TINY = CalibrationOptions(
    plan=CalibrationPlan(
        blocks=1, trials_per_class=2, timing=CueTiming(lead_in_s=1.0, baseline_s=1.0, between_s=1.0)
    )
)


@pytest.fixture(params=["en", "zh"])
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    use_language(request.param)
    yield request.param
    use_language("en")


@pytest.fixture(params=["en", pytest.param("zh", marks=pytest.mark.nightly)])
def spoken_there(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of tests that take seconds; that their sentences have a translation is tested for itself below."""
    use_language(request.param)
    yield request.param
    use_language("en")


def says(text: str, spoken: str, words: str) -> bool:
    """The sentence in that language: its words in English, Chinese signs otherwise."""
    return words in text if spoken == "en" else any("\u4e00" <= sign <= "\u9fff" for sign in text)


def copied(day: Day, folder: Path, clock: Callable[[], float] = time.time) -> SessionStore:
    shutil.copytree(day.store.root, folder / "store")
    return SessionStore(folder / "store", wall_clock=clock)


def modes_of(folder: VisitFolder, name: str) -> list[str]:
    return [item.mode for item in read_log(folder.path / name) if isinstance(item, Entered)]


# ---- cap not on


def test_a_cap_that_is_not_on_is_refused_as_such_and_nothing_is_stored(
    tmp_path: Path, spoken_there: str
) -> None:
    off = Wearer(faults=({"kind": "lead_off", "seconds": 1000.0},))
    store = SessionStore(tmp_path / "store")
    with Bench(fast=True, wearer=off) as bench, pytest.raises(ElectrodesError) as caught:
        Clinic(store, bench, Clinician(), person=False).check()
    assert says(str(caught.value), spoken_there, "cap does not seem to be on: 16 of 16")
    assert store.users() == []


def test_bad_electrodes_pass_only_by_their_names_and_that_of_somebody_and_it_is_logged(
    tmp_path: Path,
) -> None:
    loose = Wearer(faults=({"kind": "flat", "channels": ["C3", "F4"], "seconds": 1000.0},))
    store = SessionStore(tmp_path / "store")
    with Bench(fast=True, wearer=loose) as bench:

        def passes(gate: Gate) -> Clinic:
            clinic = Clinic(store, bench, Clinician(), person=False, gate=gate)
            assert clinic.check()
            return clinic

        for gate in (Gate(), Gate(override=("C3",), by="Dr. Li"), Gate(override=("C3", "F4"))):
            with pytest.raises(ElectrodesError, match=r"F4 gives no signal\. See that the plug"):
                passes(gate)
        clinic = passes(Gate(override=("C3", "F4"), by="Dr. Li"))
        part = clinic.folder.read().before
        assert part is not None
        assert part.override is not None
        assert (part.override.by, set(part.override.electrodes)) == ("Dr. Li", {"C3", "F4"})
        # a decoder that does not take them does not need them
        assert passes(Gate(needed=("Cz", "C4"))).folder.read().before.override is None  # type: ignore[union-attr]


# ---- cable pulled


def test_a_cable_pulled_in_the_calibration_pauses_it_and_the_trial_is_asked_again(
    tmp_path: Path, spoken_there: str
) -> None:
    pulled: list[str] = []

    def hook(clinician: Clinician) -> list[str]:
        assert bench.board is not None
        if not pulled and clinician.cues and clinician.cues[-1][0] == "task":
            pulled.append("out")
            bench.board.unplug()
        elif pulled == ["out"] and bench.away and clinician.notes:
            pulled.append("in")
            bench.board.plug()
        return []

    clinician = Clinician("next", "next", hook=hook)
    with Bench(fast=True, wearer=Wearer(**WEARER)) as bench:
        clinic = Clinic(SessionStore(tmp_path / "store"), bench, clinician, person=True)
        assert clinic.check()
        visit = clinic.calibrate(TINY)
    assert pulled == ["out", "in"]
    assert any(says(note, spoken_there, "cable is out") for note in clinician.notes)
    assert visit is not None
    part = visit.calibration
    assert part is not None
    assert [(d.reason, d.repeated) for d in part.dropped] == [("lost", True)]
    assert sum(part.trials_kept.values()) == TINY.plan.n_trials
    recording = Recording(clinic.folder.path / part.recording)
    assert {"lost", "returned"} <= {marker.label for marker in recording.markers}


def test_a_cable_pulled_in_control_holds_the_hand_until_somebody_arms_again(
    day: Day, tmp_path: Path, spoken_there: str
) -> None:
    done: list[str] = []

    def hook(clinician: Clinician) -> list[str]:
        assert bench.board is not None
        if not done and ("task", "right") in clinician.cues:
            done.append("out")
            bench.board.unplug()
        elif (
            done == ["out"]
            and any(says(n, spoken_there, "hand holds") for n in clinician.notes)
            and bench.away
        ):
            done.append("in")
            bench.board.plug()
        elif done == ["out", "in"] and not bench.away and clinician.state["hand"]["stopped"]:
            done.append("seen")
            return ["quit"]
        return []

    clinician = Clinician("next", "arm", hook=hook)
    store = copied(day, tmp_path)
    with Bench(fast=True, wearer=Wearer(**WEARER, day=5)) as bench:
        clinic = Clinic(store, bench, clinician, user=day.user, person=True)
        assert clinic.check()
        visit = clinic.control(ControlOptions(check_trials=3))
    assert done == ["out", "in", "seen"]
    assert visit.control is not None
    log = list(read_log(clinic.folder.path / visit.control.events))
    assert sum(isinstance(item, Arm) for item in log) == 1, "nothing arms again by itself"
    assert any(stop.stopped and "board lost" in stop.cause for stop in visit.control.stops)
    assert Recording(clinic.folder.path / visit.control.recording).duration_s > 5.0
    assert replay_session(control_files(clinic.folder.path)).difference == "", "decided again as it was"


def test_a_board_that_was_reset_in_control_holds_the_hand_and_ends_the_visit_with_its_report_kept(
    day: Day, tmp_path: Path, spoken_there: str
) -> None:
    """A weak supply: sample numbers begin anew, and no decision may rest on a mixture of both."""
    done: list[str] = []

    def hook(clinician: Clinician) -> list[str]:
        assert bench.board is not None
        if not done and ("task", "right") in clinician.cues:
            done.append("reset")
            bench.board.fault("reset")
        return []

    clinician = Clinician("next", "arm", hook=hook)
    store = copied(day, tmp_path)
    with Bench(fast=True, wearer=Wearer(**WEARER, day=5)) as bench:
        clinic = Clinic(store, bench, clinician, user=day.user, person=True)
        assert clinic.check()
        with pytest.raises(DeviceLostError) as lost:
            clinic.control(ControlOptions(check_trials=3))
    assert says(str(lost.value), spoken_there, "was reset and counts its samples anew")
    control = clinic.folder.read().control
    assert control is not None
    log = list(read_log(clinic.folder.path / control.events))
    assert sum(isinstance(item, Arm) for item in log) == 1, "nothing arms again by itself"
    assert any(stop.stopped and "board lost" in stop.cause for stop in control.stops)
    assert Recording(clinic.folder.path / control.recording).statistics.resets == 1
    assert replay_session(control_files(clinic.folder.path)).difference == "", "decided again as it was"


def test_where_the_board_is_lost_for_good_the_report_is_written_and_a_new_user_named_all_the_same(
    tmp_path: Path, spoken_there: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(clinic: Clinic, *_args: object, **_options: object) -> None:
        raise DeviceLostError("the board is gone", port=clinic.bench.port)

    monkeypatch.setattr(Clinic, "calibrate", lost)
    store = tmp_path / "store"
    assert main(["control", "--fast", "--store", str(store), "--lang", spoken_there]) == 2
    told = capsys.readouterr()
    assert "the board is gone" in told.err
    (report,) = store.rglob("report.html")
    user = report.relative_to(store / "users").parts[0]
    shown = (told.out + told.err).replace("\n", "")
    assert report.name in shown
    assert user in shown
    assert says(shown, spoken_there, "What was done until now is kept.")
    assert says(shown, spoken_there, f"New user {user}.")


# ---- browser closed


def test_a_browser_that_is_closed_ends_nothing_and_is_said(spoken: str) -> None:
    class Closed(Clinician):
        def show(self, **state: Any) -> None:
            raise BrokenPipeError("the browser was closed")

    terminal = Clinician()
    screens = Screens(Closed(), terminal)
    screens.show(threshold=0.5)
    screens.show(threshold=0.6)
    assert terminal.state["threshold"] == 0.6
    assert says(terminal.notes[-1], spoken, "browser is gone")
    assert len(screens.failed) == 1


# ---- space bar held down


def test_a_space_bar_held_down_is_stop_at_once_and_floods_nothing() -> None:
    now = [0.0]
    stops: list[float] = []
    keys = ClinicKeys(lambda: stops.append(now[0]), clock=lambda: now[0])
    for repeat in range(300):  # ten seconds at thirty repeats a second
        now[0] = repeat / 30
        keys.take(" ")
    assert stops[0] == 0.0
    assert len(stops) <= 51
    assert keys.pressed() == []


def test_while_the_space_bar_is_held_down_the_hand_cannot_be_armed(
    day: Day, tmp_path: Path, spoken_there: str
) -> None:
    clinician = Clinician("next", "arm")
    held = [0]

    def hook(asked: Clinician) -> list[str]:
        if "armed" not in asked.modes or held[0] > 40:
            return []
        held[0] += 1
        assert asked.stop is not None
        asked.stop("key")
        if held[0] == 40:
            held[0] += 1
            return ["quit"]
        return ["arm"] if asked.state["hand"]["stopped"] else []

    clinician.hook = hook
    store = copied(day, tmp_path)
    with Bench(fast=True, wearer=Wearer(**WEARER, day=6)) as bench:
        clinic = Clinic(store, bench, clinician, user=day.user, person=True)
        assert clinic.check()
        visit = clinic.control(ControlOptions(check_trials=3))
    assert any(says(note, spoken_there, "still held down") for note in clinician.notes)
    assert visit.control is not None
    log = list(read_log(clinic.folder.path / visit.control.events))
    assert sum(isinstance(item, Arm) for item in log) == 1
    assert sum(stop.stopped for stop in visit.control.stops) == 1, "a key that is held down counts once"
    assert visit.control.commands == {}


# ---- disk nearly full


def test_a_disk_without_room_is_said_before_anything_is_recorded(tmp_path: Path, spoken_there: str) -> None:
    with Bench(fast=True) as bench:
        clinic = Clinic(
            SessionStore(tmp_path / "store"), bench, Clinician(), person=False, free=lambda folder: 90.0
        )
        with pytest.raises(DiskFullError) as caught:
            clinic.calibrate(TINY)
        assert says(str(caught.value), spoken_there, "90 MB are free")
        assert not list(clinic.folder.path.glob("*.bfp"))


def test_a_disk_that_fills_up_ends_the_calibration_and_keeps_what_there_is(
    tmp_path: Path, spoken_there: str
) -> None:
    rooms = iter([1000.0])  # then less than the reserve
    with Bench(fast=True) as bench:
        clinic = Clinic(
            SessionStore(tmp_path / "store"),
            bench,
            Clinician(),
            person=False,
            free=lambda folder: next(rooms, 50.0),
        )
        visit = clinic.calibrate(TINY)
    assert visit is not None
    part = visit.calibration
    assert part is not None
    assert says(part.ended, spoken_there, "disk is nearly full")
    assert not part.ready
    assert Recording(clinic.folder.path / part.recording).info.n_channels == 16
    assert part.ended in clinic.report().read_text(encoding="utf-8")


# ---- what does not fit


class Calibration:
    """Files of the day's calibration, to be fitted to something else."""

    def __init__(self, day: Day, folder: Path) -> None:
        shutil.copytree(day.folder.path, folder / "visit")
        self.folder = VisitFolder(folder / "visit")
        assert day.visit.calibration is not None
        self.part = day.visit.calibration
        self.model = load_model(self.folder.path / self.part.model)
        self.info = SignalInfo(self.model.chain.channels, self.model.chain.rate)
        self.now_s = self.part.at_s + 60.0

    def fit(self, **changed: Any) -> Any:
        options: dict[str, Any] = {"info": self.info, "now_s": self.now_s, "part": self.part, **changed}
        return fitting_model(self.folder, options["part"], options["info"], now_s=options["now_s"])


@pytest.fixture
def calibration(day: Day, tmp_path: Path) -> Calibration:
    return Calibration(day, tmp_path)


def test_what_fits_is_taken(calibration: Calibration) -> None:
    model, certificate = calibration.fit()
    assert model_digest(model) == certificate.model == calibration.part.model_sha256


def test_a_calibration_of_another_montage_is_refused(calibration: Calibration, spoken: str) -> None:
    names = list(calibration.info.channels)
    names[0], names[1] = names[1], names[0]
    for channels in (tuple(names), calibration.info.channels[:8]):
        with pytest.raises(MontageMismatchError) as caught:
            calibration.fit(info=replace(calibration.info, channels=channels))
        assert says(str(caught.value), spoken, "another cap")


def test_a_calibration_of_another_rate_is_refused(calibration: Calibration, spoken: str) -> None:
    with pytest.raises(RateMismatchError) as caught:
        calibration.fit(info=replace(calibration.info, rate=calibration.info.rate * 2))
    assert says(str(caught.value), spoken, "250 samples a second, the board now sends 500")


def test_a_model_of_another_days_filter_chain_is_refused(calibration: Calibration, spoken: str) -> None:
    chain = calibration.model.chain
    other = replace(chain, sos=chain.sos * np.where(np.arange(6) < 3, 1.001, 1.0))
    path = calibration.folder.path / "model.safetensors"
    path.unlink()
    save_model(replace(calibration.model, chain=other), path)
    with pytest.raises(ModelFileError) as caught:
        calibration.fit()
    assert says(str(caught.value), spoken, "another filter chain")


def test_a_model_that_was_exchanged_is_refused(calibration: Calibration, spoken: str) -> None:
    part = msgspec.structs.replace(calibration.part, model_sha256="0" * 64)
    with pytest.raises(ModelFileError) as caught:
        calibration.fit(part=part)
    assert says(str(caught.value), spoken, "not the model of this calibration")


@pytest.mark.parametrize(
    ("hours", "words"),
    [(-48.0, "clock of this computer was changed"), (13.0, "13 hours old and has run out")],
)
def test_a_clock_that_was_changed_leaves_the_hand_disarmed(
    calibration: Calibration, spoken: str, hours: float, words: str
) -> None:
    with pytest.raises(NotCertifiedError) as caught:
        calibration.fit(now_s=calibration.now_s + hours * 3600)
    assert says(str(caught.value), spoken, words)


def test_a_profile_that_does_not_know_the_decoders_movement_is_refused(calibration: Calibration) -> None:
    with pytest.raises(ProfileError, match="right"):
        fitting_profile(Profile(intents={"close": "toggle"}), calibration.model, user="u-aaaaaa")
    assert fitting_profile(None, calibration.model, user="u-aaaaaa").user == "u-aaaaaa"


def test_control_without_a_calibration_says_what_to_run(tmp_path: Path, spoken_there: str) -> None:
    store = SessionStore(tmp_path / "store")
    user = store.new_user()
    with Bench(fast=True) as bench:
        clinic = Clinic(store, bench, Clinician(), user=user, person=False)
        with pytest.raises(RecordingError) as caught:
            clinic.require_calibration()
    assert says(str(caught.value), spoken_there, f"bci calibrate --user {user}")


# ---- nobody at home


def test_a_wearer_who_cannot_do_it_is_told_so_honestly_and_gets_no_control(
    tmp_path: Path, spoken_there: str
) -> None:
    plan = CalibrationPlan(
        classes=("left", "right"), blocks=2, trials_per_class=6, timing=CueTiming(between_s=1.0), seed=3
    )
    store = SessionStore(tmp_path / "store")
    with Bench(fast=True, wearer=Wearer(seed=3, intent=0.0)) as bench:
        clinic = Clinic(store, bench, Clinician(), person=False)
        visit = clinic.calibrate(CalibrationOptions(plan=plan))
        assert visit is not None
        part = visit.calibration
        assert part is not None
        assert not part.ready
        low, high = part.cued["interval_95"]
        assert low <= 0.5 <= high
        assert says(clinic.result(), spoken_there, "Not ready for control")
        assert says(part.advice[0], spoken_there, "one hand against rest before left against right")
        with pytest.raises(NotCertifiedError) as caught:
            clinic.control(ControlOptions())
    assert says(str(caught.value), spoken_there, "stays disarmed")
    assert not list(clinic.folder.path.glob("control*"))


@pytest.mark.parametrize(
    "sentence",
    [
        "The cap does not seem to be on: {bad} of {all} electrodes have no contact. Put the cap on, or see to the "
        "reference and ground electrodes.",
        "The board's cable is out, or its power is off. Put it in again; it goes on by itself.",
        "The board's cable is out, or its power is off: the hand holds. Put it in again; arm when it is back.",
        "The STOP key is still held down: let go of it, then arm again.",
        "The disk is nearly full: {free} MB are free in {folder}, this recording needs {needed} MB. "
        "Delete or move what is not needed, then try again.",
        "The disk is nearly full ({free} MB left), so the recording ends here. What was recorded until now is kept.",
        "User {user} has no calibration yet. Run: bci calibrate --user {user}",
        "Not ready for control: {why}",
        "The hand stays disarmed. {why} {advice}",
    ],
)
def test_what_is_said_at_the_board_is_said_in_chinese_too(sentence: str) -> None:
    use_language("zh")
    try:
        assert any("\u4e00" <= sign <= "\u9fff" for sign in _(sentence))
    finally:
        use_language("en")
