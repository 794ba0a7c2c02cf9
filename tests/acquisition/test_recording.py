"""Recordings: the wire bit for bit, cut anywhere, on disk in time, refused with a reason."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.acquisition import Recording, recorder, recover
from bci.acquisition.recorder import RecordingEncoder, RecordingWriter
from bci.chunks import Marker
from bci.errors import RecordingError
from firmware_protocol import DeviceConfig, MarkerNote, ReferenceDevice, Splitter, encode, wire_of
from tests.acquisition.boards import CONFIG, expected_uv, stream
from tests.acquisition.test_assembler import assembled, flat, packets, started

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
FACTS = {"notes": {"what": "a test"}, "labels": {"2": "left"}}


def signal(n_samples: int = 200, config: DeviceConfig = CONFIG) -> bytes:
    device, wire = started(config)
    return wire + stream(device, n_samples, events={50: 2, 120: 1})


def recorded(wire: bytes, *, block: int = 777, step_ns: int = 30_000_000) -> bytes:
    """A recording of `wire` that came in blocks of one size at an even pace."""
    encoder = RecordingEncoder(7)
    out = encoder.start(FACTS)
    for k, at in enumerate(range(0, len(wire), block)):
        out += encoder.arrived(wire[at : at + block], k * step_ns)
    return out + encoder.finish()


def saved(path: Path, data: bytes) -> Recording:
    path.write_bytes(data)
    return Recording(path)


# ---- the wire, bit for bit ----

WIRE_BYTES = st.one_of(
    st.binary(max_size=60),
    st.binary(min_size=700, max_size=1500),
    st.sampled_from([b"\0", b"\0\0\0", encode(ReferenceDevice(CONFIG).info()[0])]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WIRE_BYTES, st.integers(0, 200_000_000), st.booleans()), max_size=25))
def test_a_recording_gives_back_the_wire_bit_for_bit(blocks: list[tuple[bytes, int, bool]]) -> None:
    encoder = RecordingEncoder(2**63 + 5)
    out = encoder.start(FACTS)
    now_ns, wire = 0, b""
    for data, pause_ns, talks in blocks:
        now_ns += pause_ns
        wire += data
        out += encoder.tick(now_ns) + encoder.arrived(data, now_ns)
        if talks:
            out += encoder.sent(b"\0command\0", now_ns)
            out += encoder.marked(MarkerNote(3, now_ns, 1, -1, "mark"))
    out += encoder.finish()
    assert b"".join(wire_of([out])) == wire
    assert out.endswith(b"\0")


def test_a_recording_holds_what_was_sent_and_when_bytes_came() -> None:
    encoder = RecordingEncoder(1)
    out = encoder.start(FACTS)
    for k in range(30):
        out += encoder.arrived(b"\x01\0", k * 10_000_000)
    out += encoder.sent(b"\0abc\0", 5) + encoder.finish()
    notes = [piece for piece in Splitter().feed(out) if not isinstance(piece, bytes)]
    assert [type(note).__name__ for note in notes] == ["Start", *["Arrivals"] * 2, "Sent", "Arrivals"]
    pairs = [pair for note in notes if type(note).__name__ == "Arrivals" for pair in note.pairs]  # type: ignore[union-attr]
    assert pairs == [(2 * k, k * 10_000_000) for k in range(30)]


def test_bytes_without_a_delimiter_are_on_file_after_100_ms() -> None:
    encoder = RecordingEncoder(1)
    encoder.start({})
    assert encoder.arrived(b"no end", 0) == b""
    assert encoder.tick(99_000_000) == b""
    out = encoder.tick(100_000_000)
    assert b"no end" in out


# ---- reading ----


def test_a_recording_gives_the_chunks_the_wire_gave(tmp_path: Path) -> None:
    wire = signal()
    recording = saved(tmp_path / "x.bfp", recorded(wire))
    live, assembler = assembled(wire, labels={2: "left"})
    assert flat(list(recording)) == flat(live)
    assert flat(list(recording.chunks(max_samples=9))) == flat(live)
    assert b"".join(recording.wire()) == wire
    assert recording.info == assembler.info
    assert recording.labels == {2: "left"}
    assert recording.notes == {"what": "a test"}
    assert [m.label for m in recording.markers] == ["left", "1"]
    assert recording.duration_s == 200 / 250
    assert recording.statistics.samples == 200
    assert recording.statistics.bytes == len(wire)
    assert recording.cut_bytes == 0
    assert len(list(recording.arrivals())) == -(-len(wire) // 777)


def test_markers_of_the_host_keep_their_sample(tmp_path: Path) -> None:
    encoder = RecordingEncoder(7)
    out = encoder.start(FACTS) + encoder.arrived(signal(), 0)
    out += encoder.marked(MarkerNote(123, 0, 9, -2, "electrode gelled")) + encoder.finish()
    recording = saved(tmp_path / "x.bfp", out)
    assert recording.markers[-1] == Marker(123, "electrode gelled", 9, -2, "host")


def test_cut_at_any_byte_all_whole_packets_are_kept(tmp_path: Path) -> None:
    wire = signal()
    whole = recorded(wire)
    ends = [k + 1 for k, byte in enumerate(whole) if byte == 0]
    for cut in range(len(whole) - 3000, len(whole)):
        part = whole[:cut]
        keep = max(end for end in ends if end <= cut)
        recovery = recover(part)
        assert recovery.data == whole[:keep]
        assert recovery.cut_bytes == cut - keep
        assert recovery.was_whole == (cut == keep)
    for cut in range(len(whole) - 3000, len(whole), 97):
        recording = saved(tmp_path / "cut.bfp", whole[:cut])
        n = recording.statistics.samples
        data = np.concatenate([c.data_uv for c in recording], axis=1)
        np.testing.assert_array_equal(data, expected_uv(0, n))
        assert wire.startswith(b"".join(recording.wire()))
        assert recording.cut_bytes == recover(whole[:cut]).cut_bytes


@pytest.mark.parametrize("zeros", [5, 4096])
def test_zeros_that_a_power_cut_left_are_taken_off(zeros: int) -> None:
    whole = recorded(signal())
    for cut in (len(whole), len(whole) - 1, len(whole) - 40):
        recovery = recover(whole[:cut] + bytes(zeros))
        assert not recovery.was_whole
        assert whole.startswith(recovery.data)
        assert len(whole) - len(recovery.data) <= 800
        assert recover(recovery.data).was_whole


def test_a_long_recording_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = recorded(signal(2000))
    recording = saved(tmp_path / "x.bfp", data)
    whole = flat(list(recording))
    monkeypatch.setattr("bci.acquisition.recording.BLOCK_BYTES", 1000)
    chunks = list(recording)
    assert len(chunks) > len(data) // 1000 - 5
    assert flat(chunks) == whole


def test_damage_inside_a_recording_costs_the_packet_it_hit(tmp_path: Path) -> None:
    wire = bytearray(signal())
    third_last = packets(bytes(wire))[-3]
    wire[wire.rfind(third_last) + 20] ^= 0x40
    recording = saved(tmp_path / "x.bfp", recorded(bytes(wire)))
    assert recording.statistics.samples_lost == 4
    assert recording.statistics.faults >= 1


# ---- what is refused ----


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (recorded(b"")[:40], "within its first packet"),
        (signal(), "does not begin with a START packet"),
        (b"0       header of another format\0" * 40, "does not begin with a START packet"),
        (b"\xff" * 5000, "does not begin with a START packet"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.bfp"
    with pytest.raises(RecordingError, match=reason) as err:
        saved(path, content)
    assert err.value.path == path
    with pytest.raises(RecordingError, match=r"no \.bfp recording"):
        recover(content)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="there is no file"):
        Recording(tmp_path / "nowhere.bfp")
    with pytest.raises(RecordingError, match="is a directory"):
        Recording(tmp_path)


def test_a_recording_in_which_no_board_was_heard_says_so(tmp_path: Path) -> None:
    recording = saved(tmp_path / "x.bfp", recorded(b"noise\0"))
    assert list(recording) == []
    with pytest.raises(RecordingError, match="no whole INFO"):
        _ = recording.info


# ---- writing ----


def writer(path: Path, **options: object) -> RecordingWriter:
    return RecordingWriter(path, facts=FACTS, wall_clock=NOON, **options)  # type: ignore[arg-type]


def test_what_was_written_is_what_came_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path, wire = tmp_path / "x.bfp", signal()
    with_tail = wire + b"unfinished"
    w = writer(path)
    for at in range(0, len(with_tail), 100):
        w.arrived(with_tail[at : at + 100], at)
    w.close()
    w.close()
    recording = Recording(path)
    assert b"".join(recording.wire()) == with_tail
    assert recording.started == "2024-02-29T12:00:00+00:00"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_process_reads_along_before_the_recording_is_closed(tmp_path: Path) -> None:
    path, wire = tmp_path / "x.bfp", signal()
    w = writer(path)
    assert Recording(path).notes == {"what": "a test"}
    w.arrived(wire, 0)
    code = (
        "import sys; from bci.acquisition import Recording; print(Recording(sys.argv[1]).statistics.samples)"
    )
    for _ in range(20):
        seen = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        if seen.stdout.strip() == "200":
            break
    w.close()
    assert seen.stdout.strip() == "200"


def test_the_disk_confirms_once_a_second_while_bytes_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sizes = threading.Condition()

    def sync(fd: int) -> None:
        with sizes:
            synced.append(os.fstat(fd).st_size)
            sizes.notify_all()

    monkeypatch.setattr(recorder, "_sync_to_disk", sync)
    now_ns = [0]
    w = writer(tmp_path / "x.bfp", clock_ns=lambda: now_ns[0])
    assert len(synced) == 1  # START
    for second in range(1, 4):
        w.arrived(b"wire\0", now_ns[0])
        now_ns[0] = second * 1_000_000_000
        with sizes:
            assert sizes.wait_for(lambda want=second + 1: len(synced) >= want, 20)
    w.close()
    assert synced == sorted(set(synced))
    assert len(synced) <= 5


def test_a_recording_never_replaces_a_file_and_names_a_folder_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "x.bfp").write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        writer(tmp_path / "x.bfp")
    assert (tmp_path / "x.bfp").read_bytes() == b"precious"
    with pytest.raises(RecordingError, match="choose a folder that exists"):
        writer(tmp_path / "missing" / "x.bfp")


def test_a_full_disk_ends_the_recording_after_its_last_whole_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wire = tmp_path / "x.bfp", signal(2000)
    room = [20_000]
    write = os.write

    def small_disk(fd: int, data: memoryview) -> int:
        n = min(len(data), 1500, room[0])  # short writes, then none
        if n == 0:
            raise OSError(28, "No space left on device")
        room[0] -= n
        return write(fd, data[:n])

    w = writer(path)
    monkeypatch.setattr(recorder.os, "write", small_disk)
    for at in range(0, len(wire), 500):
        w.arrived(wire[at : at + 500], at)
    w.close()
    assert w.error is not None
    assert "No space left on device" in str(w.error)
    assert "what came before is safe" in str(w.error)
    recording = Recording(path)
    assert recording.cut_bytes == 0
    assert wire.startswith(b"".join(recording.wire()))
    assert path.stat().st_size <= 20_000 + 1000


# ---- for people ----


def test_a_notebook_shows_a_table_without_running_foreign_markup(tmp_path: Path) -> None:
    encoder = RecordingEncoder(1)
    out = encoder.start({"notes": {"who": "<script>"}}) + encoder.arrived(signal(), 0) + encoder.finish()
    html = saved(tmp_path / "x.bfp", out)._repr_html_()
    assert "C3, Cz" in html
    assert "0.8 s" in html
    assert "<script>" not in html


def test_a_plot_shows_the_channels_the_markers_and_the_gap(tmp_path: Path) -> None:
    device, wire = started()
    wire += stream(device, 100, events={20: 2})
    wire += b"".join(packets(stream(device, 100, at_us=400_000))[4:])
    figure = saved(tmp_path / "x.bfp", recorded(wire)).plot(duration_s=0.8)
    (axes,) = figure.axes
    traces = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(traces) == 8
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CONFIG.labels)
    assert [text.get_text() for text in axes.texts] == ["left"]
    missing = np.isnan(traces[0].get_ydata())
    assert missing.sum() == 16 if missing.any() else False
