"""An electrode that is bad and was passed by name does not go into the decoder, and everybody is told so."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bci.acquisition import Recording
from bci.chunks import SignalInfo
from bci.errors import ElectrodesError, MontageMismatchError, RecordingError
from bci.pipeline import Model, Run, load_model, train
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Entered
from bci.report import write_visit_report
from bci.report.visit import Visit
from bci.sessions.bench import Bench, Wearer
from bci.sessions.control_files import control_files
from bci.sessions.controlling import ControlOptions
from bci.sessions.electrodes import OPEN_KOHM
from bci.sessions.fitting import fitting_model
from bci.sessions.learning import learn_without, recorded_runs
from bci.sessions.replay import replay_session
from bci.sessions.signal_check import Gate
from bci.sessions.store import SessionStore, VisitFolder
from bci.sessions.visiting import Clinic
from tests.sessions.clinic_bench import SHORT, WEARER, Clinician

# one converter's inputs: status words come with them
CAP = ("C3", "Cz", "C4", "CP1", "CP2", "F3", "F4", "Fz")
GONE = "Fz"


def wearer(day: int, *flat: str) -> Wearer:
    faults = ({"kind": "flat", "channels": list(flat), "seconds": 1e5},) if flat else ()
    return Wearer(**WEARER, montage=CAP, impedance_kohm=(5.0,) * len(CAP), day=day, faults=faults)


def answered(*names: str) -> Gate:
    return Gate(override=names, by="Dr. Li")


@dataclass
class Less:
    """A visit with a flat electrode that somebody answered for."""

    store: SessionStore
    user: str
    folder: VisitFolder
    visit: Visit
    clinician: Clinician
    model: Model


@pytest.fixture(scope="module")
def less(tmp_path_factory: pytest.TempPathFactory) -> Less:
    store = SessionStore(tmp_path_factory.mktemp("less") / "store")
    clinician = Clinician("next", "next", "arm", "quit")
    with Bench(fast=True, wearer=wearer(0, GONE)) as bench:
        clinic = Clinic(store, bench, clinician, person=True, gate=answered(GONE))
        assert clinic.check()
        clinic.calibrate(SHORT)
        clinic.control(ControlOptions(check_trials=1))
    visit = clinic.folder.read()
    assert visit.calibration is not None
    model = load_model(clinic.folder.path / visit.calibration.model)
    return Less(store, clinic.user, clinic.folder, visit, clinician, model)


def test_the_decoder_is_the_one_of_a_cap_without_the_electrode(less: Less) -> None:
    """Every number of it, so it is as good; with the flat channel in, nothing could have been decided at all."""
    part = less.visit.calibration
    assert part is not None
    assert part.ready
    assert part.left_out == less.model.chain.left_out == (GONE,)
    assert GONE not in less.model.chain.channels
    told: list[float] = []
    runs = [without(run, GONE) for run in recorded_runs(part, less.folder)]
    other = train(runs, labels=part.classes, tell_left_out=lambda score: told.append(score.balanced_accuracy))
    for name in ("whitening", "weights", "bias", "shares"):
        for decoder in ("cued", "asynchronous"):
            ours, theirs = (getattr(getattr(m, decoder), name) for m in (less.model, other))
            np.testing.assert_array_equal(ours, theirs)
    assert told == [part.cued["balanced_accuracy"]]


def without(run: Run, name: str) -> Run:
    rows = [row for row, channel in enumerate(run.info.channels) if channel != name]
    info = replace(run.info, channels=tuple(run.info.channels[row] for row in rows))
    chunks = [replace(c, data_uv=np.asfortranarray(c.data_uv[rows]), status=None) for c in run.chunks]
    return Run(info, tuple(chunks), run.markers)


def test_a_calibration_read_from_its_recording_is_the_same_to_the_last_bit(
    less: Less, tmp_path: Path
) -> None:
    part = less.visit.calibration
    assert part is not None
    again = learn_without(part, less.folder, VisitFolder(tmp_path), ())
    assert again.model_sha256 == part.model_sha256
    assert again == part
    with pytest.raises(RecordingError, match="Calibrate again"):
        learn_without(replace_blocks(part), less.folder, VisitFolder(tmp_path), ())


def replace_blocks(part):  # type: ignore[no-untyped-def]
    import msgspec

    return msgspec.structs.replace(part, blocks=())


def test_page_recordings_log_and_report_say_so(less: Less, tmp_path: Path) -> None:
    said = f"The decoder leaves out {GONE}."
    assert any(said in text for text in less.clinician.stages), "before the calibration begins"
    assert said in less.clinician.notes, "and in control"
    part = less.visit.control
    assert part is not None
    assert part.left_out == (GONE,)
    for name in ("calibration.bfp", "control.bfp"):
        assert Recording(less.folder.path / name).notes["left_out"] == [GONE]
    calibration = less.visit.calibration
    assert calibration is not None
    assert calibration.override is not None
    assert (calibration.override.by, calibration.override.electrodes) == ("Dr. Li", (GONE,))
    header = next(item for item in read_log(less.folder.path / part.events) if isinstance(item, dict))
    assert header["notes"]["left_out"] == [GONE]
    for language, words in (("en", said), ("zh", f"解码器不使用 {GONE}。")):
        path = tmp_path / f"{language}.html"
        write_visit_report(path, less.visit, tmp_path, language=language)  # without the recording: no maps
        assert words in path.read_text(encoding="utf-8")


def test_a_session_without_the_electrode_replays_bit_for_bit(less: Less) -> None:
    part = less.visit.control
    assert part is not None
    assert part.movements is not None
    assert part.movements["cued_movements"] == 1
    found = replay_session(control_files(less.folder.path))
    assert found.difference == ""
    assert found.predictions > 100


def test_the_model_fits_caps_with_and_without_the_electrode_and_no_other(less: Less) -> None:
    part = less.visit.calibration
    assert part is not None
    rate, now_s = Fraction(250), part.at_s + 60.0

    def fit(*channels: str) -> Model:
        return fitting_model(less.folder, part, SignalInfo(channels, rate), now_s=now_s)[0]  # type: ignore[arg-type]

    assert fit(*CAP).chain.left_out == (GONE,)
    assert fit(*CAP[:-1]).chain.left_out == (GONE,)
    for channels in (CAP[1:], (*CAP, "Pz"), CAP[::-1]):
        with pytest.raises(MontageMismatchError):
            fit(*channels)


def test_an_electrode_gone_bad_since_is_left_out_by_learning_anew(less: Less, tmp_path: Path) -> None:
    shutil.copytree(less.store.root, tmp_path / "store")
    store = SessionStore(tmp_path / "store")
    with Bench(fast=True, wearer=wearer(1, GONE, "CP1")) as bench:
        clinic = Clinic(store, bench, Clinician(), user=less.user, person=False)
        clinic.require_calibration()
        with pytest.raises(ElectrodesError, match=r"needs are bad: CP1\. CP1 gives no signal"):
            clinic.check()  # Fz is bad, too, but nobody needs it
        clinic.gate = replace(clinic.gate, override=("CP1",), by="Dr. Li")
        assert clinic.check()
        visit = clinic.control(ControlOptions(check_trials=0))
    assert visit.control is not None
    assert visit.control.left_out == ("CP1", GONE)
    assert visit.control.model == f"{clinic.folder.path.name}/model-2.safetensors", "the other is kept"
    model = load_model(clinic.folder.path / "model-2.safetensors")
    assert clinic.folder.reference_of("model-2.safetensors").exists()
    assert model.chain.channels == ("C3", "Cz", "C4", "CP2", "F3", "F4")
    assert model.validation.issued_s == less.model.validation.issued_s, "it runs out with its trials"


@pytest.mark.nightly
def test_too_few_electrodes_for_a_decoder_are_said(tmp_path: Path) -> None:
    with Bench(fast=True, wearer=wearer(0, *CAP[1:])) as bench:
        clinic = Clinic(
            SessionStore(tmp_path / "store"), bench, Clinician(), person=False, gate=answered("all")
        )
        assert clinic.check()
        with pytest.raises(ElectrodesError, match="left for a decoder: 1 of 8"):
            clinic.calibrate(SHORT)


# ---- an electrode that falls off while the hand is controlled


def test_an_electrode_that_falls_off_holds_the_hand_only_where_it_is_needed(
    less: Less, tmp_path: Path
) -> None:
    shutil.copytree(less.store.root, tmp_path / "store")
    store = SessionStore(tmp_path / "store")
    fallen: list[str] = []

    def hook(seen: Clinician) -> list[str]:
        assert bench.board is not None
        phase = seen.cues[-1][0] if seen.cues else ""
        if not fallen and phase == "rest":
            fallen.append(GONE)
            bench.board.fault("lead_off", channels=[GONE], seconds=1e5)
            bench.board.fault("saturate", channels=[GONE], seconds=1e5)
        elif fallen == [GONE] and phase == "cue":
            assert "hold" not in seen.modes, "nobody needs it"
            fallen.append("C3")
            bench.board.fault("lead_off", channels=["C3"], seconds=1e5)
        return ["quit"] if len(fallen) == 2 and seen.modes[-1] == "hold" else []

    clinician = Clinician("next", "arm", hook=hook)
    with Bench(fast=True, wearer=wearer(2)) as bench:
        clinic = Clinic(store, bench, clinician, user=less.user, person=True)
        clinic.require_calibration()
        assert clinic.check()
        visit = clinic.control(ControlOptions(check_trials=2))
    control, before, after = visit.control, visit.before, visit.after
    assert control is not None
    assert control.contact_watched
    assert control.stops
    assert all(stop.cause.startswith("an electrode is off") for stop in control.stops)
    modes = [i.mode for i in read_log(clinic.folder.path / control.events) if isinstance(i, Entered)]
    assert modes[modes.index("armed") :][1] == "hold"
    assert before is not None
    assert after is not None
    kohm = [{e.name: e.impedance_kohm or 0.0 for e in look.electrodes} for look in (before, after)]
    assert kohm[0]["C3"] < 10.0, "measured before"
    assert kohm[1]["C3"] > OPEN_KOHM, "and measured again after"
    assert after.at_s > before.at_s


@pytest.mark.nightly
def test_the_current_that_watches_contact_adds_a_constant_and_nothing_else() -> None:
    """The same seconds of the same wearer, with and without it: what differs is 6 nA ± 20 % times the impedance."""
    heard = []
    for watched in (False, True):
        with Bench(fast=True, wearer=Wearer(**WEARER, montage=CAP, impedance_kohm=(20.0,) * 8)) as bench:
            assert bench.watch_contact(watched) == watched
            bench.start()
            heard.append(np.hstack([c.data_uv for c in bench.read(1.0)])[:, :240])
            count_uv = bench.info.uv_per_count[0]
    added = heard[1] - heard[0]
    middle = np.median(added, axis=1, keepdims=True)
    assert np.abs(added - middle).max() <= 1.01 * count_uv
    assert ((middle > 0.8 * 6.0 * 20.0) & (middle < 1.2 * 6.0 * 20.0)).all()
