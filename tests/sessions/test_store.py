"""The store of a clinic: folders, index, weeks compared, deletion that leaves nothing."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import stat
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bci.chunks import SignalInfo
from bci.cli import main
from bci.errors import ProfileError, RecordingError
from bci.language import use_language
from bci.report.visit import CalibrationPart, ControlPart, Equipment, Stop
from bci.sessions.store import SessionStore, VisitFolder, default_root

INFO = SignalInfo(("C3", "Cz", "C4"), Fraction(250), device="board 1.0")
EQUIPMENT = Equipment("bci", "board", "board 1.0", "1.0", INFO.channels, INFO.fs_hz)
WEEK_S = 7 * 86_400.0
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Any:
    with SessionStore(tmp_path / "clinic", wall_clock=clock) as made:
        yield made


def calibrated(at_s: float, accuracy: float) -> CalibrationPart:
    return CalibrationPart(
        at_s=at_s,
        recording="calibration.bfp",
        classes=("rest", "right"),
        movement="intended",
        trials_kept={"rest": 40, "right": 40},
        dropped=(),
        seconds=800.0,
        samples=200_000,
        samples_lost=0,
        cued={"balanced_accuracy": accuracy, "interval_95": [accuracy - 0.1, accuracy + 0.08], "chance": 0.5},
        ready=True,
    )


def controlled(at_s: float, false: int, minutes: float) -> ControlPart:
    return ControlPart(
        at_s=at_s,
        recording="control.bfp",
        events="control-events.jsonl",
        seconds=300.0,
        samples=75_000,
        samples_lost=0,
        movements={
            "hits": 7,
            "cued_movements": 8,
            "false_movements": false,
            "idle_minutes": minutes,
            "detection_latency_s_median": 2.2,
        },
        stops=(Stop(3.0, "STOP (key)", True), Stop(9.0, "no fresh signal", False)),
        latency_ms={"median": 14.0, "p99": 25.0},
    )


def visit_of(store: SessionStore, user: str, accuracy: float, false: int) -> VisitFolder:
    folder = store.visit(user, INFO, equipment=EQUIPMENT)
    now = store.wall_clock()
    visit = msgspec.structs.replace(
        folder.read(), calibration=calibrated(now, accuracy), control=controlled(now + 60, false, 2.0)
    )
    store.keep(folder, visit)
    return folder


def test_a_user_is_a_generated_id_and_names_nobody(store: SessionStore) -> None:
    users = {store.new_user() for _ in range(20)}
    assert len(users) == 20
    assert all(len(user) == 8 and user.startswith("u-") for user in users)
    assert not any(set(user[2:]) & set("01ilo") for user in users), "nothing that is confused when read aloud"


@posix
def test_everything_is_readable_by_its_owner_only(store: SessionStore) -> None:
    user = store.new_user(note="left hemiparesis")
    visit_of(store, user, 0.8, 1)
    for path in [store.root, *store.root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_visits_are_compared_over_weeks_with_interval_and_chance(store: SessionStore, clock: Clock) -> None:
    user = store.new_user()
    for week, accuracy in enumerate((0.66, 0.74, 0.81)):
        clock.now += WEEK_S
        visit_of(store, user, accuracy, 2 - week)
    rows = store.visits(user)
    assert [row.session[:3] for row in rows] == ["001", "002", "003"]
    assert [row.accuracy for row in rows] == [0.66, 0.74, 0.81]
    assert all(
        row.low == pytest.approx(row.accuracy - 0.1) and row.chance == 0.5 for row in rows if row.accuracy
    )
    assert [row.false_per_min for row in rows] == [1.0, 0.5, 0.0]
    # exact Poisson bounds of 2 events in 2 minutes: 0.2422 and 7.2247 by the chi-square quantiles, halved
    assert (rows[0].false_low, rows[0].false_high) == pytest.approx((0.1211, 3.6123), abs=1e-3)
    assert rows[0].latency_ms == 14.0
    assert rows[0].stops == 1


def test_steps_of_one_day_are_one_visit_and_another_cap_begins_a_new_one(
    store: SessionStore, clock: Clock
) -> None:
    user = store.new_user()
    first = store.visit(user, INFO, equipment=EQUIPMENT)
    clock.now += 3600
    assert store.visit(user, INFO, equipment=EQUIPMENT) == first
    other = SignalInfo(("C3", "C4"), Fraction(250))
    second = store.visit(user, other, equipment=msgspec.structs.replace(EQUIPMENT, channels=other.channels))
    assert second != first
    clock.now += 7 * 3600
    assert store.visit(user, other, equipment=EQUIPMENT) not in (first, second)


def test_the_index_is_made_anew_from_the_folders(store: SessionStore, clock: Clock, tmp_path: Path) -> None:
    user = store.new_user(note="tired in the afternoon")
    visit_of(store, user, 0.8, 0)
    before = store.visits(user)
    copy = tmp_path / "backup"
    shutil.copytree(store.root, copy)  # a backup is a copy of the folder
    (copy / "index.sqlite").unlink()
    with SessionStore(copy) as restored:
        assert restored.visits(user) == before
        assert restored.note(user) == "tired in the afternoon"


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to look like a file" * 40])
def test_a_damaged_index_is_replaced_and_nothing_is_lost(store: SessionStore, damage: bytes) -> None:
    user = store.new_user()
    visit_of(store, user, 0.8, 0)
    before = store.visits(user)
    store.close()
    (store.root / "index.sqlite").write_bytes(damage)
    with SessionStore(store.root) as again:
        assert again.visits(user) == before


def test_deleting_a_user_deletes_every_trace_and_no_other(store: SessionStore) -> None:
    user, other = store.new_user(note="remarkable remark"), store.new_user()
    folder = visit_of(store, user, 0.8, 0)
    (folder.path / "calibration.bfp").write_bytes(b"signal")
    visit_of(store, other, 0.7, 0)
    assert store.delete_user(user) >= 3
    store.close()
    for path in store.root.rglob("*"):
        assert user not in str(path)
        if path.is_file():
            content = path.read_bytes()
            assert user.encode() not in content, path
            assert b"remarkable remark" not in content, path
    with SessionStore(store.root) as again:
        assert again.users() == [other]
        assert len(again.visits(other)) == 1


@pytest.mark.parametrize("name", ["u-zzzzzz", "../..", "", "u-../x", "patient"])
def test_an_unknown_user_is_refused_and_the_known_are_named(store: SessionStore, name: str) -> None:
    known = store.new_user()
    with pytest.raises(RecordingError, match=known):
        store.delete_user(name)
    assert store.users() == [known]


def test_a_clock_set_back_is_said_and_mixes_up_no_visits(store: SessionStore, clock: Clock) -> None:
    user = store.new_user()
    visit_of(store, user, 0.8, 0)
    clock.now -= 40 * 86_400
    assert "set back" in store.clock_warning(user)
    folder = store.visit(user, INFO, equipment=EQUIPMENT)
    assert folder.path.name.startswith("002-"), "visits are counted, not dated"
    assert any("set back" in note for note in folder.read().notes)
    assert [row.session[:3] for row in store.visits(user)] == ["001", "002"]


def test_a_part_done_twice_overwrites_nothing(store: SessionStore) -> None:
    folder = store.visit(store.new_user(), INFO, equipment=EQUIPMENT)
    first = folder.free("calibration", ".bfp")
    first.write_bytes(b"1")
    second = folder.free("calibration", ".bfp")
    assert (first.name, second.name) == ("calibration.bfp", "calibration-2.bfp")


def test_a_profile_that_is_not_allowed_leaves_the_old_one(store: SessionStore, tmp_path: Path) -> None:
    user = store.new_user()
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("budget_per_min = 0.5\n", encoding="utf-8")
    bad.write_text("budget_per_min = 500\n", encoding="utf-8")
    store.keep_profile(user, good)
    with pytest.raises(ProfileError, match="budget_per_min"):
        store.keep_profile(user, bad)
    kept = store.profile(user)
    assert kept is not None
    assert kept.budget_per_min == 0.5


def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(RecordingError, match="BCI_SESSIONS"):
        SessionStore(file / "clinic")


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BCI_SESSIONS", str(tmp_path / "here"))
    assert default_root() == tmp_path / "here"
    monkeypatch.delenv("BCI_SESSIONS")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)  # a user may have none
    assert default_root() == tmp_path / "bci-sessions"


def test_without_a_home_folder_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BCI_SESSIONS", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(
        RecordingError, match=r"no home folder for .*--store, or with the variable BCI_SESSIONS"
    ):
        default_root()


def test_the_index_is_plain_sqlite_that_other_programs_read(store: SessionStore) -> None:
    user = store.new_user()
    visit_of(store, user, 0.75, 1)
    with sqlite3.connect(store.root / "index.sqlite") as database:
        assert database.execute("SELECT user, accuracy FROM visits").fetchall() == [(user, 0.75)]


@pytest.mark.parametrize(
    ("named", "elsewhere", "question", "again"),
    [("zh", "en", "永久删除使用者", "请输入 y 或 n"), ("en", "zh", "Delete user", "invalid input")],
)
def test_the_question_before_deleting_is_asked_in_the_language_that_was_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    named: str,
    elsewhere: str,
    question: str,
    again: str,
) -> None:
    """Whatever the computer speaks, and wherever --lang stands."""
    for variable in ("LC_ALL", "LANG", "LANGUAGE"):
        monkeypatch.setenv(variable, {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[elsewhere])
    with SessionStore(tmp_path) as store:
        user = store.new_user()
    command = ["sessions", "--store", str(tmp_path), "delete", user]
    try:
        for arguments in (["--lang", named, *command], [*command, "--lang", named]):
            monkeypatch.setattr("sys.stdin", io.StringIO("what\nn\n"))
            assert main(arguments) == 1
            told = capsys.readouterr()
            assert question in told.out
            assert again in told.out + told.err
    finally:
        use_language("en")
