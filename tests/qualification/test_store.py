"""A batch survives whatever happens to the program, and never forgets a first verdict."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bci.errors import BenchRecordError, SerialNumberError
from bci.language import use_language
from bci.qualification.attempts import open_attempt
from bci.qualification.limits import Limits
from bci.qualification.records import checked_serial, verdict_of
from bci.qualification.store import FILE, Batch
from tests.qualification.made_up import NAN, result

LIMITS = Limits("bench", {}, "abc")
FACTS: dict[str, Any] = {
    "operator": "", "software": "bci 0", "limits_name": "bench", "limits_sha256": "abc", "at": "2026-01-02T03:04:05",
}  # fmt: skip


def finished(batch: Batch, serial: str, *verdicts: str) -> None:
    attempt = batch.begin(serial, [f"m{k}" for k in range(len(verdicts))], **FACTS)
    for k, verdict in enumerate(verdicts):
        batch.keep(attempt, f"m{k}", [result(verdict=verdict)], took_s=1.0)
    batch.finish(attempt, at="2026-01-02T04:00:00")


def test_results_come_back_as_they_were_stored(tmp_path: Path) -> None:
    kept = [
        result(facts={"size": 4.0, "other": "ch2", "nothing": NAN}, reason="Too high.", verdict="fail"),
        result(channel=None, value=NAN, uncertainty=NAN, limit_low=None, verdict="not measured"),
    ]
    with Batch(tmp_path / "b", create=True) as batch:
        attempt = batch.begin("SN1", ["noise"], **FACTS)
        batch.keep(attempt, "noise", kept, took_s=2.5, files=["boards/SN1/1/noise-1.bfp"])
    with Batch(tmp_path / "b") as batch:
        (done,) = batch.measurements(batch.attempts("SN1")[0])
    assert (done.done, done.tries, done.took_s, done.files) == (True, 1, 2.5, ("boards/SN1/1/noise-1.bfp",))
    assert done.verdict == "fail"
    back, nothing = done.results
    assert back.facts["other"] == "ch2"
    assert math.isnan(float(back.facts["nothing"]))
    assert (back.value, back.reason, back.channel) == (1.0, "Too high.", "ch1")
    assert math.isnan(nothing.value)
    assert (nothing.channel, nothing.limit_low, nothing.verdict) == (None, None, "not measured")


def test_one_failed_result_fails_and_a_missing_one_leaves_it_open() -> None:
    good, bad, missing = result(), result(verdict="fail"), result(verdict="not measured")
    assert verdict_of([good, good]) == "pass"
    assert verdict_of([good, missing]) == "not measured"
    assert verdict_of([missing, bad, good]) == "fail"
    assert verdict_of([]) == "not measured"


def test_first_and_latest_verdict_are_both_kept(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        finished(batch, "SN1", "pass", "fail")
        finished(batch, "SN1", "pass", "pass")
        (board,) = batch.boards()
    assert board.first is not None
    assert board.latest is not None
    assert (board.first.number, board.first.verdict) == (1, "fail")
    assert (board.latest.number, board.latest.verdict) == (2, "pass")


def test_a_board_tested_before_is_tested_again_only_if_asked_for(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        finished(batch, "SN1", "pass")
        with pytest.raises(SerialNumberError, match="--repeat") as refused:
            open_attempt(batch, "SN1", ["m0"], limits=LIMITS, operator="", at="x")
        assert refused.value.serial == "SN1"
        again = open_attempt(batch, "SN1", ["m0"], limits=LIMITS, operator="", at="x", repeat=True)
        assert (again.attempt.number, again.resumed) == (2, False)


def test_an_interrupted_attempt_goes_on_unless_its_limits_have_changed(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        first = open_attempt(batch, "SN1", ["a", "b"], limits=LIMITS, operator="", at="x").attempt
        batch.keep(first, "a", [result()], took_s=1.0)
        again = open_attempt(batch, "SN1", ["a", "b"], limits=LIMITS, operator="", at="x")
        assert again.resumed
        assert again.attempt.id == first.id
        assert [done.done for done in batch.measurements(again.attempt)] == [True, False]
        changed = open_attempt(
            batch, "SN1", ["a", "b"], limits=Limits("bench", {}, "other"), operator="", at="x"
        )
        assert not changed.resumed
        assert changed.aborted is not None
        assert changed.aborted.state == "aborted"
        assert changed.attempt.number == 2


def test_sentences_are_read_in_the_language_spoken(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        attempt = batch.begin("SN1", ["a"], **FACTS)
        told = [{"en": "Too high.", "zh": "过高。"}]
        batch.keep(attempt, "a", [result(reason="Too high.")], took_s=1.0, reasons=told)
        try:
            use_language("zh")
            assert batch.measurements(attempt)[0].results[0].reason == "过高。"
        finally:
            use_language("en")
        assert batch.measurements(attempt)[0].results[0].reason == "Too high."


KILLED = """
import sys
from tests.qualification.test_store import FACTS, Batch, result
with Batch(sys.argv[1], create=True) as batch:
    for n in range(10_000):
        attempt = batch.begin(f"SN{n}", ["a", "b"], **FACTS)
        batch.keep(attempt, "a", [result(channel=f"ch{k}") for k in range(8)], took_s=1.0)
        batch.keep(attempt, "b", [result(channel=f"ch{k}") for k in range(8)], took_s=1.0)
        batch.finish(attempt, at="now")
        print(n, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_kill_9_leaves_the_batch_whole(tmp_path: Path) -> None:
    told = []
    for k in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / str(k))], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _n in range(3 + k):
            process.stdout.readline()
        time.sleep(0.003 * k)  # somewhere within a transaction; the verdict below holds wherever it is
        os.kill(process.pid, signal.SIGKILL)
        told.append(process.stdout.read().split()[-1:] or [str(2 + k)])
        process.wait()
        process.stdout.close()
    for k, last in enumerate(told):
        with Batch(tmp_path / str(k)) as batch:
            assert batch._row("PRAGMA integrity_check") == ("ok",)
            attempts = batch.attempts()
            # what was said is there
            assert len([a for a in attempts if a.state == "finished"]) > int(last[0])
            assert [a.state for a in attempts[:-1]] == ["finished"] * (len(attempts) - 1)
            for done in batch.measurements(attempts[-1]):
                assert len(done.results) == (8 if done.done else 0)  # all of a measurement or nothing


def test_two_benches_share_a_batch(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as one, Batch(tmp_path, create=True) as two:
        finished(one, "SN1", "pass")
        finished(two, "SN2", "pass")
        finished(one, "SN2", "fail")
        assert [(a.serial, a.number) for a in two.attempts()] == [("SN1", 1), ("SN2", 1), ("SN2", 2)]


def test_an_aborted_attempt_keeps_what_was_measured_and_has_no_verdict(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        attempt = batch.begin("SN1", ["a", "b"], **FACTS)
        batch.keep(attempt, "a", [result()], took_s=1.0)
        aborted = batch.abort(attempt, "Esc", at="y")
        assert (aborted.state, aborted.verdict, aborted.reason) == ("aborted", "", "Esc")
        assert [done.done for done in batch.measurements(aborted)] == [True, False]
        assert batch.board("SN1").latest is None
        assert batch.values() == []


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    Batch(tmp_path / "new", create=True).close()
    assert stat.S_IMODE((tmp_path / "new" / FILE).stat().st_mode) == 0o600


def test_another_schema_a_foreign_or_damaged_file_and_no_batch_are_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    with pytest.raises(BenchRecordError, match="no batch in"):
        Batch(tmp_path / "nowhere")
    newer = tmp_path / "newer"
    Batch(newer, create=True).close()
    with sqlite3.connect(newer / FILE) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(BenchRecordError, match="schema 99, this program reads schema 1"):
        Batch(newer)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with sqlite3.connect(foreign / FILE) as db:
        db.execute("CREATE TABLE cats (name)")
    with pytest.raises(BenchRecordError, match="another program's"):
        Batch(foreign, create=True)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / FILE).write_bytes(b"this is no database" * 100)
    with pytest.raises(BenchRecordError, match="damaged or no database"):
        Batch(damaged, create=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchRecordError, match="Choose a folder"):
        Batch(tmp_path / "file", create=True)


@pytest.mark.parametrize("text", ["", "  ", "../x", "-x", ".", "a b", "a/b", "x" * 49, "板1"])
def test_what_cannot_name_a_folder_is_no_serial_number(text: str) -> None:
    with pytest.raises(SerialNumberError) as refused:
        checked_serial(text)
    assert refused.value.serial == text.strip()


def test_a_scanner_may_add_blanks_and_a_line_end() -> None:
    assert checked_serial(" SN-0007.b\r\n") == "SN-0007.b"


def test_a_full_disk_is_said_as_such_and_what_was_stored_is_safe(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as batch:
        first = batch.begin("SN1", ["one"], **FACTS)
        (pages,) = batch._db.execute("PRAGMA page_count").fetchone()
        batch._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(BenchRecordError, match="full"):
            batch.begin("SN2", [f"measurement {k}" for k in range(2000)], **FACTS)
        assert batch.attempts() == [first]
        batch._db.execute("PRAGMA max_page_count = 100000")
        assert batch.begin("SN2", ["one"], **FACTS).number == 1


def test_a_file_that_a_crash_left_empty_is_no_batch_yet(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(BenchRecordError, match="there is no batch"):
        Batch(tmp_path)
    with Batch(tmp_path, create=True) as batch:
        assert batch.boards() == []
