"""A visit as a clinic makes it, with a recording in which the mu rhythm over the hand's area answers the cue."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from bci.interop._bfp import write
from bci.interop._door import Channel, Counts, Description, SignalEvent
from bci.report.visit import (
    CalibrationPart,
    CheckPart,
    ControlPart,
    DroppedTrial,
    ElectrodeState,
    Equipment,
    MeasuredRun,
    Override,
    Stop,
    Visit,
    write_visit,
)

CHANNELS = ("F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2")
FS = 250
STEP_UV = 0.0223517
TRIAL_S, TASK_S = 9, 4.0
#: Share of its power that the 10 Hz rhythm at C3 keeps while movement of the right hand is intended.
KEPT = 0.25


def signal_uv(n_trials: int, *, seed: int = 3) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Pink-free noise of 4 µV everywhere, and at C3 a rhythm of 12 µV that falls from cue to end of "right"."""
    rng = np.random.default_rng(seed)
    n = (n_trials * TRIAL_S + 4) * FS
    cues = [(4 * FS + k * TRIAL_S * FS, ("right", "rest")[k % 2]) for k in range(n_trials)]
    strength = np.ones(n)
    for at, label in cues:
        if label == "right":
            strength[at : at + round(TASK_S * FS)] = np.sqrt(KEPT)
    data = 4.0 * rng.standard_normal((len(CHANNELS), n))
    data[CHANNELS.index("C3")] += 12.0 * np.sqrt(2) * strength * np.sin(2 * np.pi * 10 * np.arange(n) / FS)
    return data, cues


class Made:
    """A signal of interop's kind."""

    path = Path("made")

    def __init__(self, data_uv: np.ndarray, events: list[SignalEvent]) -> None:
        self._counts = np.asfortranarray(np.round(data_uv / STEP_UV).astype(np.int32))
        self.description = Description(
            channels=tuple(Channel(name, STEP_UV) for name in CHANNELS),
            rate=Fraction(FS),
            measured_hz=float(FS),
            n_samples=data_uv.shape[1],
            events=tuple(events),
            device="Made-up board",
        )

    def pieces(self) -> Iterator[Counts]:
        for at in range(0, self._counts.shape[1], 1000):
            yield self._counts[:, at : at + 1000]


def make_recording(path: Path, *, n_trials: int = 12, spoilt: tuple[int, ...] = ()) -> None:
    """A `.bfp` file with `n_trials` cues; those of `spoilt` are followed by the marker that says so."""
    data, cues = signal_uv(n_trials)
    events = [SignalEvent(at, label) for at, label in cues]
    events += [SignalEvent(cues[k][0] + round((TASK_S + 0.5) * FS), "spoilt") for k in spoilt]
    write(
        Made(data, sorted(events, key=lambda e: e.sample)),
        path,
        source="made",
        keep_date=False,
        progress=_quiet,
    )


def _quiet(*_: int) -> None:
    """No progress is shown."""


def electrodes(kohm: float, *, bad: str = "") -> tuple[ElectrodeState, ...]:
    return tuple(
        ElectrodeState(name, "bad", ("flat", "lead-off"), 500.0)
        if name == bad
        else ElectrodeState(
            name, "fair" if name == "Pz" else "good", ("mains",) if name == "Pz" else (), kohm + i
        )
        for i, name in enumerate(CHANNELS)
    )


def full_visit(*, ready: bool = True) -> Visit:
    """Everything done, with one of each thing that a report must say."""
    return Visit(
        session="003-20261123",
        user="u-7k3f9q",
        who="left-handed, second week",
        started_s=1_795_430_000.0,
        equipment=Equipment(
            software="bci-hand 1.0",
            device="EEG board",
            device_id="SIM-1",
            firmware="0.3",
            channels=CHANNELS,
            fs_hz=float(FS),
            hand="simulated hand",
            simulated=True,
        ),
        before=CheckPart(
            1_795_430_100.0, electrodes(4.0, bad="O2"), Override("Dr. Li", 1_795_430_130.0, ("O2",))
        ),
        calibration=CalibrationPart(
            at_s=1_795_430_900.0,
            recording="calibration.bfp",
            classes=("rest", "right"),
            movement="intended",
            trials_kept={"rest": 40, "right": 38},
            dropped=(
                DroppedTrial(1, 4, "right", "artefact (muscle C3)", repeated=True),
                DroppedTrial(3, 9, "right", "lost"),
            ),
            seconds=812.0,
            samples=203_000,
            samples_lost=125,
            cued={
                "balanced_accuracy": 0.81,
                "interval_95": [0.71, 0.89],
                "chance": 0.5,
                "chance_threshold": 0.59,
                "trials": {"rest": 40, "right": 38},
                "dropped": 2,
                "confusion": {"rest": {"rest": 33, "right": 7}, "right": {"rest": 8, "right": 30}},
                "balanced_accuracy_motor": 0.78,
            },
            per_run=(0.74, 0.83, 0.79, 0.88),
            reliability=((0.55, 0.5, 60), (0.65, 0.7, 50), (0.75, 0.72, 44), (0.9, 0.93, 80)),
            asynchronous=movements(0.9),
            ready=ready,
            refusal="" if ready else "the lower bound of its balanced accuracy is 0.48, chance is 0.50.",
            advice=() if ready else ("Try hand against rest before left against right.",),
            model="model.safetensors",
            model_sha256="9f" * 32,
        ),
        control=ControlPart(
            at_s=1_795_431_900.0,
            recording="control.bfp",
            events="events.jsonl",
            seconds=420.0,
            samples=105_000,
            samples_lost=0,
            movements=movements(0.6),
            per_run=(MeasuredRun(60.0, 9, 10, 2, 2.4), MeasuredRun(310.0, 7, 10, 1, 2.6)),
            stops=(
                Stop(83.4, "no fresh signal", False),
                Stop(201.0, "STOP was pressed", True),
                Stop(305.25, "an electrode is off; too many samples were lost", False),
            ),
            commands={"hold": 19_000, "power": 31, "open": 30},
            latency_ms={"median": 14.2, "p99": 24.9},
            drift=("The signal has moved away from the calibration since minute 5.",),
        ),
        after=CheckPart(1_795_432_500.0, electrodes(7.5)),
        notes=("The cap was wetted twice.",),
    )


def movements(per_min: float) -> dict[str, float | int | list[float]]:
    return {
        "cued_movements": 20,
        "hits": 16,
        "hit_rate": 0.8,
        "blind_hit_rate": 0.11,
        "false_movements": round(per_min * 5),
        "idle_minutes": 5.0,
        "false_movements_per_min": per_min,
        "interval_95": [0.12, 1.75],
        "detection_latency_s_median": 1.4,
        "detection_latency_s_p90": 2.3,
    }


def make_visit(folder: Path, visit: Visit | None = None, *, n_trials: int = 12) -> Visit:
    """The folder of a visit: `session.json` and the recording of the calibration."""
    visit = full_visit() if visit is None else visit
    folder.mkdir(parents=True, exist_ok=True)
    make_recording(folder / "calibration.bfp", n_trials=n_trials)
    write_visit(folder / "session.json", visit)
    return visit
