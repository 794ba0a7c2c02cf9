"""A clinician's session from cap on to report, scripted: simulated board, accelerated, nobody sleeps."""

from __future__ import annotations

import json
import os
import shutil
import stat
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bci.acquisition import Recording
from bci.cli import main
from bci.prosthesis.event_log import read_log
from bci.prosthesis.events import Arm, Entered
from bci.report.visit import write_visit
from bci.sessions.calibrating import CalibrationOptions
from tests.sessions.clinic_bench import SHORT
from tests.sessions.conftest import Day


def test_from_cap_on_to_control_takes_at_most_six_key_presses_and_five_minutes(day: Day) -> None:
    assert day.clinician.presses_until_armed == 3  # go on, begin, arm
    assert day.clinician.presses_until_armed <= 6
    assert day.operator_s <= 300.0
    usual = CalibrationOptions().plan
    beside_trials_s = usual.seconds - usual.n_trials * usual.timing.trial_s
    assert beside_trials_s + day.operator_s <= 300.0, "and so it is with four blocks"


def test_the_visit_holds_every_part(day: Day) -> None:
    visit = day.visit
    assert visit.before is not None
    assert visit.before.override is None
    assert {e.level for e in visit.before.electrodes} <= {"good", "fair"}
    assert all(e.impedance_kohm is not None for e in visit.before.electrodes)
    assert visit.calibration is not None
    assert visit.calibration.ready
    assert visit.calibration.model_sha256
    assert visit.control is not None
    assert visit.after is not None
    assert visit.equipment.simulated
    assert visit.equipment.hand


def test_the_calibration_states_interval_chance_and_kept_trials(day: Day) -> None:
    part = day.visit.calibration
    assert part is not None
    low, high = part.cued["interval_95"]
    assert low <= part.cued["balanced_accuracy"] <= high
    assert low > part.cued["chance"] == 0.5
    kept, dropped = sum(part.trials_kept.values()), len(part.dropped)
    assert sum(map(sum, (row.values() for row in part.cued["confusion"].values()))) == kept
    assert kept + sum(not d.repeated for d in part.dropped) == SHORT.plan.n_trials
    assert len(part.per_run) == 2 + bool(dropped)
    assert sum(n for _, _, n in part.reliability) == kept


def test_false_movements_rest_on_stated_minutes(day: Day) -> None:
    part = day.visit.control
    assert part is not None
    assert part.movements is not None
    found = part.movements
    assert 0.5 < found["idle_minutes"] < part.seconds / 60
    assert found["cued_movements"] == 4
    low, high = found["interval_95"]
    assert low <= found["false_movements_per_min"] <= high
    assert sum(part.commands.values()) == found["hits"] + found["false_movements"]


def test_cues_lie_in_the_recording_at_the_samples_that_were_shown(day: Day) -> None:
    assert day.visit.calibration is not None
    recording = Recording(day.folder.path / day.visit.calibration.recording)
    cues = [m for m in recording.markers if m.label in ("rest", "right")]
    asked = sum(day.visit.calibration.trials_kept.values()) + len(day.visit.calibration.dropped)
    assert len(cues) == asked
    assert all(m.source == "host" for m in cues)
    shortest = SHORT.plan.timing.baseline_s + SHORT.plan.timing.task_s + SHORT.plan.timing.pause_s[0]
    gaps = [(b.sample_index - a.sample_index) / 250 for a, b in pairwise(cues)]
    assert min(gaps) >= shortest - 0.01
    assert recording.statistics.samples_lost == 0


def test_the_hand_was_armed_by_the_key_and_never_by_itself(day: Day) -> None:
    assert day.visit.control is not None
    log = list(read_log(day.folder.path / day.visit.control.events))
    assert sum(isinstance(item, Arm) for item in log) == 1
    modes = [item.mode for item in log if isinstance(item, Entered)]
    assert modes.index("armed") > 0
    assert modes[-1] in ("disarmed", "idle")


def test_the_state_of_the_hand_was_always_shown(day: Day) -> None:
    modes = day.clinician.modes
    assert modes[0] in ("disarmed", "idle")
    assert {"armed", "moving"} <= set(modes)


def test_everything_lies_in_one_private_folder(day: Day) -> None:
    names = {path.name for path in day.folder.path.iterdir()}
    assert names == {
        "session.json",
        "calibration.bfp",
        "model.safetensors",
        "reference.json",
        "control.bfp",
        "control-events.jsonl",
        "control-decisions.jsonl",
        "report.html",
    }
    if os.name != "nt":
        assert {stat.S_IMODE(path.stat().st_mode) for path in day.folder.path.iterdir()} == {0o600}


def test_the_report_is_one_file_with_the_figures(day: Day) -> None:
    page = day.folder.report.read_text(encoding="utf-8")
    assert len(page) < 2_000_000
    assert day.user in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_list_of_sessions_compares_it(day: Day, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "--store", str(day.store.root)]) == 0
    told = capsys.readouterr().out
    assert day.user in told
    assert day.visit.calibration is not None
    assert f"{day.visit.calibration.cued['balanced_accuracy']:.0%}" in told
    assert "…" not in told, "cut off at 80 columns"


def test_the_control_is_decided_again_bit_for_bit(day: Day, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", day.user, "--store", str(day.store.root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["identical"]
    assert min(found["predictions"], found["intents"], found["commands"]) > 0
    for named in (day.folder.path, day.folder.path / "control.bfp"):
        assert main(["replay", str(named)]) == 0
        assert capsys.readouterr().out.startswith("identical: ")
    assert main(["replay", str(day.folder.path / "calibration.bfp")]) == 0
    assert " samples, 0 lost" in capsys.readouterr().out, "it has no decisions, so it is played"


def test_of_a_control_the_model_of_an_earlier_visit_is_found_and_a_missing_one_is_said(
    day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(day.folder.path, tmp_path / "visits" / "002-20300101")
    later = tmp_path / "visits" / "002-20300101"
    earlier = tmp_path / "visits" / "001-20300101"
    earlier.mkdir()
    (earlier / "model-2.safetensors").write_bytes(b"damaged")
    (later / "model.safetensors").rename(earlier / "model.safetensors")
    assert main(["replay", str(later)]) == 0
    (earlier / "model.safetensors").unlink()
    assert main(["replay", str(later)]) == 2
    assert "the model that controlled the hand is neither in" in capsys.readouterr().err
    (later / "control-events.jsonl").write_bytes(b"")  # killed before its first line
    assert main(["replay", str(later)]) == 2
    assert "control-events.jsonl: holds no header" in capsys.readouterr().err


def test_a_visit_without_a_control_has_nothing_to_decide_again(
    day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (day.folder.session, day.folder.path / "calibration.bfp"):
        shutil.copy(path, tmp_path)
    part = msgspec.structs.replace(day.visit, control=None)
    write_visit(tmp_path / "session.json", part)
    assert main(["replay", str(tmp_path)]) == 2
    assert "holds no control of the hand" in capsys.readouterr().err
    assert main(["replay", str(tmp_path), "--speed", "0"]) == 0, "but its calibration can be played"
    write_visit(tmp_path / "session.json", msgspec.structs.replace(part, calibration=None))
    assert main(["replay", str(tmp_path), "--speed", "0"]) == 2
    assert "holds no recording" in capsys.readouterr().err


def test_deleting_the_user_leaves_nothing(
    day: Day, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(day.store.root, copy)
    assert main(["sessions", "--store", str(copy), "delete", day.user, "--yes"]) == 0
    assert not list(copy.rglob("*.bfp"))
    assert day.user not in "".join(str(path) for path in copy.rglob("*"))
    assert main(["sessions", "--store", str(copy), "delete", day.user, "--yes"]) == 2
    assert "There is no user" in capsys.readouterr().err
