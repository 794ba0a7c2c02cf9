"""One decision of a running stream: what came from the board in, a class out.

Rivals do what a script around scipy, MNE, pyRiemann and scikit-learn does: filter the chunk with its state, keep the
last two seconds, decide on them. Ours get the rival's own spatial filters, reference and linear weights, so both decide
the same; that is compared first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal
from threadpoolctl import threadpool_limits

from bci.decoders.linear import Linear, matrices_of
from bci.decoders.riemann import inverse_sqrt
from bci.dsp import design_bandpass
from bci.pipeline.fused import CspStep, TangentStep
from benchmarks._measure import Row, compare, median_time, say

F64 = NDArray[np.float64]

FS, CHANNELS, CHUNK, WINDOW, FILTERS = 250.0, 22, 8, 496, 6
MEMBERS = 13


def rows(rounds: int) -> list[Row]:
    with threadpool_limits(1):  # one thread for both: matrices of this size only suffer from two
        return [_csp(rounds), _tangent(rounds), _ensemble()]


def _stream() -> tuple[F64, NDArray[np.int64]]:
    """Two minutes of mixed noise; a 12 Hz source is strong in every other half minute."""
    rng = np.random.default_rng(0)
    n = 30_000
    t = np.arange(n) / FS
    label = (t // 30).astype(np.int64) % 2
    sources = 5.0 * rng.standard_normal((CHANNELS, n))
    sources[0] += 10.0 * label * np.sin(2 * np.pi * 12.0 * t + np.cumsum(0.05 * rng.standard_normal(n)))
    mixing = np.eye(CHANNELS) + rng.standard_normal((CHANNELS, CHANNELS)) / math.sqrt(CHANNELS)
    return np.asfortranarray(mixing @ sources), label


def _training(x: F64, label: NDArray[np.int64], sos: F64) -> tuple[F64, NDArray[np.int64]]:
    clean = signal.sosfilt(sos, x)
    starts = np.arange(WINDOW, x.shape[1] - WINDOW, WINDOW)
    kept = [s for s in starts if label[s] == label[s + WINDOW - 1]]
    return np.stack([clean[:, s : s + WINDOW] for s in kept]), label[kept]


class _Window:
    """scipy's filter with its state, and the last WINDOW samples behind it."""

    def __init__(self, sos: F64) -> None:
        self.sos, self.zi = sos, np.zeros((len(sos), CHANNELS, 2))
        self.last = np.zeros((CHANNELS, WINDOW))

    def take(self, chunk: F64) -> F64:
        clean, self.zi = signal.sosfilt(self.sos, chunk, zi=self.zi)
        self.last[:, :-CHUNK] = self.last[:, CHUNK:]
        self.last[:, -CHUNK:] = clean
        return self.last[None]


def _compare(
    work: str,
    rival_name: str,
    target: float,
    rounds: int,
    x: F64,
    make: Callable[[], CspStep | TangentStep],
    rival: Callable[[F64], Any],
    window: Callable[[], _Window],
) -> Row:
    pieces = [np.asfortranarray(x[:, k : k + CHUNK]) for k in range(0, x.shape[1], CHUNK)]
    step, theirs = make(), window()
    agree = []
    for k, piece in enumerate(pieces[:1200]):  # parity first: 600 decisions after the filters have settled
        due = step.process(piece, k * CHUNK)
        answer = int(rival(theirs.take(piece))[0]) if k >= 600 else None
        if due and answer is not None:
            agree.append(int(np.argmax(step.scores[0])) == answer)
    assert len(agree) == 600
    assert np.mean(agree) >= 0.99, f"{work}: only {np.mean(agree):.3f} of the decisions agree"
    number = 1200

    def ours() -> None:
        nonlocal number
        step.process(pieces[number % len(pieces)], number * CHUNK)
        number += 1

    def other() -> None:
        rival(theirs.take(pieces[number % len(pieces)]))

    return compare(
        f"{work}, {CHANNELS} ch × {CHUNK}, a decision each",
        ours,
        other,
        rival_name=rival_name,
        target=target,
        equal=None,
        rounds=rounds,
    )


def _csp(rounds: int) -> Row:
    import mne
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x, label = _stream()
    sos = design_bandpass(8.0, 30.0, fs_hz=FS, order=4)
    windows, y = _training(x, label, sos)
    csp = mne.decoding.CSP(FILTERS)
    with mne.utils.use_log_level("error"):
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
            csp.fit_transform(windows, y), y
        )
    weights = np.concatenate([np.zeros_like(lda.coef_), lda.coef_])
    bias = np.append(0.0, lda.intercept_)

    def make() -> CspStep:
        return CspStep(
            sos,
            n_channels=CHANNELS,
            window_samples=WINDOW,
            step_samples=CHUNK,
            filters=csp.filters_[:FILTERS],
            weights=weights,
            bias=bias,
        )

    return _compare(
        "streaming decision, CSP",
        "`sosfilt` + MNE CSP + LDA",
        150,
        rounds,
        x,
        make,
        lambda window: lda.predict(csp.transform(window)),
        lambda: _Window(sos),
    )


def _tangent(rounds: int) -> Row:
    from pyriemann.estimation import Covariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x, label = _stream()
    sos = design_bandpass(8.0, 30.0, fs_hz=FS, order=4)
    windows, y = _training(x, label, sos)
    oas, tangent = Covariances("oas"), TangentSpace()
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    lda.fit(tangent.fit_transform(oas.fit_transform(windows)), y)
    linear = Linear(np.concatenate([np.zeros_like(lda.coef_), lda.coef_]), np.append(0.0, lda.intercept_))

    def make() -> TangentStep:
        return TangentStep(
            [sos],
            n_channels=CHANNELS,
            window_samples=WINDOW,
            step_samples=CHUNK,
            band_of=[0],
            whitening=inverse_sqrt(tangent.reference_)[None],
            weights=matrices_of(linear, CHANNELS)[None],
            bias=linear.bias[None],
            shares=np.ones(1),
        )

    return _compare(
        "streaming decision, tangent space",
        "`sosfilt` + pyRiemann OAS, tangent space + LDA",
        40,
        rounds,
        x,
        make,
        lambda window: lda.predict(tangent.transform(oas.transform(window))),
        lambda: _Window(sos),
    )


def _ensemble() -> Row:
    """The default's shape: 13 bands, a member each. Absolute: at most a millisecond."""
    x, label = _stream()
    bands = [design_bandpass(4.0 + 2 * k, 8.0 + 2 * k, fs_hz=FS, order=4) for k in range(MEMBERS)]
    whitening = []
    for sos in bands:
        windows, _ = _training(x, label, sos)
        whitening.append(inverse_sqrt(np.mean(windows @ windows.transpose(0, 2, 1) / WINDOW, axis=0)))
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((MEMBERS, 2, CHANNELS, CHANNELS))
    step = TangentStep(
        bands,
        n_channels=CHANNELS,
        window_samples=WINDOW,
        step_samples=CHUNK,
        band_of=range(MEMBERS),
        whitening=np.stack(whitening),
        weights=weights + weights.transpose(0, 1, 3, 2),
        bias=np.zeros((MEMBERS, 2)),
        shares=np.full(MEMBERS, 1 / MEMBERS),
        clip=1.5,
    )
    number = 0

    def decide() -> None:
        nonlocal number
        at = number * CHUNK % (x.shape[1] - CHUNK)
        step.process(x[:, at : at + CHUNK], number * CHUNK)
        number += 1

    for _ in range(WINDOW // CHUNK + 1):
        decide()
    say("a decision of the default ensemble")
    seconds = median_time(decide)
    assert seconds <= 1e-3, f"a decision of {MEMBERS} members takes {seconds * 1e3:.2f} ms"
    return Row(
        f"default asynchronous ensemble, {MEMBERS} bands, {CHANNELS} ch, a decision",
        "",
        seconds,
        math.nan,
        math.nan,
        math.nan,
        note="at most 1 ms",
    )
