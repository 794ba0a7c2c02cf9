"""Has the signal moved away from the calibration? A pure watch over a minute of control, and what it compares with.

Looked at are the power of 8–30 Hz of each electrode, the share of decisions that lie far from everything in the
training, the share of movement among decisions while rest was asked for, electrodes gone bad, and impedances. Nothing
is corrected here: recalibration is offered, never done in silence.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci.chunks import F64, Chunk, SignalInfo
from bci.decisions import Prediction
from bci.dsp import SosFilter, design_bandpass
from bci.errors import ModelFileError
from bci.files import write_private
from bci.language import _
from bci.sessions.electrodes import Electrode

__all__ = ["BandPower", "Drift", "DriftWatch", "Reference", "sees_movement"]

BAND_HZ = (8.0, 30.0)
#: Deviations of a channel's minute from the calibration, in its own spread there, that count.
SIGMAS = 3.0
#: Share of channels that must have moved.
MOVED_SHARE = 0.25
#: Share of far-off decisions; in the calibration it is one in a thousand by design.
OUTLIER_SHARE = 0.1
#: How much more often than in the calibration movement is seen while rest is asked for.
PRIOR_SHIFT = 0.25
#: An electrode whose impedance has grown by this factor is drying.
DRYING = 3.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Reference:
    """What the signal was like in the calibration.

    Parameters
    ----------
    channels : tuple of str
    level_db, spread_db : tuple of float
        Per channel, mean and standard deviation of the power of a second, 8–30 Hz, dB re 1 µV².
    movement_in_rest : float
        Share of decisions for a movement while rest was asked for.
    impedance_kohm : mapping of str to float
    """

    channels: tuple[str, ...]
    level_db: tuple[float, ...]
    spread_db: tuple[float, ...]
    movement_in_rest: float = 0.0
    impedance_kohm: Mapping[str, float] | None = None

    @classmethod
    def of(
        cls,
        info: SignalInfo,
        seconds_db: F64,
        *,
        movement_in_rest: float = 0.0,
        impedance_kohm: Mapping[str, float] | None = None,
    ) -> Reference:
        """From powers, shape (n_seconds, n_channels), dB."""
        middle = np.median(seconds_db, axis=0)
        spread = 1.4826 * np.median(np.abs(seconds_db - middle), axis=0)  # robust against artefacts
        return cls(
            info.channels,
            tuple(middle.tolist()),
            tuple(np.maximum(spread, 0.5).tolist()),
            movement_in_rest,
            dict(impedance_kohm or {}),
        )

    def write(self, path: Path) -> None:
        """As JSON, readable by its owner only."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        write_private(path, json.dumps(facts) + "\n")

    @classmethod
    def read(cls, path: Path) -> Reference:
        """What `write` has written.

        Raises
        ------
        ModelFileError
            If it is missing or damaged.
        """
        try:
            facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for name in ("channels", "level_db", "spread_db"):
                facts[name] = tuple(facts[name])
            found = cls(**facts)
            if not len(found.channels) == len(found.level_db) == len(found.spread_db):
                raise ValueError("lengths differ")
        except (OSError, ValueError, TypeError, KeyError) as err:
            raise ModelFileError(
                _("{path} cannot be read ({reason}); calibrate again.").format(path=path, reason=err),
                path=path,
            ) from err
        return found


class BandPower:
    """Power of 8–30 Hz of each channel, second by second, of a stream."""

    def __init__(self, info: SignalInfo) -> None:
        self._second = round(info.fs_hz)
        self._filter = SosFilter(
            design_bandpass(*BAND_HZ, fs_hz=info.fs_hz, order=2), n_channels=info.n_channels
        )
        self._parts: list[F64] = []
        self._n = 0
        self._settled = False

    def process(self, chunk: Chunk) -> list[F64]:
        """Of each second that is complete: dB re 1 µV², shape (n_channels,). A gap begins a new second."""
        if chunk.lost_before or chunk.restart:
            self._filter.reset()
            self._parts, self._n, self._settled = [], 0, False
        if chunk.n_samples == 0 or not np.isfinite(chunk.data_uv).all():
            return []
        self._parts.append(self._filter.process(chunk.data_uv))
        self._n += chunk.n_samples
        if self._n < self._second:
            return []
        x = np.concatenate(self._parts, axis=1)
        whole = x.shape[1] // self._second * self._second
        self._parts, self._n = [x[:, whole:]], x.shape[1] - whole
        seconds = x[:, :whole].reshape(len(x), -1, self._second)
        powers = [10 * np.log10(np.maximum(np.mean(s**2, axis=1), 1e-6)) for s in np.moveaxis(seconds, 1, 0)]
        if not self._settled:
            self._settled, powers = True, powers[1:]  # the filter's own settling
        return powers


@dataclass(frozen=True, slots=True)
class Drift:
    """One look: `level` is "none", "some" or "strong"; `texts` say what has changed, in words."""

    level: str
    texts: tuple[str, ...] = ()

    @property
    def state(self) -> dict[str, str]:
        """The value of `show(drift=…)`."""
        said = " ".join(self.texts) if self.texts else _("The signal is as in the calibration.")
        return {"level": self.level, "text": said}


class DriftWatch:
    """Compares the last minute with the calibration. Pure: told everything, reads no clock.

    Parameters
    ----------
    reference : Reference
    info : SignalInfo
        Of the stream; the reference's channels are looked for in it, others are no matter.
    """

    def __init__(self, reference: Reference, info: SignalInfo) -> None:
        self.reference = reference
        known = zip(reference.channels, reference.level_db, reference.spread_db, strict=True)
        there = [(name, level, spread) for name, level, spread in known if name in info.channels]
        self._names = [name for name, _level, _spread in there]
        self._rows = [info.channels.index(name) for name in self._names]
        self._level, self._spread = np.array([figures for _name, *figures in there]).reshape(-1, 2).T
        self._power = BandPower(info)
        self._seconds: deque[F64] = deque(maxlen=round(MINUTE_S))
        self._far: deque[bool] = deque(maxlen=600)
        self._moved_in_rest: deque[bool] = deque(maxlen=600)
        self._electrodes: tuple[Electrode, ...] = ()

    def process(self, chunk: Chunk) -> None:
        """Take the next chunk, raw."""
        for power in self._power.process(chunk):
            self._seconds.append(power[self._rows])

    def decided(self, predictions: Iterable[Prediction], *, resting: bool) -> None:
        """Take decisions; `resting` where rest was asked for just now."""
        for prediction in predictions:
            if prediction.valid:
                self._far.append(prediction.outlier)
            if resting and (moved := sees_movement(prediction)) is not None:
                self._moved_in_rest.append(moved)

    def electrodes(self, electrodes: Sequence[Electrode]) -> None:
        """Take the newest look at the electrodes."""
        self._electrodes = tuple(e for e in electrodes if e.name in self._names)

    def look(self) -> Drift:
        """How things stand; "none" until half a minute has come."""
        texts = []
        strong = False
        if len(self._seconds) >= MINUTE_S / 2:
            moved = (np.median(self._seconds, axis=0) - self._level) / self._spread
            names = [n for n, m in zip(self._names, moved, strict=True) if abs(m) > SIGMAS]
            if names and len(names) >= MOVED_SHARE * len(self._names):
                strong = len(names) >= 2 * MOVED_SHARE * len(self._names)
                texts.append(
                    _("The rhythm's strength has changed since the calibration at {names}.").format(
                        names=", ".join(names[:6]) + (" …" if len(names) > 6 else "")
                    )
                )
        if len(self._far) >= 100 and (share := float(np.mean(self._far))) > OUTLIER_SHARE:
            strong = True
            texts.append(
                _("{share} of the decisions rest on a signal unlike the calibration.").format(
                    share=f"{share:.0%}"
                )
            )
        if len(self._moved_in_rest) >= 100:
            share = float(np.mean(self._moved_in_rest))
            if share > self.reference.movement_in_rest + PRIOR_SHIFT:
                texts.append(
                    _(
                        "While at rest, movement is seen {share} of the time, {before} in the calibration."
                    ).format(share=f"{share:.0%}", before=f"{self.reference.movement_in_rest:.0%}")
                )
        texts += self._of_electrodes()
        if len(texts) > 1:
            strong = True
        if texts:
            texts.append(_("Calibrate again when it suits."))
        return Drift("strong" if strong else "some" if texts else "none", tuple(texts))

    def _of_electrodes(self) -> list[str]:
        bad = [e for e in self._electrodes if e.level == "bad"]
        before = self.reference.impedance_kohm or {}
        drying = [
            e.name
            for e in self._electrodes
            if e.impedance_kohm is not None
            and e.name in before
            and e.impedance_kohm > DRYING * max(before[e.name], 5.0)
        ]
        said = [f"{e.sentence} {e.advice}" for e in bad[:2]]
        if drying:
            said.append(_("The impedance has grown at {names}.").format(names=", ".join(drying)))
        return said


def sees_movement(prediction: Prediction) -> bool | None:
    """Whether a decision is for a movement rather than for rest; None where it says nothing of that."""
    if not prediction.valid or "rest" not in prediction.classes:
        return None
    return prediction.probabilities[prediction.classes.index("rest")] < 0.5
