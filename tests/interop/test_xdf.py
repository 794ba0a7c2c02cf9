"""XDF chunk by chunk: the same samples and times as pyxdf gives, whatever the file looks like, in constant memory."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyxdf
from scipy.optimize import least_squares

from bci.errors import RecordingError
from bci.interop import ImportOptions, export_signal, import_file, read_signal
from bci.interop._xdf_chunks import DTYPES, XdfFile
from bci.interop._xdf_clock import ClockMap, Lines, _line
from tests.interop.signals import all_counts, known

Data = Callable[[str], Path]
CLOSE_S = 1e-7  # of times, after both have fitted their lines
LOOSE_S = (
    1e-3  # where few offsets with an outlier among them hardly tell the line, and pyxdf ends its search early
)
EXAMPLES = ("clock_resets", "empty_streams", "minimal", "switch_example")


# ---- files made by hand ----


def length(n: int, width: int = 4) -> bytes:
    return bytes([width]) + n.to_bytes(width, "little")


def chunk(tag: int, content: bytes, stream: int | None = None, *, width: int = 4) -> bytes:
    body = struct.pack("<H", tag) + (b"" if stream is None else struct.pack("<I", stream)) + content
    return length(len(body), width) + body


def header(
    stream: int, kind: str, channels: int, rate: float, *, type_: str = "EEG", desc: str = ""
) -> bytes:
    text = (
        f'<?xml version="1.0"?><info><name>s{stream}</name><type>{type_}</type><channel_count>{channels}'
        f"</channel_count><nominal_srate>{rate}</nominal_srate><channel_format>{kind}</channel_format>"
        f"<desc>{desc}</desc></info>"
    )
    return chunk(2, text.encode(), stream)


def footer(stream: int, n: int | None) -> bytes:
    count = "" if n is None else f"<sample_count>{n}</sample_count>"
    return chunk(6, f"<info><first_timestamp>0</first_timestamp>{count}</info>".encode(), stream)


def offset(stream: int, at: float, value: float) -> bytes:
    return chunk(4, struct.pack("<dd", at, value), stream)


def samples(stream: int, stamps: Sequence[float | None], rows: Any, *, width: int = 4) -> bytes:
    """None: no time stamp. Rows of an array, or of texts."""
    parts = [length(len(stamps), width)]
    for stamp, row in zip(stamps, rows, strict=True):
        parts.append(b"\0" if stamp is None else struct.pack("<Bd", 8, stamp))
        parts += (
            [row.tobytes()]
            if isinstance(row, np.ndarray)
            else [length(len(w.encode()), 1) + w.encode() for w in row]
        )
    return chunk(3, b"".join(parts), stream)


def write(path: Path, *chunks: bytes) -> Path:
    path.write_bytes(b"XDF:" + chunk(1, b"<info><version>1.0</version></info>") + b"".join(chunks))
    return path


def some_file(path: Path, seed: int) -> Path:
    """Streams of every format, with stamps here and there, jitter, offsets with outliers, gaps and resets."""
    rng = np.random.default_rng(seed)
    chunks: list[bytes] = []
    heads: list[bytes] = []
    feet: list[bytes] = []
    for stream in range(int(rng.integers(1, 4))):
        kind = str(rng.choice([*DTYPES, "string"]))
        n_channels, rate = int(rng.integers(1, 6)), float(rng.choice([0.0, 100.0, 512.0]))
        heads.append(header(stream, kind, n_channels, rate))
        began = now = float(rng.uniform(0, 1e5))
        sent = 0
        for part in range(int(rng.integers(0, 6))):
            n = int(rng.integers(1, 400)) if kind != "string" else int(rng.integers(1, 20))
            step = 1 / rate if rate else 0.3
            exact = now + np.arange(n) * step * 1.001
            stamps: list[float | None] = (exact + rng.normal(0, 0.01, n)).tolist()
            if rate and rng.random() < 0.7:
                stamps[1:] = [None if rng.random() < 0.9 else s for s in stamps[1:]]
            if kind == "string":
                rows: Any = [[f"{part},{k},左{c}" for c in range(n_channels)] for k in range(n)]
            else:
                rows = (rng.normal(0, 50, (n, n_channels))).astype(DTYPES[kind])
            chunks.append(samples(stream, stamps, rows, width=int(rng.choice([4, 8]))))
            now, sent = float(exact[-1]) + step, sent + n
            if rng.random() < 0.3:
                now += float(rng.uniform(0.1, 20))
        for at in np.arange(began, now, 5.0) if rng.random() < 0.8 else ():
            late = 0.02 if rng.random() < 0.2 else 0.0  # one way took longer than the other
            chunks.append(offset(stream, at, 5 + 1e-4 * at + late + float(rng.normal(0, 5e-5))))
        feet.append(footer(stream, sent if rng.random() < 0.7 else None))
    return write(path, *heads, *chunks, *feet)


def same_as_pyxdf(path: Path, *, atol_s: float = CLOSE_S) -> None:
    theirs, _ = pyxdf.load_xdf(path)
    file = XdfFile(path)
    assert len(file.streams) == len(theirs)
    for stream, witness in zip(file.streams.values(), theirs, strict=True):
        clock, lines = ClockMap(stream.clock), Lines(stream.period_s)
        if stream.is_text:
            assert [list(words) for words in stream.texts] == list(witness["time_series"])
            stamps = [clock.apply(np.array(stream.stamps))]
        else:
            blocks = list(file.numbers(stream))
            values = np.concatenate([values for _, values in blocks]) if blocks else np.empty((0, 1))
            np.testing.assert_array_equal(values, witness["time_series"].reshape(values.shape))
            stamps = [clock.apply(stamps) for stamps, _ in blocks]
        if stream.rate_hz:
            for part in filter(len, stamps):
                lines.take(part)
            stretches = lines.finish()
            stamps = [stretch.stamps() for stretch in stretches]
            ends = [(s.first, s.first + s.n_samples - 1) for s in stretches]
            assert ends == witness["info"]["segments"]
        assert sum(map(len, stamps)) == len(witness["time_stamps"]) == stream.n_samples
        if stream.n_samples:
            np.testing.assert_allclose(np.concatenate(stamps), witness["time_stamps"], rtol=0, atol=atol_s)


@pytest.mark.parametrize("seed", range(12))
def test_a_file_made_by_hand_is_what_pyxdf_sees_in_it(tmp_path: Path, seed: int) -> None:
    same_as_pyxdf(some_file(tmp_path / "x.xdf", seed), atol_s=LOOSE_S)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(12, 120))
def test_many_files_made_by_hand_are_what_pyxdf_sees_in_them(tmp_path: Path, seed: int) -> None:
    same_as_pyxdf(some_file(tmp_path / "x.xdf", seed), atol_s=LOOSE_S)


def test_a_file_of_our_own_is_what_pyxdf_sees_in_it(tmp_path: Path) -> None:
    same_as_pyxdf(export_signal(known(), tmp_path / "x.xdf", to="xdf").path)


@pytest.mark.parametrize("name", [*(f"xdf_examples/{n}" for n in EXAMPLES), "tau_mi_xdf/subT_003"])
def test_real_files_are_what_pyxdf_sees_in_them(shared_data: Data, name: str) -> None:
    same_as_pyxdf(shared_data(f"{name}.xdf"))


@pytest.mark.parametrize("seed", range(8))
def test_the_line_through_clock_offsets_is_the_best_by_hubers_measure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = rng.uniform(0, 1e5) + np.arange(rng.integers(3, 30)) * 5.0
    late = np.where(rng.random(len(times)) < 0.2, 0.02, 0.0)
    values = 5 + 1e-4 * times + late + rng.normal(0, 5e-5, len(times))

    def cost(offset_s: float, slope: float) -> float:
        off = np.abs(values - offset_s - slope * times) / 1e-4
        return float(np.where(off <= 1, off**2 / 2, off - 0.5).sum())

    middle = times.mean()
    found = least_squares(
        lambda p: values - p[0] - p[1] * (times - middle),
        (values.mean(), 0.0), loss="huber", f_scale=1e-4, xtol=1e-15, ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    offset_s, slope = _line(times, values)
    assert cost(offset_s, slope) <= cost(found.x[0] - found.x[1] * middle, found.x[1]) * (1 + 1e-6)


def test_a_clock_that_was_set_anew_begins_a_new_line(tmp_path: Path) -> None:
    first, second = np.arange(0, 60, 5.0), np.arange(5000, 5060, 5.0)
    clock = [(t, 100.0) for t in first] + [(t, -4800.0) for t in second]
    stamps = np.r_[np.arange(0, 60, 0.01), np.arange(5000, 5060, 0.01)]
    rows = np.zeros((len(stamps), 1), np.int16)
    path = write(
        tmp_path / "x.xdf", header(1, "int16", 1, 100.0), samples(1, stamps.tolist(), rows),
        *(offset(1, *pair) for pair in clock), footer(1, len(stamps)),
    )  # fmt: skip
    same_as_pyxdf(path)
    assert read_signal(path).description.gaps == ((6000, 4000),)


def test_what_a_dying_stream_sends_behind_its_count_is_left_out(tmp_path: Path) -> None:
    rows = np.arange(1010, dtype=np.int16)[:, None]
    clock = [*((t, 3.0 + 1e-6 * t) for t in np.arange(0, 10, 1.0)), (1e9, -8e8)]
    path = write(
        tmp_path / "x.xdf", header(1, "int16", 1, 100.0),
        samples(1, [k / 100 for k in range(1010)], rows), *(offset(1, *pair) for pair in clock), footer(1, 1000),
    )  # fmt: skip
    same_as_pyxdf(path)
    assert read_signal(path).description.n_samples == 1000


# ---- as a signal ----


def eeg(path: Path, kind: str, rows: np.ndarray, *more: bytes, desc: str = "", rate: float = 100.0) -> Path:
    stamps = [0.0, *[None] * (len(rows) - 1)]
    return write(
        path, header(1, kind, rows.shape[1], rate, desc=desc), *more, samples(1, stamps, rows), footer(1, len(rows))
    )  # fmt: skip


def test_whole_numbers_stay_what_they_are(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(-(1 << 15), 1 << 15, (500, 3)).astype(np.int16)
    labels = "".join(f"<channel><label>{n}</label><unit>nV</unit></channel>" for n in ("C3", "Cz", "C4"))
    signal = read_signal(eeg(tmp_path / "x.xdf", "int16", rows, desc=f"<channels>{labels}</channels>"))
    np.testing.assert_array_equal(all_counts(signal), rows.T)
    assert [c.step for c in signal.description.channels] == [1e-3] * 3


def test_nan_holds_the_value_before_it_across_blocks_and_infinity_is_refused(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(0, 10, (40_000, 2)).astype(np.float32)
    rows[:3] = rows[16_380:16_400] = np.nan
    signal = read_signal(eeg(tmp_path / "x.xdf", "float32", rows))
    uv = all_counts(signal) * signal.description.steps
    np.testing.assert_allclose(uv[:, 16_380:16_400], np.tile(rows[16_379][:, None], 20), atol=1e-4)
    np.testing.assert_allclose(uv[:, :3], np.tile(rows[3][:, None], 3), atol=1e-4)
    rows[7, 1] = np.inf
    with pytest.raises(RecordingError, match="infinite"):
        read_signal(eeg(tmp_path / "y.xdf", "float32", rows))


def test_channels_that_are_left_out_are_named(tmp_path: Path) -> None:
    rows = np.tile(np.arange(300, dtype=np.float32)[:, None], 3)
    labels = "".join(
        f"<channel><label>{n}</label><unit>{u}</unit></channel>"
        for n, u in (("C3", "microvolts"), ("Temp", "degC"), ("TRIGGER", ""))
    )
    path = eeg(tmp_path / "x.xdf", "float32", rows, desc=f"<channels>{labels}</channels>")
    made = import_file(path, tmp_path / "x.bfp")
    assert (made.n_channels, made.losses) == (1, ("left out: Temp (degC), TRIGGER (uV)",))


def test_a_stream_of_no_rate_and_times_that_run_backwards_are_refused(tmp_path: Path) -> None:
    rows = np.zeros((50, 1), np.int16)
    with pytest.raises(RecordingError, match="states no rate"):
        read_signal(eeg(tmp_path / "x.xdf", "int16", rows, rate=0.0))
    stamps = [5 - k / 100 for k in range(50)]
    path = write(tmp_path / "y.xdf", header(1, "int16", 1, 100.0), samples(1, stamps, rows), footer(1, 50))
    with pytest.raises(RecordingError, match="runs backwards"):
        read_signal(path)


# ---- cut, damaged, large ----


def test_a_cut_file_gives_its_whole_chunks_as_pyxdf_does_and_is_refused_as_a_signal(tmp_path: Path) -> None:
    whole = export_signal(known(), tmp_path / "x.xdf", to="xdf").path.read_bytes()
    path = tmp_path / "cut.xdf"
    for keep in np.linspace(40, len(whole) - 1, 40).astype(int).tolist():
        path.write_bytes(whole[:keep])
        with pytest.raises(RecordingError, match="cut"):
            read_signal(path)
        file = XdfFile(path)
        assert 0 < file.broken_at < keep
        path.write_bytes(whole[: file.broken_at])
        assert XdfFile(path).broken_at == -1
        same_as_pyxdf(path)


def test_a_cut_file_is_salvaged_to_the_samples_and_markers_that_pyxdf_finds_in_it(tmp_path: Path) -> None:
    rows = np.arange(1000, dtype=np.int16).reshape(500, 2)
    blocks = [samples(1, [5 + k / 100, *[None] * 49], rows[k : k + 50]) for k in range(0, 500, 50)]
    marks = [samples(2, [5 + k / 100], [["cue"]]) for k in range(10, 500, 50)]
    between = [part for pair in zip(blocks, marks, strict=True) for part in pair]
    whole = write(
        tmp_path / "x.xdf",
        header(1, "int16", 2, 100.0), header(2, "string", 1, 0.0, type_="Markers"),
        *between, footer(1, 500), footer(2, 10),
    ).read_bytes()  # fmt: skip
    path = tmp_path / "cut.xdf"
    for share in (0.4, 0.6, 0.8, 0.9):  # within numbers; pyxdf takes a part of a text for a text
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(RecordingError, match="--salvage"):
            read_signal(path)
        salvaged = read_signal(path, options=ImportOptions(salvage=True))
        streams, _ = pyxdf.load_xdf(path)
        values, words = (
            next(s for s in streams if s["info"]["type"] == [kind]) for kind in ("EEG", "Markers")
        )
        np.testing.assert_array_equal(all_counts(salvaged), np.array(values["time_series"]).T)
        said = salvaged.description.events
        assert [e.sample for e in said] == [round((t - 5) * 100) for t in words["time_stamps"]]
        (note,) = salvaged.description.notes["assumed"]
        assert "was cut" in note
    own = export_signal(known(), tmp_path / "own.xdf", to="xdf").path
    own.write_bytes(own.read_bytes()[:-100])
    for salvage in (False, True):
        with pytest.raises(RecordingError, match="marks at its end are gone; export it again"):
            read_signal(own, options=ImportOptions(salvage=salvage))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"XDG:", "no XDF"),
        (b"XDF:" + chunk(2, b"<info", 1), "byte 15 cannot be read"),
        (b"XDF:" + header(1, "float16", 1, 100.0), "float16"),
        (b"XDF:" + header(1, "int16", 1, float("nan")), "1 channels at nan Hz"),
        (b"XDF:" + samples(9, [0.0], np.zeros((1, 1))), "cannot be read"),
        (b"XDF:" + header(1, "int16", 2, 100.0) + chunk(3, length(5) + bytes(12), 1) + footer(1, 5), "do not fill it"),
        (b"XDF:" + header(1, "int16", 2, 100.0) + chunk(3, length(3) + b"\3" * 15, 1) + footer(1, 3), "do not fill it"),
        (b"XDF:" + header(1, "string", 1, 0.0) + chunk(3, length(1) + struct.pack("<BdBB", 8, 0, 1, 9), 1), "beyond"),
        (b"XDF:\x07", "cut"),
    ],
)  # fmt: skip
def test_a_damaged_file_says_where(tmp_path: Path, broken: bytes, said: str) -> None:
    path = tmp_path / "x.xdf"
    path.write_bytes(broken)
    with pytest.raises(RecordingError, match=said) as caught:
        all_counts(read_signal(path))
    assert caught.value.path == path


def peak_bytes(path: Path) -> int:
    """Most memory at once of reading a file twice, as an import does."""
    tracemalloc.start()
    for _ in read_signal(path).pieces():
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("n_chunks", [1, 200])
def test_memory_does_not_grow_with_the_file_nor_with_its_chunks(tmp_path: Path, n_chunks: int) -> None:
    def made(name: str, n: int) -> Path:
        block = np.zeros(n, np.dtype([("stamped", "u1"), ("values", "<f4", (32,))]))
        block["values"] = np.arange(n)[:, None] % 1000
        parts = [chunk(3, length(len(p)) + p.tobytes(), 1) for p in np.array_split(block, n_chunks)]
        return write(tmp_path / name, header(1, "float32", 32, 1000.0), *parts, footer(1, n))

    small, large = made("s.xdf", 60_000), made("l.xdf", 240_000)
    assert large.stat().st_size > 3.9 * small.stat().st_size > 30e6
    peak_bytes(small)  # loads and compiles
    assert peak_bytes(large) < 1.05 * peak_bytes(small) < 40e6


def test_a_chunk_of_ten_gigabytes_is_looked_at_by_its_head_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "x.xdf", header(1, "double64", 64, 1000.0))
    n = 10_000_000_000 // 513
    begin = path.stat().st_size
    head = length(6 + 9 + 513 * n, 8) + struct.pack("<HI", 3, 1) + length(n, 8)
    path.write_bytes(path.read_bytes() + head)
    with path.open("r+b") as file:
        file.truncate(begin + len(head) + 513 * n)  # sparse: takes no room
    file_ = XdfFile(path)
    (stream,) = file_.streams.values()
    assert (stream.n_samples, file_.broken_at) == (n, -1)
    stamps, values = next(iter(file_.numbers(stream)))
    assert values.shape == (len(stamps), 64)
    assert values.nbytes <= 8 << 20
    with pytest.raises(RecordingError, match="its EEG stream has no end"):
        read_signal(path, options=ImportOptions())
