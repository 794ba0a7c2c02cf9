"""Saving a cut recording into a new file, and refusing what would harm one."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from bci.acquisition import Recording, recover_file
from bci.errors import RecordingError
from tests.acquisition.test_recording import recorded, signal

WHOLE = recorded(signal())


def cut_file(tmp_path: Path, cut: int = 30) -> Path:
    path = tmp_path / "cut.bfp"
    path.write_bytes(WHOLE[:-cut])
    return path


def test_the_whole_packets_go_into_a_new_private_file_and_the_cut_one_stays(tmp_path: Path) -> None:
    path, target = cut_file(tmp_path), tmp_path / "saved.bfp"
    found = recover_file(path, target)
    assert found.cut_bytes > 0
    assert target.read_bytes() == WHOLE[: found.kept_bytes]
    assert path.read_bytes() == WHOLE[:-30]
    assert Recording(target).cut_bytes == 0
    assert list(tmp_path.iterdir()) == [path, target] or sorted(tmp_path.iterdir()) == [path, target]
    if sys.platform != "win32":
        assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    path, target = cut_file(tmp_path), tmp_path / "saved.bfp"
    target.write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        recover_file(path, target)
    assert target.read_bytes() == b"precious"
    recover_file(path, target, force=True)
    assert Recording(target).statistics.samples > 0


def test_the_damaged_recording_is_never_its_own_target(tmp_path: Path) -> None:
    path = cut_file(tmp_path)
    with pytest.raises(RecordingError, match="the damaged recording itself"):
        recover_file(path, path, force=True)
    assert path.read_bytes() == WHOLE[:-30]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (WHOLE[:20], "Nothing can be recovered"),
        (b"\x89PNG\r\n" * 500, "Nothing can be recovered"),
    ],
)
def test_what_holds_nothing_to_save_is_refused_and_nothing_is_written(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "x.bfp"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=reason):
        recover_file(path, tmp_path / "saved.bfp")
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"nowhere\.bfp"):
        recover_file(tmp_path / "nowhere.bfp", tmp_path / "saved.bfp")
    with pytest.raises(RecordingError, match="cannot recover"):
        recover_file(tmp_path, tmp_path / "saved.bfp")


def test_a_disk_that_fills_up_leaves_the_target_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = cut_file(tmp_path), tmp_path / "saved.bfp"
    target.write_bytes(b"earlier result")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bci.acquisition._recover.os.fsync", full)
    with pytest.raises(RecordingError, match="No space left"):
        recover_file(path, target, force=True)
    assert target.read_bytes() == b"earlier result"
    assert not list(tmp_path.glob("*.part"))
