"""What every streaming stage promises: typed refusals that leave no trace, reset, state and restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bci.chunks import Chunk
from bci.dsp import (
    ArtefactDetector,
    ExponentialCovariance,
    EyeFilter,
    GapPolicy,
    LogBandPower,
    QualityWatch,
    RiemannianPotato,
    covariances,
    design_bandpass,
)
from bci.errors import NonFiniteError, ShapeError
from tests.dsp.signals import FS, eeg
from tests.dsp.test_any_cut import NUMBERED, STREAMS

N = 300
BAND = design_bandpass(8, 30, fs_hz=FS)

#: Everything with process, reset, state and restore; a call of process on samples numbered from `first`.
STAGES: dict[str, tuple[Callable[[int], Any], Callable[[Any, np.ndarray, int], Any]]] = {
    **{k: (make, lambda stage, x, first: stage.process(x)) for k, make in STREAMS.items()},
    **{k: (make, lambda stage, x, first: stage.process(x, first)) for k, make in NUMBERED.items()},
    "artefacts": (lambda n: ArtefactDetector(n, fs_hz=FS), lambda stage, x, first: stage.process(x, first)),
    "eyes": (lambda n: EyeFilter(0.5 * np.eye(n), fs_hz=FS), lambda stage, x, first: stage.process(x, first)),
    "exponential covariance": (
        lambda n: ExponentialCovariance(n, time_constant_samples=50),
        lambda stage, x, first: stage.process(x),
    ),
    "log band power": (
        lambda n: LogBandPower(BAND, n_channels=n, time_constant_samples=50),
        lambda stage, x, first: stage.process(x),
    ),
    "gaps": (
        lambda n: GapPolicy(n, fs_hz=FS),
        lambda stage, x, first: stage.process(Chunk(x, first_sample=first)),
    ),
    "quality": (
        lambda n: QualityWatch(n, fs_hz=FS),
        lambda stage, x, first: (stage.process(x, first), stage.look()),
    ),
}
TAKE_NAN = ("gaps", "quality")  # made for signals with holes


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.tobytes() == b.tobytes()
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same(p, q) for p, q in zip(a, b, strict=True))
    if hasattr(a, "data_uv"):
        return _same(a.data_uv, b.data_uv) and (a.reset, a.marks) == (b.reset, b.marks)
    return bool(a == b)


def _bits(state: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: np.asarray(value).tobytes() for name, value in state.items()}


@pytest.mark.parametrize("name", [n for n in STAGES if n not in TAKE_NAN])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_and_leaves_no_trace(name: str, bad: float) -> None:
    make, process = STAGES[name]
    x = eeg(5, N)
    poisoned = x[:, 100:150].copy(order="F")
    poisoned[3, 17] = bad
    stage, other = make(5), make(5)
    if hasattr(stage, "taps"):
        other = type(stage)(stage.taps, n_channels=5)
    process(stage, x[:, :100], 0), process(other, x[:, :100], 0)
    with pytest.raises(NonFiniteError, match=r"NaN|finite"):
        process(stage, poisoned, 100)
    assert _same(process(stage, x[:, 100:], 100), process(other, x[:, 100:], 100))


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("shape", [(4, 10), (6, 10), (5,), (2, 5, 3)])
def test_another_shape_is_refused_and_leaves_no_trace(name: str, shape: tuple[int, ...]) -> None:
    make, process = STAGES[name]
    x = eeg(5, N)
    stage = make(5)
    process(stage, x[:, :100], 0)
    before = _bits(stage.state())
    with pytest.raises(ShapeError):
        process(stage, np.zeros(shape), 100)
    assert _bits(stage.state()) == before


@pytest.mark.parametrize("name", STAGES)
def test_reset_forgets_and_restore_remembers(name: str) -> None:
    make, process = STAGES[name]
    x = eeg(5, N)
    stage, fresh, resumed = make(5), make(5), make(5)
    if hasattr(stage, "taps"):
        fresh, resumed = (type(stage)(stage.taps, n_channels=5) for _ in range(2))
    process(stage, x[:, :130], 0)
    resumed.restore({k: np.array(v) for k, v in stage.state().items()})  # as np.savez gives them back
    assert _same(process(stage, x[:, 130:], 130), process(resumed, x[:, 130:], 130))
    stage.reset()
    assert _same(process(stage, x, 0), process(fresh, x, 0))


@pytest.mark.parametrize("name", [n for n in STAGES if n != "spatial"])
def test_a_state_of_another_shape_is_refused(name: str) -> None:
    make, process = STAGES[name]
    other = make(7)
    process(other, eeg(7, 100), 0)
    with pytest.raises(ShapeError):
        make(5).restore(other.state())


def test_a_potato_lends_what_it_learnt() -> None:
    covs = covariances(np.random.default_rng(0).normal(size=(40, 4, 100)))
    learnt = RiemannianPotato().fit(covs)
    other = RiemannianPotato()
    other.restore(learnt.state())
    assert other.z_score(covs).tobytes() == learnt.z_score(covs).tobytes()
    with pytest.raises(ShapeError):
        other.restore({"mean": np.zeros((2, 3)), "logs": np.zeros(2)})
