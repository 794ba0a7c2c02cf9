"""The wearer: cortical sources that react to cues, seen through skull and skin.

`signal = cortex @ head + artefacts`, in µV, block by block. Each source of randomness is seeded by (wearer,
run, purpose), so the k-th block of the r-th run is the same whoever asks for it first, and in whatever
pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from bci.acquisition.simulator._artefacts import MUSCLE_SITES, Blinks, Electrodes, Mains, MuscleBursts
from bci.acquisition.simulator._config import Synthetic
from bci.acquisition.simulator._head import electrode_directions, lead_field
from bci.acquisition.simulator._pages import NoisePages, bump, hop_length, knots, pink, wander
from bci.acquisition.simulator._schedule import Schedule, cue_drop, rhythm_gain
from bci.chunks import F64

__all__ = ["RHYTHMS", "Rhythm", "SyntheticEeg", "rhythm_topographies"]

#: Radius of the folded grey matter in head radii, a few millimetres inside the brain's surface.
_CORTEX = 0.83
_BACKGROUND_UV = 9.0  # rms at a typical electrode, above 0.25 Hz
_N_BACKGROUND = 400


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A patch of cortex that oscillates: where (mean of electrode directions), how strongly (rms µV at
    `under[0]`).
    """

    name: str
    under: tuple[str, ...]
    rms_uv: float
    harmonic: int
    width_hz: float
    reacts: tuple[str, str] | None = None  # (band, hemisphere) for sensorimotor rhythms


#: Frequencies are multiples of the wearer's own mu frequency, near 10.5 Hz; occipital alpha has its own.
RHYTHMS = (
    Rhythm("mu left", ("C3", "C3", "CP3"), 5.5, 1, 0.9, ("mu", "left")),
    Rhythm("mu right", ("C4", "C4", "CP4"), 5.5, 1, 0.9, ("mu", "right")),
    Rhythm("beta left", ("C3", "FC3"), 2.6, 2, 1.8, ("beta", "left")),
    Rhythm("beta right", ("C4", "FC4"), 2.6, 2, 1.8, ("beta", "right")),
    Rhythm("mu feet", ("Cz", "CPz"), 3.0, 1, 0.9),
    Rhythm("frontal beta", ("FCz", "Fz"), 1.8, 2, 2.2),
    Rhythm("alpha left", ("O1", "PO3"), 9.0, 0, 0.8),
    Rhythm("alpha right", ("O2", "PO4"), 9.0, 0, 0.8),
    Rhythm("alpha parietal", ("Pz", "POz"), 6.0, 0, 0.8),
)


def _unit(v: F64) -> F64:
    return np.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True))


def _patch(under: Sequence[str]) -> tuple[F64, F64]:
    """Seven dipoles a centimetre apart, pointing outwards and a little forwards (crown and front wall of a
    fold).
    """
    centre = _unit(electrode_directions(under).mean(axis=0))
    across = _unit(np.cross(centre, [0.0, 1.0, 0.0]))
    along = np.cross(across, centre)
    angle = np.arange(6)[:, None] * (np.pi / 3)
    ring = centre + 0.13 * (np.cos(angle) * across + np.sin(angle) * along)
    outwards = _unit(np.vstack([centre, ring]))
    return outwards * _CORTEX, _unit(outwards + 0.25 * along)


@lru_cache(maxsize=4)
def rhythm_topographies(montage: tuple[str, ...]) -> F64:
    """What 1 rms unit of each of `RHYTHMS` shows at the electrodes, shape (n_channels, n_rhythms), µV."""
    patches = [_patch(rhythm.under) for rhythm in RHYTHMS]
    anchors = tuple(rhythm.under[0] for rhythm in RHYTHMS)
    gain = lead_field(montage + anchors, *(np.vstack(part) for part in zip(*patches, strict=True)))
    maps = gain.reshape(len(gain), len(RHYTHMS), -1).sum(axis=2)
    at_anchor = np.diag(maps[len(montage) :])
    scale = np.array([rhythm.rms_uv for rhythm in RHYTHMS]) / at_anchor
    return np.asarray(maps[: len(montage)] * scale)


@lru_cache(maxsize=4)
def _background_mixing(montage: tuple[str, ...]) -> F64:
    """(n_channels, n_channels) matrix that mixes independent noises as the whole cortex would.

    Four hundred independent sources of one spectrum reach the electrodes as Gaussian noise with covariance L
    Lᵀ; as many independent rows as there are channels, times a square root of L Lᵀ, are the same process.
    """
    k = np.arange(_N_BACKGROUND) + 0.5
    z = 1.0 - 1.35 * k / _N_BACKGROUND  # Fibonacci lattice from the crown to below the ears
    turn = np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z**2)
    outwards = np.column_stack([flat * np.cos(turn), flat * np.sin(turn), z])
    sideways = _unit(
        np.cross(outwards, _unit(np.column_stack([np.sin(7 * k), np.cos(5 * k), np.sin(3 * k)])))
    )
    crown = (np.arange(_N_BACKGROUND) % 3 != 0)[:, None]  # a third lies in walls of folds
    gain = lead_field(montage, outwards * _CORTEX, np.where(crown, outwards, sideways))
    gain *= _BACKGROUND_UV / np.median(np.linalg.norm(gain, axis=1))
    u, s, _ = np.linalg.svd(gain, full_matrices=False)
    return np.asarray(u * s)


class SyntheticEeg:
    """The signal of a `Synthetic` wearer; `runs` never end, their lengths differ a little.

    Attributes
    ----------
    channels : tuple of str
    rate : Fraction
    labels : dict of int to str
    n_runs : None
        There is always a next run.
    """

    n_runs: int | None = None

    def __init__(self, synthetic: Synthetic) -> None:
        self.channels = synthetic.montage
        self.rate = Fraction(synthetic.rate_hz)
        self.labels = synthetic.labels
        self._synthetic = synthetic
        self._run: tuple[int, _Run] | None = None

    def run_samples(self, run: int) -> int:
        """Length of a run in samples."""
        return self._of(run).schedule.n_samples

    def cues(self, run: int) -> list[tuple[int, int]]:
        """(sample within the run, code) of every cue of a run, in order."""
        return self._of(run).schedule.cues

    def read(self, run: int, first: int, n: int) -> F64:
        """Samples `first` to `first + n` of a run, shape (n_channels, n), µV, as many as there are."""
        return self._of(run).read(first, n)

    def ask(self, run: int, at: int, label: str, task_s: float) -> None:
        """From sample `at` of a run on the wearer does what is asked; ValueError where the run has cues of its own."""
        self._of(run).ask(at, label, task_s)

    def _of(self, run: int) -> _Run:
        run += self._synthetic.first_run
        if self._run is None or self._run[0] != run:
            self._run = (run, _Run(self._synthetic, run))
        return self._run[1]


class _Run:
    def __init__(self, synthetic: Synthetic, number: int) -> None:
        rate, montage, seed = synthetic.rate_hz, synthetic.montage, synthetic.seed
        wearer = np.random.default_rng((seed, 0))
        rng = np.random.default_rng((seed, 1, number))
        self._noise_seed = (seed, 2, number)
        plan = synthetic.runs[number % len(synthetic.runs)]
        self.schedule = Schedule.draw(plan, rate_hz=rate, intent=synthetic.intent, rng=rng)
        self._plan, self._intent, self._seed = plan, synthetic.intent, (seed, 5, number)
        self._rate, self._hop = rate, hop_length(rate)
        end_s = self.schedule.n_samples / rate
        n_knots = self.schedule.n_samples // self._hop + 3
        n = len(montage)

        mu_hz, alpha_hz = wearer.normal(10.5, 0.4), wearer.normal(10.2, 0.4)
        f = np.arange(self._hop + 1, dtype=np.float64) * (rate / 2 / self._hop)
        background = pink(f, exponent=1.3, knee_hz=0.6) * (f >= 0.25)
        rhythms = [bump(f, r.harmonic * mu_hz or alpha_hz, r.width_hz) for r in RHYTHMS]
        muscle = [np.minimum(1.0, (f / 40.0) ** 2)] * len(MUSCLE_SITES)
        self._pages = NoisePages(np.array([background] * n + rhythms + muscle), seed=(seed, 3, number))
        self._mixing = np.hstack([_background_mixing(montage), rhythm_topographies(montage)])
        self._vigilance = np.exp(wander(rng, (len(RHYTHMS), n_knots), 0.25, 0.9))
        self._blinks = Blinks(montage, end_s=end_s, rng=rng)
        self._muscle = MuscleBursts(montage, end_s=end_s, rng=rng)
        self._mains = Mains(n, mains_hz=synthetic.mains_hz, rate_hz=rate, n_knots=n_knots, rng=rng)
        self._electrodes = Electrodes(n, n_knots=n_knots, wearer=wearer, rng=rng)
        self._blocks: dict[int, F64] = {}

    def read(self, first: int, n: int) -> F64:
        stop = min(first + n, self.schedule.n_samples)
        if stop <= first:
            return np.empty((len(self._mixing), 0))
        blocks = range(first // self._hop, (stop - 1) // self._hop + 1)
        self._blocks = {k: self._blocks[k] if k in self._blocks else self._block(k) for k in blocks}
        x = self._blocks[blocks[0]] if len(blocks) == 1 else np.hstack([self._blocks[k] for k in blocks])
        start = blocks[0] * self._hop
        return x[:, first - start : stop - start]

    def ask(self, at: int, label: str, task_s: float) -> None:
        if not self._plan.asked_s:
            raise ValueError("this run has cues of its own; ask during a CuedRun(asked_s=…)")
        rng = np.random.default_rng((*self._seed, len(self.schedule.trials)))
        self.schedule = self.schedule.asked(
            self._plan, at, label=label, task_s=task_s, intent=self._intent, rng=rng
        )
        self._blocks.clear()  # of these, what lies after `at` changes

    def _block(self, number: int) -> F64:
        n = len(self._mixing)
        t_s = (number * self._hop + np.arange(self._hop)) / self._rate
        noise = self._pages.block(number)
        rhythms = noise[n : n + len(RHYTHMS)]
        rhythms *= knots(self._vigilance, number, self._hop)
        for row, rhythm in zip(rhythms, RHYTHMS, strict=True):
            if rhythm.reacts is not None:
                band, hemisphere = rhythm.reacts
                row *= rhythm_gain(self.schedule, t_s, band=band, hemisphere=hemisphere)
            elif rhythm.name.startswith("alpha"):
                row *= cue_drop(self.schedule, t_s)
        uv = self._mixing @ noise[: n + len(RHYTHMS)]
        self._blinks.add_to(uv, t_s)
        self._muscle.add_to(uv, t_s, noise[n + len(RHYTHMS) :])
        self._mains.add_to(uv, t_s, number)
        self._electrodes.add_to(uv, number, np.random.default_rng((*self._noise_seed, number)))
        return np.asarray(uv)
