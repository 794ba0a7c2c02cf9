"""What lies on disk beside the record: whole, private, and a disk that takes nothing is said in a sentence."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from bci.acquisition import SimulatedBoard
from bci.cli import main
from bci.errors import BenchRecordError
from bci.files import write_private
from bci.qualification import whole_files
from bci.qualification.rig import SimulatedRig
from bci.qualification.whole_files import make_folder, write_whole
from tests.qualification.made_up import Answers, measurement
from tests.qualification.test_bench import run


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the disk takes the first letters of a file and no more."""

    def half(path: Path, text: str) -> None:
        write_private(path, text[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files, "write_private", half)


def test_a_full_disk_leaves_what_was_there_and_nothing_half_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    write_whole(page, "the first page")
    full(monkeypatch)
    with pytest.raises(BenchRecordError, match=r"page\.html cannot be written: .+") as raised:
        write_whole(page, "the second page")
    assert raised.value.path == page
    assert page.read_text() == "the first page"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits and pipes are POSIX")
def test_files_and_folders_are_their_owners_alone_and_a_pipe_stays_one(tmp_path: Path) -> None:
    make_folder(tmp_path / "boards/SN1/1", below=tmp_path)
    write_whole(tmp_path / "boards/SN1/1/page.html", "x")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "boards").rglob("*")}
    assert modes == {"SN1": 0o700, "1": 0o700, "page.html": 0o600}
    assert stat.S_IMODE((tmp_path / "boards").stat().st_mode) == 0o700
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", "figures")
    assert os.read(reader, 100) == b"figures"
    os.close(reader)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BenchRecordError, match="cannot be written"):
        make_folder(tmp_path / "file/SN1/1", below=tmp_path)


def test_commands_on_a_batch_say_that_the_disk_is_full(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    board: SimulatedBoard,
    tmp_path: Path,
) -> None:
    run(tmp_path, SimulatedRig(board), Answers(), measurement("one"))
    full(monkeypatch)
    for words in (["report"], ["sheet", "SN1"], ["export", str(tmp_path / "all.csv")]):
        assert main(["qualify", *words, "--batch", str(tmp_path / "batch"), "--lang", "en"]) == 2
        out, err = capsys.readouterr()
        assert "cannot be written" in err
        assert out == ""


def test_a_picture_that_cannot_be_kept_leaves_the_measurement_stored_and_the_test_open(
    monkeypatch: pytest.MonkeyPatch, board: SimulatedBoard, tmp_path: Path
) -> None:
    from bci.qualification.store import Batch

    full(monkeypatch)
    with pytest.raises(BenchRecordError, match=r"one\.en\.svg"):
        run(tmp_path, SimulatedRig(board), Answers(), measurement("one"), measurement("two"))
    with Batch(tmp_path / "batch") as batch:
        left: Any = batch.board("SN1").open
        assert [done.done for done in batch.measurements(left)] == [True, False]
