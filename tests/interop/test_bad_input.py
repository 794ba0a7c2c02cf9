"""What cannot be converted is refused with the next step, and nothing half done stays behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import edfio
import numpy as np
import pytest

from bci.errors import ExportError, MontageMismatchError, RateMismatchError, RecordingError
from bci.interop import (
    ExportOptions,
    ImportOptions,
    RecordedSignal,
    export_signal,
    import_file,
    read_signal,
)
from bci.interop._edf_header import read_edf_file
from bci.interop._edf_reader import EdfRecording
from firmware_protocol import DeviceConfig, Opcode
from tests.acquisition.boards import CHANNELS, stream
from tests.acquisition.test_assembler import command, started
from tests.acquisition.test_recording import recorded
from tests.interop.signals import all_counts, known

Data = Callable[[str], Path]
FORMATS = ("bdf", "edf", "xdf", "fif", "csv", "bids")


def only(folder: Path, *names: str) -> bool:
    return sorted(p.name for p in folder.iterdir()) == sorted(names)


# ---- targets ----


@pytest.mark.parametrize("name", FORMATS)
def test_an_existing_target_is_never_overwritten_unasked(tmp_path: Path, name: str) -> None:
    target = tmp_path / f"x.{name}"
    target.write_bytes(b"precious")
    with pytest.raises(ExportError, match=r"exists already"):
        export_signal(known(), target, to=name)
    assert target.read_bytes() == b"precious"
    assert only(tmp_path, target.name)
    if name != "bids":
        export_signal(known(), target, to=name, force=True)
        assert all_counts(read_signal(target)).shape == (6, 2100)
        with pytest.raises(ExportError, match="--force"):
            import_file(target, target)


def test_a_data_set_takes_further_subjects_and_keeps_what_it_has(tmp_path: Path) -> None:
    root = tmp_path / "ds"
    for subject in ("01", "02"):
        export_signal(known(), root, to="bids", options=ExportOptions(subject=subject))
    (root / "README").write_text("my own words", encoding="utf-8")
    with pytest.raises(ExportError, match="choose another --subject"):
        export_signal(known(), root, to="bids", options=ExportOptions(subject="02"))
    export_signal(known(), root, to="bids", options=ExportOptions(subject="02"), force=True)
    rows = (root / "participants.tsv").read_text(encoding="utf-8-sig").splitlines()
    assert [row.split("\t")[0] for row in rows] == ["participant_id", "sub-01", "sub-02"]
    assert (root / "README").read_text(encoding="utf-8") == "my own words"
    for wrong in ("S-1", "受试者"):
        with pytest.raises(ExportError, match="BIDS label"):
            export_signal(known(), tmp_path / "other", to="bids", options=ExportOptions(subject=wrong))
    assert only(tmp_path, "ds")


@pytest.mark.parametrize("name", FORMATS)
def test_a_conversion_that_fails_midway_leaves_nothing(tmp_path: Path, name: str) -> None:
    signal = known()

    class Fails:
        path, description = signal.path, signal.description

        def pieces(self):  # type: ignore[no-untyped-def]
            yield signal.counts[:, :1000]
            raise RecordingError("the disk was pulled out", path=signal.path)

    with pytest.raises(RecordingError, match="pulled out"):
        export_signal(Fails(), tmp_path / f"x.{name}", to=name)
    assert only(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_ctrl_c_midway_leaves_nothing(tmp_path: Path, name: str) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_signal(known(), tmp_path / f"x.{name}", to=name, progress=interrupted)
    assert only(tmp_path)


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)  # as it is for everybody but root
    with pytest.raises(ExportError, match=r"Permission denied.*may write to"):
        export_signal(known(), tmp_path / "x.bdf", to="bdf")
    assert only(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="folder that exists"):
        export_signal(known(), tmp_path / "nowhere" / "x.bdf", to="bdf")
    with pytest.raises(RecordingError, match=r"no format 'mp3'.*bdf, edf"):
        export_signal(known(), tmp_path / "x.mp3", to="mp3")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bci.interop import _edfplus

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_edfplus, "_record_bytes", full)
    with pytest.raises(ExportError, match="No space left"):
        export_signal(known(), tmp_path / "x.bdf", to="bdf")
    assert only(tmp_path)


def test_names_in_chinese_are_no_obstacle(tmp_path: Path) -> None:
    target = tmp_path / "张三 的记录.bdf"
    made = export_signal(known(), target, to="bdf")
    assert made.losses == ("names in the header are ASCII of 16 characters: 左手 → EMG __, EOG左 → EOG EOG_",)
    import_file(target, tmp_path / "回.bfp")
    assert RecordedSignal(tmp_path / "回.bfp").description.names == known().description.names


# ---- recordings that are no one signal ----


def test_a_rate_that_changes_is_refused_with_the_part_that_can_be_had(tmp_path: Path) -> None:
    device, wire = started()
    wire += stream(device, 400)
    wire += command(device, Opcode.STOP, at_us=1_700_000, request_id=2)
    rate = (500).to_bytes(4, "little") + (1).to_bytes(4, "little")
    wire += command(device, Opcode.SET_RATE, rate, at_us=1_800_000, request_id=3)
    wire += command(device, Opcode.START, (0).to_bytes(4, "little"), at_us=1_900_000, request_id=4)
    wire += stream(device, 400, at_us=2_000_000)
    (tmp_path / "x.bfp").write_bytes(recorded(wire))
    with pytest.raises(RateMismatchError, match=r"from 250 to 500 Hz.*--end 1\.6"):
        export_signal(RecordedSignal(tmp_path / "x.bfp"), tmp_path / "y.bdf", to="bdf")
    part = RecordedSignal(tmp_path / "x.bfp", stop_s=1.6)
    assert export_signal(part, tmp_path / "y.bdf", to="bdf").n_samples == 400


def test_a_gain_that_becomes_finer_is_refused(tmp_path: Path) -> None:
    device, wire = started(DeviceConfig(labels=CHANNELS, has_status=False, samples_per_frame=4))
    gains = {12: bytes([255, 12, 0, 1]), 24: bytes([255, 24, 0, 1])}
    wire += command(device, Opcode.SET_CHANNEL, gains[12], at_us=0, request_id=2)
    wire += stream(device, 400)
    wire += command(device, Opcode.SET_CHANNEL, gains[24], at_us=1_700_000, request_id=3)
    wire += stream(device, 400, at_us=1_700_000)
    (tmp_path / "x.bfp").write_bytes(recorded(wire))
    with pytest.raises(RecordingError, match=r"gain changes 1\.6 s.*--end 1\.6"):
        export_signal(RecordedSignal(tmp_path / "x.bfp"), tmp_path / "y.bdf", to="bdf")
    assert only(tmp_path, "x.bfp")


def test_a_recording_without_a_sample_is_refused(tmp_path: Path) -> None:
    _, wire = started()
    (tmp_path / "x.bfp").write_bytes(recorded(wire))
    with pytest.raises(RecordingError, match="no sample of signal"):
        export_signal(RecordedSignal(tmp_path / "x.bfp"), tmp_path / "y.bdf", to="bdf")


# ---- files of other systems ----


def edf_of(path: Path, signals: list[tuple[str, str, int]], *, seconds: int = 10, **more: object) -> Path:
    """(label, unit, rate) each; the codes count up."""
    rows = [
        edfio.EdfSignal.from_digital(
            (np.arange(rate * seconds) % 2000 - 1000).astype(np.int16), rate, label=label, physical_dimension=unit,
            physical_range=(-3276.8, 3276.7),
        )
        for label, unit, rate in signals
    ]  # fmt: skip
    edfio.Edf(rows, **more).write(path)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("unit", "step"), [("uV", 0.1), ("", 0.1), ("mV", 100.0), ("nV", 1e-4), ("V", 1e5), ("microV", None)]
)
def test_each_spelling_of_a_unit_is_understood_or_asked_about(
    tmp_path: Path, unit: str, step: float | None
) -> None:
    path = edf_of(tmp_path / "x.edf", [("C3", "uV", 100)])
    raw = bytearray(path.read_bytes())
    n = int(raw[252:256])
    raw[256 + 96 * n : 256 + 96 * n + 8] = unit.encode().ljust(8)
    path.write_bytes(raw)
    if step is None:
        with pytest.raises(RecordingError, match=r"units are 'microV'.*--unit.*--aux"):
            read_signal(path)
        assert read_signal(path, options=ImportOptions(unit="uV")).description.channels[
            0
        ].step == pytest.approx(0.1)
        return
    assert read_signal(path).description.channels[0].step == pytest.approx(step)


@pytest.mark.parametrize("unit", ["\xb5V", "μV"])
def test_micro_signs_of_every_code_page_are_microvolts(tmp_path: Path, unit: str) -> None:
    path = edf_of(tmp_path / "x.edf", [("C3", "uV", 100)])
    raw = bytearray(path.read_bytes())
    n = int(raw[252:256])
    raw[256 + 96 * n : 256 + 96 * n + 8] = (
        unit.encode("latin-1") if unit == "\xb5V" else unit.encode()
    ).ljust(8)
    path.write_bytes(raw)
    assert read_signal(path).description.channels[0].unit == "uV"


def test_channels_are_typed_and_what_is_no_voltage_is_left_out_with_a_word(tmp_path: Path) -> None:
    path = edf_of(
        tmp_path / "x.edf",
        [
            ("EEG C3-Ref", "uV", 100), ("EOG left", "uV", 100), ("EKG", "mV", 100), ("Temp", "degC", 100),
            ("SpO2", "%", 1),
        ],
    )  # fmt: skip
    made = import_file(path, tmp_path / "x.bfp")
    assert made.losses == ("left out: SpO2 (1 Hz), Temp (degC)",)
    kinds = {c.name: (c.kind, c.unit) for c in RecordedSignal(tmp_path / "x.bfp").description.channels}
    assert kinds == {"C3": ("eeg", "uV"), "left": ("eog", "uV"), "EKG": ("ecg", "uV")}
    import_file(path, tmp_path / "y.bfp", options=ImportOptions(aux=True))
    assert RecordedSignal(tmp_path / "y.bfp").description.channels[3].unit == "degC"


def test_channels_without_a_name_and_with_the_same_get_one(tmp_path: Path) -> None:
    path = edf_of(tmp_path / "x.edf", [("", "uV", 100), ("C3", "uV", 100), ("C3", "uV", 100)])
    assert read_signal(path).description.names == ("Ch1", "C3", "C3_2")
    bare = edf_of(tmp_path / "y.edf", [("", "uV", 100), ("", "uV", 100)])
    named = read_signal(bare, options=ImportOptions(channels=("Cz", "Pz")))
    assert named.description.names == ("Cz", "Pz")
    with pytest.raises(MontageMismatchError, match="no channel O1; it has Ch1, C3, C3_2"):
        read_signal(path, options=ImportOptions(channels=("O1",)))


def test_marks_outside_the_signal_and_longer_than_a_packet_do_not_stop_an_import(tmp_path: Path) -> None:
    marks = [
        (-0.5, 1.0, "before"),
        (-9.0, 1.0, "long before"),
        (2.0, None, "手" * 300),
        (1e12, None, "after"),
    ]
    notes = [edfio.EdfAnnotation(*mark) for mark in marks]
    path = edf_of(tmp_path / "x.edf", [("C3", "uV", 100)], annotations=notes)
    made = import_file(path, tmp_path / "x.bfp")
    assert made.losses == ("texts of markers have 611 bytes: 1 of them are cut",)
    events = RecordedSignal(tmp_path / "x.bfp").description.events
    assert [(e.sample, e.n_samples, e.text) for e in events] == [
        (0, 50, "before"),
        (0, 0, "long before"),
        (200, 0, "手" * 203),
        (10**14, 0, "after"),
    ]


def test_a_discontinuous_edf_becomes_a_recording_with_gaps(tmp_path: Path) -> None:
    path = edf_of(
        tmp_path / "x.edf",
        [("C3", "uV", 100)],
        annotations=[edfio.EdfAnnotation(5.0, None, "a text that makes room for others")],
        data_record_duration=1,
    )
    raw = bytearray(path.read_bytes())
    raw[192:197] = b"EDF+D"
    n_signals, header = int(raw[252:256]), int(raw[184:192])
    # of the annotations, the second signal
    room = 2 * int(raw[256 + 216 * n_signals + 8 : 256 + 216 * n_signals + 16])
    for k in range(10):  # all from the fifth second on came two and a half seconds later
        said = b"+%.1f\x14\x14\x00" % (k + 2.5 * (k >= 4)) + (
            b"+7.5\x151\x14right\x14\x00" if k == 5 else b""
        )
        end = header + (k + 1) * (200 + room)
        raw[end - room : end] = said.ljust(room, b"\0")
    path.write_bytes(raw)
    signal = read_signal(path)
    assert signal.description.gaps == ((400, 250),)
    assert signal.description.n_samples == 1250
    counts = all_counts(signal)
    codes = np.arange(1000) % 2000 - 1000
    np.testing.assert_array_equal(counts[0, :400], codes[:400])
    np.testing.assert_array_equal(counts[0, 650:], codes[400:])
    assert (counts[0, 400:650] == codes[399]).all()
    made = import_file(path, tmp_path / "x.bfp")
    assert (made.n_gaps, made.samples_lost) == (1, 250)
    assert ("right", 750) in {(e.text, e.sample) for e in signal.description.events}


@pytest.mark.parametrize("suffix", ["edf", "bdf", "xdf", "fif", "csv"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"x.{suffix}"
    export_signal(known(), path, to=suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(RecordingError) as caught:
        import_file(path, tmp_path / "y.bfp")
    assert caught.value.path == path
    assert only(tmp_path, path.name)


@pytest.mark.parametrize("suffix", ["edf", "bdf", "csv"])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_what_is_whole_of_a_cut_file_is_taken_when_asked_for(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"x.{suffix}"
    signal = known()
    export_signal(signal, path, to=suffix)
    whole_counts, whole = all_counts(read_signal(path)), read_signal(path).description
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RecordingError, match="--salvage"):
        read_signal(path)
    salvaged = read_signal(path, options=ImportOptions(salvage=True))
    about = salvaged.description
    n = about.n_samples
    assert 0.3 * share < n / whole.n_samples < share + 0.02
    np.testing.assert_array_equal(all_counts(salvaged), whole_counts[:, :n])
    assert all(at + lost <= n for at, lost in about.gaps)
    assert {e for e in about.events if e.text != "BAD_ACQ_SKIP"} <= set(whole.events)
    made = import_file(path, tmp_path / "y.bfp", options=ImportOptions(salvage=True))
    assert "the file was cut" in made.losses[0]
    assert (made.n_samples, made.n_gaps) == (n, len(about.gaps))
    path.write_bytes(content[: int(len(content) * 0.001)])
    with pytest.raises(RecordingError):
        read_signal(path, options=ImportOptions(salvage=True))


def test_files_of_no_known_format_are_refused_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(b"hello")
    with pytest.raises(RecordingError, match=r"--from.*BDF\+.*XDF"):
        import_file(tmp_path / "x.dat", tmp_path / "y.bfp")
    with pytest.raises(RecordingError, match="name one file"):
        import_file(tmp_path, tmp_path / "y.bfp")
    with pytest.raises(RecordingError, match="check name and folder"):
        import_file(tmp_path / "nowhere.edf", tmp_path / "y.bfp")
    for suffix in ("edf", "bdf", "gdf", "fif", "xdf", "vhdr", "set"):
        path = tmp_path / f"notes.{suffix}"
        path.write_text("meeting at nine\n" * 50)
        with pytest.raises(RecordingError, match="notes"):
            import_file(path, tmp_path / "y.bfp")


def test_a_unit_that_cannot_be_right_is_told(shared_data: Data, tmp_path: Path) -> None:
    path = shared_data("ssvep_exo/subject01/record-[2012.07.06-19.02.16].gdf")
    assert "--unit" in import_file(path, tmp_path / "x.bfp").losses[0]
    assert import_file(path, tmp_path / "y.bfp", options=ImportOptions(unit="mV")).losses == ()


def test_more_channels_than_a_recording_holds_are_a_choice(shared_data: Data, tmp_path: Path) -> None:
    path = shared_data("edf_bdf_reference/EDF/test_reduced.edf")
    with pytest.raises(RecordingError, match="1 to 64; choose some with --channels"):
        import_file(path, tmp_path / "x.bfp")
    names = read_signal(path).description.names[:3]
    assert import_file(path, tmp_path / "x.bfp", options=ImportOptions(channels=names)).n_channels == 3


def test_a_file_of_ten_gigabytes_is_looked_at_by_its_header_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = edf_of(tmp_path / "x.edf", [(f"C{k}", "uV", 100) for k in range(8)], seconds=1)
    head = bytearray(path.read_bytes())
    record = len(head) - int(head[184:192])
    n_records = 10_000_000_000 // record
    head[236:244] = str(n_records).ljust(8).encode()
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(int(head[184:192]) + n_records * record)  # sparse: takes no room
    read: list[int] = []
    blocks = EdfRecording._blocks

    def counted(self: EdfRecording, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        for first, block in blocks(self, stop):
            read.append(block.nbytes)
            yield first, block

    monkeypatch.setattr(EdfRecording, "_blocks", counted)
    found = read_edf_file(path)
    signal = read_signal(path)
    with pytest.raises(MontageMismatchError):
        read_signal(path, options=ImportOptions(channels=("nowhere",)))
    assert sum(read) <= 2 * record  # where a file of our own has its facts
    assert (found.n_records, path.stat().st_size >= 9_999_000_000) == (n_records, True)
    first = next(iter(signal._blocks()))[1]  # type: ignore[attr-defined]
    assert first.nbytes <= 4 << 20
    cut = path.stat().st_size - 1
    with path.open("r+b") as file:
        file.truncate(cut)
    with pytest.raises(RecordingError, match="was cut"):
        read_signal(path)
