"""Vector kernels against their plain twins, and the disk cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bci.dsp import SosFilter, _fft, _fir, _gram, _sos, cascade, design_bandpass, design_lowpass, design_notch
from bci.dsp._simd import VECTOR_BYTES, aligned, lanes_of
from tests.dsp.signals import FS, eeg

CHAINS = {
    "ppppnn": cascade(design_bandpass(8, 30, fs_hz=FS), design_notch(50, fs_hz=FS, harmonics=2)),
    "nnm": design_lowpass(40, fs_hz=FS, order=5),
}


@pytest.mark.parametrize("n_channels", [1, 7, 8, 9, 16, 33])
@pytest.mark.parametrize("form", CHAINS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_cascade_kernel_equals_its_plain_twin(form: str, n_channels: int, dtype: type) -> None:
    gain, taps, found = _sos.factor(CHAINS[form])
    assert found == form
    x = np.asfortranarray(eeg(n_channels, 500) % 97.0, dtype=dtype)
    outputs = []
    for run in (_sos.runner(form, dtype), _sos.plain_run):
        packed = _sos.pack(gain, taps, n_channels, dtype)
        y = np.empty_like(x)
        assert run(x[:, :200], y[:, :200], packed, form) == 0
        assert run(x[:, 200:], y[:, 200:], packed, form) == 0
        outputs.append((y, _sos.states(packed, n_channels)))
    tolerance = 1e-11 if dtype is np.float64 else 3e-3
    for a, b in zip(*outputs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_both_cascade_kernels_refuse_nan_and_other_shapes_and_keep_the_states() -> None:
    gain, taps, form = _sos.factor(CHAINS["ppppnn"])
    x = eeg(9, 50)
    bad = x.copy(order="F")
    bad[8, 49] = np.inf
    for run in (_sos.runner(form, np.float64), _sos.plain_run):
        packed = _sos.pack(gain, taps, 9, np.float64)
        run(x, np.empty_like(x), packed, form)
        before = _sos.states(packed, 9)
        assert run(bad, np.empty_like(x), packed, form) == 1
        assert run(x, np.empty((9, 49), order="F"), packed, form) == 2
        assert np.array_equal(_sos.states(packed, 9), before)


@pytest.mark.parametrize("n_channels", [1, 8, 13])
def test_the_covariance_kernel_equals_its_plain_twin(n_channels: int) -> None:
    x = np.ascontiguousarray(eeg(n_channels, 333) % 89.0)[None]
    pitch = _gram.pitch_of(n_channels)
    outputs = []
    for run in (_gram.runner(), _gram.plain_slide):
        ring, place = np.zeros((1, 6, pitch * (pitch + 1))), np.array([0, 0, 20, 4])
        ends, covs = np.zeros(20, np.int64), np.zeros((20, 1, n_channels, n_channels))
        k = run(x, 7, ring, place, ends, covs)
        outputs.append((ends[:k], covs[:k]))
    assert len(outputs[0][0]) == 13
    for a, b in zip(*outputs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("n_channels", [1, 8, 13])
def test_the_fir_kernel_equals_its_plain_twin(n_channels: int) -> None:
    x, taps = eeg(n_channels, 600), np.random.default_rng(0).normal(size=40)
    outputs = []
    for run in (_fir.runner(), _fir.plain_run):
        packed, y = _fir.pack(taps, n_channels), np.empty_like(x)
        _fir.start(packed, x[:, 0])
        run(x[:, :301], y[:, :301], packed)
        run(x[:, 301:], y[:, 301:], packed)
        outputs.append(y)
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n_channels", [1, 16, 21])
@pytest.mark.parametrize("size", [1024, 4096])
def test_the_fft_kernel_equals_its_plain_twin(n_channels: int, size: int) -> None:
    taps = np.random.default_rng(0).normal(size=401)
    x = eeg(n_channels, 1000) % 83.0
    spectrum, twiddles = _fft.spectrum_of(taps, size), _fft.twiddles(size)
    outputs = []
    for run in (_fft.runner(), _fft.plain_convolve):
        y = np.empty((n_channels, 600), order="F")
        run(x, y, spectrum, twiddles, aligned(size * _fft.PAIR))
        outputs.append(y)
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(outputs[0][0], np.convolve(x[0], taps, mode="valid"), rtol=0, atol=1e-9)


def test_aligned_memory_starts_at_a_whole_vector() -> None:
    for dtype in (np.float64, np.float32):
        for n in (1, 100, 10_000):
            a = aligned(n, dtype)
            assert a.shape == (n,)
            assert a.ctypes.data % VECTOR_BYTES == 0
            assert lanes_of(dtype) * a.itemsize == VECTOR_BYTES


USE_EVERY_KERNEL = """
import json, sys
import numpy as np
from bci.dsp import (ArtefactDetector, ArtifactSubspaceReconstruction, AsrModel, ExponentialCovariance,
                     FilterBank, FirFilter, LineCanceller, LogBandPower, Resampler, SlidingCovariance, SosFilter,
                     SpatialFilter, fir_recording)
from bci.dsp import _eigh, _fft, _fir, _gram, _loops, _sos, _spd_log
sos = np.array([[0.1, 0.0, -0.1, 1.0, -1.5, 0.8]] * 2)
x = np.asfortranarray(np.random.default_rng(0).normal(size=(9, 300)))
SosFilter(sos, n_channels=9).process(x)
SosFilter(sos, n_channels=9, dtype=np.float32).process(x)
FilterBank([sos, sos], n_channels=9).process(x)
FirFilter(np.ones(5), n_channels=9).process(x)
fir_recording(np.ones(5), x)
SlidingCovariance(9, window_samples=100, step_samples=50).process(x, 0)
SpatialFilter(np.eye(9)).process(x)
Resampler(9, rate_in=2, rate_out=1).process(x)
LineCanceller(9, fs_hz=250).process(x)
ArtefactDetector(9, fs_hz=250).process(x, 0)
ExponentialCovariance(9, time_constant_samples=9).process(x)
LogBandPower(sos, n_channels=9, time_constant_samples=9).process(x)
ArtifactSubspaceReconstruction(AsrModel(np.eye(9), np.eye(9), sos, fs_hz=250)).process(100 * x)
_spd_log.log_spd(np.eye(16).ravel(), np.empty(256), 16, _spd_log.quadrature(), np.zeros(_spd_log.n_scratch(16)))
table = {}
for module in (_eigh, _fft, _fir, _gram, _loops, _sos, _spd_log):
    for name, value in vars(module).items():
        if (
            hasattr(value, "stats")
            and getattr(value, "__module__", "") == module.__name__
            and not name.startswith("plain_")
            and value.targetoptions.get("inline") != "always"
        ):
            stats = value.stats
            table[f"{module.__name__}.{name}"] = [sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]
print(json.dumps(table))
"""


#: Kernels that only run inside another one: its cached code holds theirs, so the second process never asks for them.
INLINED = {
    "bci.dsp._eigh._ql",
    "bci.dsp._eigh.eigh_rows",
    "bci.dsp._gram.close_block",
    "bci.dsp._gram.finish",
    "bci.dsp._spd_log.by_eigenvectors",
}


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment.pop("BCI_PLAIN_KERNELS", None)
    tables = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", USE_EVERY_KERNEL],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        tables.append(json.loads(done.stdout))
    first, second = tables
    left_out = {name for name, (hits, misses) in first.items() if hits + misses == 0}
    assert not left_out, "kernels that this test does not reach"
    for name, (hits, misses) in second.items():
        assert misses == 0, f"{name} was compiled again"
        if name not in INLINED:
            assert hits > 0, f"{name} was not taken from the cache"


def test_plain_kernels_serve_where_vectors_do_not() -> None:
    code = (
        "import numpy as np\n"
        "from bci.dsp import SosFilter, _sos\n"
        "stage = SosFilter(np.array([[0.1, 0.0, -0.1, 1.0, -1.5, 0.8]]), n_channels=2)\n"
        "assert stage._run is _sos.plain_run\n"
        "print(stage.process(np.arange(6.0).reshape(2, 3)).tolist())\n"
    )
    environment = {**os.environ, "BCI_PLAIN_KERNELS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    sos = np.array([[0.1, 0.0, -0.1, 1.0, -1.5, 0.8]])
    want = SosFilter(sos, n_channels=2).process(np.arange(6.0).reshape(2, 3))
    np.testing.assert_allclose(json.loads(done.stdout), want, atol=1e-14)


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import bci.dsp", "scipy.signal mne sklearn numba"),
        ("from bci.dsp import Mark", "scipy.signal mne sklearn numba"),
        (
            "import numpy as np; from bci.dsp import *; from bci.dsp import SosFilter, SlidingCovariance, GapPolicy;"
            "SosFilter([[0.1, 0, -0.1, 1, -1.5, 0.8]], n_channels=8).process(np.zeros((8, 2)));"
            "SlidingCovariance(8, window_samples=4, step_samples=2).process(np.zeros((8, 9)), 0)",
            "scipy.signal mne sklearn",
        ),
    ],
)
def test_running_loads_neither_designers_nor_trainers(code: str, absent: str) -> None:
    if "import *" in code:
        code = code.replace("from bci.dsp import *; ", "")
    check = f"{code}\nimport sys\nprint([m for m in {absent.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
