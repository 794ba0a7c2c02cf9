"""Recordings: the wire bit for bit, cut anywhere, on disk in time, refused with a reason."""

from __future__ import annotations

import itertools
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

from bci.acquisition import Recording, open_source, recorder, recover
from bci.acquisition.recorder import RecordingEncoder, RecordingWriter
from bci.chunks import Marker
from bci.errors import RecordingError
from firmware_protocol import DeviceConfig, MarkerNote, Opcode, ReferenceDevice, Splitter, encode, wire_of
from tests.acquisition.boards import CONFIG, expected_uv, port_board, stream
from tests.acquisition.test_assembler import assembled, command, flat, packets, started

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


def test_a_recording_is_what_its_board_said_first(tmp_path: Path) -> None:
    device, wire = started()
    wire += stream(device, 20)
    wire += command(device, Opcode.SET_CHANNEL, bytes([255, 12, 0, 1]), at_us=90_000, request_id=5)
    recording = saved(tmp_path / "x.bfp", recorded(wire + stream(device, 20)))
    scales = [uv for page in ReferenceDevice(CONFIG).info() for uv in page.uv_per_count]
    assert list(recording.info.uv_per_count or ()) == scales


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
        assert recovery.kept_bytes == keep
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
        assert len(whole) - recovery.kept_bytes <= 800
        assert recover((whole[:cut] + bytes(zeros))[: recovery.kept_bytes]).was_whole


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


def test_a_disk_that_is_full_in_the_middle_of_a_write_keeps_the_whole_packets_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wire = tmp_path / "x.bfp", signal(400)
    write, room = os.write, [5000]

    def small_disk(fd: int, data: memoryview) -> int:
        n = min(len(data), room[0])
        if n == 0:
            raise OSError(28, "No space left on device")
        room[0] -= n
        return write(fd, data[:n])

    w = writer(path)
    monkeypatch.setattr(recorder.os, "write", small_disk)
    w.arrived(wire, 0)  # one write of all of it
    w.close()
    assert path.stat().st_size > 5000 - 700
    assert Recording(path).cut_bytes == 0
    assert wire.startswith(b"".join(Recording(path).wire()))


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_a_full_disk_does_not_stop_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, [3000]

    def small_disk(fd: int, data: memoryview | bytes) -> int:
        if isinstance(data, memoryview):
            if len(data) > room[0]:
                raise OSError(28, "No space left on device")
            room[0] -= len(data)
        return write(fd, data)

    monkeypatch.setattr(recorder.os, "write", small_disk)
    with port_board(rate_hz=500) as board, open_source(board.url, record_to=tmp_path / "x.bfp") as source:
        source.start()
        n = after = 0
        while after < 200:
            got = sum(chunk.n_samples for chunk in source.read(1.0))
            n += got
            after += got * (source.recording_error is not None)  # type: ignore[attr-defined]
        assert source.statistics.samples_lost == 0
    assert 0 < Recording(tmp_path / "x.bfp").statistics.samples < n


def test_the_alarm_comes_a_block_ahead_of_a_full_disk_and_goes_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_ns, room = [0], [10 * recorder.BLOCK_BYTES]
    looked = threading.Condition()
    look = RecordingWriter._look_ahead

    def look_and_tell(self: RecordingWriter) -> None:
        look(self)
        with looked:
            looked.notify_all()

    monkeypatch.setattr(recorder, "room_bytes", lambda path, written: room[0])
    monkeypatch.setattr(RecordingWriter, "_look_ahead", look_and_tell)
    w = writer(tmp_path / "x.bfp", clock_ns=lambda: now_ns[0])

    def next_second() -> str:
        with looked:
            now_ns[0] += 1_000_000_000
            w.arrived(b"wire\0", now_ns[0])
            assert looked.wait(60)
        return w.alarm

    assert w.alarm == ""
    assert next_second() == ""
    room[0] = recorder.BLOCK_BYTES - 1
    assert "has room for 1.0 MB more" in next_second()
    assert "has room" in next_second()
    assert len([r for r in caplog.records if "has room" in r.message]) == 1
    room[0] = 10 * recorder.BLOCK_BYTES
    assert next_second() == ""
    assert w.error is None
    w.close()


def test_a_fast_stream_raises_the_alarm_ten_minutes_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [0]
    monkeypatch.setattr(recorder, "room_bytes", lambda path, written: 50_000_000)
    w = writer(tmp_path / "x.bfp", clock_ns=lambda: now_ns[0])
    w.arrived(bytes(1_000_000), 0)
    now_ns[0] = 2_000_000_000
    w.arrived(bytes(100), now_ns[0])
    w.close()
    now_ns[0] = 2_000_000_000
    w._look_ahead()
    assert "about 2 minutes" in w.alarm


def test_a_disk_that_takes_nothing_leaves_a_gap_and_memory_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wire = tmp_path / "x.bfp", signal(400)
    stuck, stands = threading.Event(), threading.Event()
    write = os.write

    def hang(fd: int, data: memoryview) -> int:
        stands.set()
        assert stuck.wait(60)
        return write(fd, data)

    w = writer(path)
    monkeypatch.setattr(recorder, "MAX_WAITING_BYTES", 2000)
    monkeypatch.setattr(recorder.os, "write", hang)
    w.arrived(wire[:500], 1)
    assert stands.wait(60)
    for at in range(500, 8000, 500):
        w.arrived(wire[at : at + 500], at)
    assert w._put_bytes <= 3500
    stuck.set()
    while w._taken_bytes < w._put_bytes:
        stands.wait(0.01)
    w.arrived(wire[8000:], 8000)
    w.close()
    recording = Recording(path)
    (gap,) = recording.gaps
    assert "left out" in gap.reason
    kept = b"".join(recording.wire())
    assert kept == wire[: len(kept) - len(wire[8000:])] + wire[8000:]
    assert recording.statistics.samples_lost > 0


def test_a_slow_disk_delays_no_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed program had written is in the file: synchronising happens beside, not before it."""
    path, wire = tmp_path / "x.bfp", signal(400)
    now_ns = [0]
    hangs, go_on = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        hangs.set()
        assert go_on.wait(60)

    w = writer(path, clock_ns=lambda: now_ns[0])
    monkeypatch.setattr(recorder, "_sync_to_disk", slow)
    now_ns[0] = 1_000_000_000
    w.arrived(wire[:1000], 1)
    assert hangs.wait(60)
    w.arrived(wire[1000:], 2)
    for _ in range(2000):
        if Recording(path).statistics.samples == 400:
            break
    assert Recording(path).statistics.samples == 400
    go_on.set()
    w.close()


def test_hours_left_follow_from_rate_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bci.acquisition import _room
    from bci.acquisition.configuration import ConfigurationBook

    book = ConfigurationBook()
    configuration = [book.add(page) for page in ReferenceDevice(CONFIG).info()][-1]
    assert configuration is not None
    rate = _room.recording_bytes_per_s(configuration)
    device, wire = started()
    wire += stream(device, 2500)
    assert rate == pytest.approx(len(recorded(wire, block=120, step_ns=16_000_000)) / 10, rel=0.1)
    monkeypatch.setattr(_room, "room_bytes", lambda path: 3600 * 1000)
    assert _room.hours_left(tmp_path / "x.bfp", 500.0) == 2.0


# ---- stretches of time ----


def test_a_stretch_is_cut_by_time_to_the_sample(tmp_path: Path) -> None:
    recording = saved(tmp_path / "x.bfp", recorded(signal(500)))
    np.testing.assert_array_equal(recording[0.1:0.3].signal_uv(), expected_uv(25, 50))
    np.testing.assert_array_equal(recording.between(1.5).signal_uv(), expected_uv(375, 125))
    np.testing.assert_array_equal(recording[:].signal_uv(), expected_uv(0, 500))
    assert recording[0.1:0.3].signal_uv().flags.f_contiguous
    assert [m.label for m in recording[0.1:0.3].markers] == ["left"]
    assert recording[0.1:0.3].marker_times()[0][0] == pytest.approx(50 / 250)
    assert [m.label for m in recording[0.3:].markers] == ["1"]
    assert recording[7:9].signal_uv().shape == (8, 0)
    assert "0.1 s to 0.3 s" in repr(recording[0.1:0.3])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 499), min_size=1, max_size=8, unique=True))
def test_stretches_side_by_side_are_the_whole_recording(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "stretches.bfp"
    if not path.exists():
        device, wire = started()
        wire += stream(device, 200, events={20: 2, 199: 1})
        wire += b"".join(packets(stream(device, 300, at_us=800_000))[6:])
        path.write_bytes(recorded(wire))
    recording = Recording(path)
    edges = [0, *sorted(cuts), 500]
    stretches = [recording[a / 250 : b / 250] for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(
        np.hstack([stretch.signal_uv() for stretch in stretches]), recording[:].signal_uv()
    )
    chunks = [chunk for stretch in stretches for chunk in stretch]
    assert sum(chunk.lost_before for chunk in chunks) == recording.statistics.samples_lost
    assert [m for stretch in stretches for m in stretch.markers] == list(recording.markers)


def test_a_gap_is_time_and_nan(tmp_path: Path) -> None:
    device, wire = started()
    wire += stream(device, 100)
    wire += b"".join(packets(stream(device, 100, at_us=400_000))[4:])
    recording = saved(tmp_path / "x.bfp", recorded(wire))
    signal_uv = recording[:].signal_uv()
    lost = recording.statistics.samples_lost
    assert lost > 0
    assert signal_uv.shape[1] == 200
    assert np.isnan(signal_uv).all(axis=0).sum() == lost
    np.testing.assert_array_equal(signal_uv[:, 150:], expected_uv(150, 50))


def test_a_long_recording_is_entered_in_its_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bci.acquisition.recording.BLOCK_BYTES", 1000)
    monkeypatch.setattr("bci.acquisition.recording.ENTRY_BYTES", 20_000)
    recording = saved(tmp_path / "x.bfp", recorded(signal(5000)))
    np.testing.assert_array_equal(recording[18:19].signal_uv(), expected_uv(4500, 250))
    read: list[int] = []
    blocks = Recording.blocks

    def counted(self: Recording, start: int = 0):  # type: ignore[no-untyped-def]
        for block in blocks(self, start):
            read.append(len(block))
            yield block

    monkeypatch.setattr(Recording, "blocks", counted)
    np.testing.assert_array_equal(recording[18:19].signal_uv(), expected_uv(4500, 250))
    np.testing.assert_array_equal(recording[3:4].signal_uv(), expected_uv(750, 250))
    assert 0 < sum(read) < 2 * 60_000 < recording.path.stat().st_size


@pytest.mark.parametrize("wrong", [slice(3, 1), slice(-2, 5), slice(0, 4, 2)])
def test_seconds_that_make_no_stretch_are_refused(tmp_path: Path, wrong: slice) -> None:
    recording = saved(tmp_path / "x.bfp", recorded(signal()))
    with pytest.raises((ValueError, TypeError), match="expected"):
        recording[wrong]
    with pytest.raises(TypeError, match="expected seconds"):
        recording[3]  # type: ignore[index]


def test_a_recording_that_grows_is_counted_anew(tmp_path: Path) -> None:
    path, wire = tmp_path / "x.bfp", signal(400)
    whole = recorded(wire)
    half = whole.rfind(b"\0", 0, len(whole) // 2) + 1
    recording = saved(path, whole[:half])
    before = recording.statistics.samples
    path.write_bytes(whole)
    assert 0 < before < recording.statistics.samples == 400


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
