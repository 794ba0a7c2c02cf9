"""Model files: the same bits back, refusals by name, nothing hostile gets further than `ModelFileError`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bci.chunks import SignalInfo
from bci.errors import DesignError, ModelFileError, MontageMismatchError, RateMismatchError, ShapeError
from bci.pipeline import Model, OnlinePipeline, Run, load_model, model_digest, save_model
from bci.pipeline.model_file import _digest
from tests.pipeline.synthetic import CHANNELS, INFO


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "user.model"
    save_model(model, path)
    return path


def parts(file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    with safe_open(file, framework="np") as opened:
        return dict(opened.metadata()), load_file(file)


def forge(file: Path, target: Path, *, arrays: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A file with other contents and a correct hash, as someone hostile would write it."""
    header, old = parts(file)
    meta = json.loads(header["model"])
    for key, value in changes.items():
        *way, last = key.split("__")
        place = meta
        for step in way:
            place = place[step]
        place[last] = value
    header["model"] = json.dumps(meta)
    arrays = old if arrays is None else arrays
    header["sha256"] = _digest(header["model"].encode(), arrays)
    save_file(arrays, target, metadata=header)
    return target


def test_a_model_comes_back_with_the_same_bits_and_decides_the_same(
    model: Model, file: Path, runs: list[Run]
) -> None:
    again = load_model(file, info=INFO)
    assert model_digest(again) == model_digest(model)
    assert again.chain.sos.tobytes() == model.chain.sos.tobytes()
    assert (again.policy, again.timing, again.validation, again.training) == (
        model.policy,
        model.timing,
        model.validation,
        model.training,
    )
    first, second = OnlinePipeline(model, INFO), OnlinePipeline(again, INFO)
    for chunk in runs[3].chunks:
        assert first.step(chunk) == second.step(chunk)


def test_a_model_says_what_it_leaves_out_and_decides_as_if_that_were_not_there(
    model: Model, runs: list[Run], tmp_path: Path
) -> None:
    """Whether the stream has the electrode or not, and whatever it shows; models without one keep their digest."""
    assert b"left_out" not in parts_of_meta(model)
    less = replace(model, chain=replace(model.chain, left_out=("T9",)))
    assert model_digest(less) != model_digest(model)
    path = tmp_path / "less"
    save_model(less, path)
    wide = replace(INFO, channels=(CHANNELS[0], "T9", *CHANNELS[1:]))
    assert load_model(path, info=wide).chain.left_out == ("T9",)
    assert load_model(path, info=INFO).chain.channels == CHANNELS
    with pytest.raises(MontageMismatchError, match="T10"):
        load_model(path, info=replace(wide, channels=(*wide.channels, "T10")))
    first, second = OnlinePipeline(less, wide), OnlinePipeline(model, INFO)
    for chunk in runs[3].chunks:
        noisy = np.insert(chunk.data_uv, 1, 1e5, axis=0)
        assert first.step(replace(chunk, data_uv=noisy)) == second.step(chunk)
    with pytest.raises(ShapeError, match=f"expected {wide.n_channels} channels"):
        first.step(runs[3].chunks[0])
    with pytest.raises(DesignError, match="taken and left out"):
        replace(model.chain, left_out=CHANNELS[:1])


def parts_of_meta(model: Model) -> bytes:
    from bci.pipeline.model_file import _meta_of

    return _meta_of(model)


def test_a_model_without_motor_channels_comes_back_too(model: Model, tmp_path: Path) -> None:
    bare = replace(model, motor=None, motor_channels=())
    assert save_model(bare, tmp_path / "bare.model") == model_digest(load_model(tmp_path / "bare.model"))


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")
def test_only_its_owner_may_read_a_model(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_another_montage_or_rate_is_refused_at_loading(file: Path) -> None:
    with pytest.raises(MontageMismatchError):
        load_model(file, info=SignalInfo(CHANNELS[:-1], Fraction(125)))
    with pytest.raises(RateMismatchError):
        load_model(file, info=SignalInfo(CHANNELS, Fraction(250)))


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_bit_goes_unnoticed(
    model: Model, file: Path, tmp_path: Path, place: float, bit: int
) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    flipped = tmp_path / "flipped.model"
    flipped.write_bytes(content)
    try:
        again = load_model(flipped)
    except ModelFileError:
        return
    assert model_digest(again) == model_digest(model)  # the bit stood in padding that carries nothing


@pytest.mark.parametrize("keep", [0, 7, 8, 200, -1])
def test_a_cut_file_is_refused(file: Path, tmp_path: Path, keep: int) -> None:
    cut = tmp_path / "cut.model"
    cut.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelFileError):
        load_model(cut)


def test_what_is_no_model_file_is_refused_with_the_path(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a model")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weights": np.zeros(3)}, foreign)
    large = tmp_path / "large.model"
    with large.open("wb") as sparse:
        sparse.truncate(65 * 1024 * 1024)
    for path in (text, foreign, large, tmp_path, tmp_path / "missing.model"):
        with pytest.raises(ModelFileError, match=path.name) as caught:
            load_model(path)
        assert caught.value.path == path


def test_a_model_that_cannot_be_written_is_said_so(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot write"):
        save_model(model, tmp_path / "no" / "such" / "folder.model")


def test_another_schema_is_refused_by_its_number(file: Path, tmp_path: Path) -> None:
    header, arrays = parts(file)
    save_file(arrays, tmp_path / "new.model", metadata=header | {"schema": "1"})
    with pytest.raises(ModelFileError, match=r"schema '1'.*reads 2"):
        load_model(tmp_path / "new.model")


@pytest.mark.parametrize(
    "changes",
    [
        {"chain__rate": [125, 0]},
        {"chain__rate": [-125, 1]},
        {"chain__rate": [10**12, 1]},
        {"chain__channels": ["C3", "Cz"]},
        {"chain__channels": "C3"},
        {"timing__window_samples": 10**12},
        {"timing__step_samples": 0},
        {"timing__step_samples": 11},
        {"timing__cue_window_s": [3.5, 0.5]},
        {"cued__classes": ["grasp"]},
        {"cued__temperature": -1.0},
        {"cued__temperature": None},
        {"cued__views": []},
        {"cued__views": [{"band": 99}]},
        {"asynchronous__views": [{"band": 0, "start": 0.5}]},
        {"cued__clip": -1.0},
        {"cued_adaptation": {"prior": 0.0}},
        {"chain__bands_hz": [[8.0, 30.0]]},
        {"motor": None},
        {"motor_channels": ["C3", "Cz", "C4", "Oz"]},
        {"asynchronous": None},
        {"asynchronous__classes": ["grasp", "grasp"]},
        {"asynchronous__classes": ["grasp", "release"]},
        {"policy__threshold": "high"},
        {"policy__release": 1e9},
        {"validation__low": "0.9"},
        {"unknown": 1},
        {"training__trials": {"grasp": []}},
    ],
)
def test_contents_that_make_no_model_are_refused_although_the_hash_is_right(
    file: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ModelFileError, match="usable model"):
        load_model(forge(file, tmp_path / "forged.model", **changes))


def test_deeply_nested_json_is_refused(file: Path, tmp_path: Path) -> None:
    header, arrays = parts(file)
    header["model"] = "[" * 200_000
    header["sha256"] = _digest(header["model"].encode(), arrays)
    save_file(arrays, tmp_path / "deep.model", metadata=header)
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "deep.model")


def test_arrays_that_make_no_model_are_refused_although_the_hash_is_right(file: Path, tmp_path: Path) -> None:
    _, arrays = parts(file)
    unstable = arrays["chain.sos"].copy()
    unstable[0, 0, 5] = 1.5
    bad = [
        {k: v for k, v in arrays.items() if k != "cued.bias"},
        arrays | {"more": np.zeros(2)},
        arrays | {"cued.bias": np.array([np.nan, 0.0])},
        arrays | {"cued.bias": np.zeros(2, dtype=np.float32)},
        arrays | {"cued.weights": arrays["cued.weights"][:, :, :4].copy()},
        arrays | {"cued.whitening": np.zeros(5)},
        arrays | {"cued.shares": 2.0 * arrays["cued.shares"]},
        arrays | {"cued.offsets": np.zeros(3)},
        arrays | {"cued.knots": np.zeros((2, 2, 3))},
        arrays
        | {
            "asynchronous.whitening": arrays["asynchronous.whitening"][:, :4, :4].copy(),
            "asynchronous.weights": arrays["asynchronous.weights"][:, :, :4, :4].copy(),
        },
        arrays | {"chain.sos": unstable},
        arrays | {"chain.sos": np.zeros((2, 5))},
    ]
    for i, content in enumerate(bad):
        with pytest.raises(ModelFileError, match="usable model"):
            load_model(forge(file, tmp_path / f"forged{i}.model", arrays=content))


def test_loading_for_control_needs_neither_training_nor_design_libraries(file: Path) -> None:
    code = (
        "import sys\n"
        "from bci.chunks import SignalInfo\n"
        "from bci.pipeline import OnlinePipeline, load_model\n"
        f"model = load_model({str(file)!r})\n"
        "OnlinePipeline(model, SignalInfo(model.chain.channels, model.chain.rate))\n"
        "heavy = ('scipy.signal', 'scipy.stats', 'sklearn', 'mne', 'matplotlib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
