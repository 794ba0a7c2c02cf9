"""What a demonstration plays: a synthetic wearer, or real recordings, cut into calibration and control runs.

Everything here happens before the first byte. The decoder never sees any of it: cues reach the host over the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bci.acquisition.simulator import CuedRun, Played, Synthetic
from bci.errors import RecordingError, TooFewTrialsError
from bci.language import _

__all__ = ["Stage", "lay_down", "stage_recording", "stage_synthetic"]

#: Runs of synthetic calibration, and trials of each class in every run.
SYNTHETIC_RUNS = 4
SYNTHETIC_TRIALS = 15

#: Fewer cues of a class than this in the calibration give no honest result.
MIN_TRIALS = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """A signal for the simulated board, and which of its runs serve for what.

    Parameters
    ----------
    signal : Synthetic or Played
    title : str
        What is played, in words for people.
    kind : str
        "synthetic" or "recording".
    classes : tuple of str
        Cued classes.
    runs : tuple of str
        Names of the runs in the order they are played.
    n_calibration : int
        How many of them, from the first, calibrate; the rest is controlled.
    n_cues : tuple of int
        Cues in each run.
    task_s : float
        Length of one task after its cue, s.
    run_s : tuple of float
        Length of each run in device time, s; 0 where it is not known beforehand.
    """

    signal: Synthetic | Played
    title: str
    kind: str
    classes: tuple[str, ...]
    runs: tuple[str, ...]
    n_calibration: int
    n_cues: tuple[int, ...]
    task_s: float
    run_s: tuple[float, ...]


def stage_synthetic(*, seed: int, intent: float, classes: tuple[str, ...] = ("rest", "right")) -> Stage:
    """A synthetic wearer who is asked for `classes`; the first half of the runs calibrates."""
    run = CuedRun(classes=classes, trials_per_class=SYNTHETIC_TRIALS)
    cues = len(classes) * SYNTHETIC_TRIALS
    return Stage(
        signal=Synthetic(seed=seed, intent=intent, runs=(run,) * SYNTHETIC_RUNS),
        title=_("synthetic EEG, seed {seed}, strength of intent {intent:g}").format(seed=seed, intent=intent),
        kind="synthetic",
        classes=classes,
        runs=tuple(_("run {k}").format(k=k + 1) for k in range(SYNTHETIC_RUNS)),
        n_calibration=SYNTHETIC_RUNS // 2,
        n_cues=(cues,) * SYNTHETIC_RUNS,
        task_s=run.task_s,
        run_s=(0.0,) * SYNTHETIC_RUNS,
    )


def stage_recording(
    path: Path,
    *,
    subject: str | None,
    labels: Mapping[str, str] | None,
    unit: str | None,
    play_file: Path,
    calibrate: Sequence[str] = (),
    control: Sequence[str] = (),
    task_s: float = 4.0,
) -> Stage:
    """Read one person's runs and lay them down for the board.

    Parameters
    ----------
    path : Path
        A recording, or a folder of recordings.
    subject : str, optional
        Whose, where a folder holds several.
    labels, unit
        As `bci.interop.read_recording` takes them.
    play_file : Path
        Where the arrays for the board go.
    calibrate, control : sequence of str
        Run numbers ("1", "R2" …). By default the earlier half calibrates and the later half is controlled.

    Raises
    ------
    RecordingError, LabelError, RateMismatchError, MontageMismatchError, TooFewTrialsError
        The message says what came, what was expected and what to do.
    """
    from bci.interop import find_runs, read_recording, write_play_file

    found = find_runs(path, subject=subject)
    numbers = [run.run for run in found]
    if calibrate or control:
        first, second = (_numbers(names, numbers, path) for names in (calibrate, control))
    else:
        half = (len(numbers) + 1) // 2
        first, second = numbers[:half], numbers[half:]
    if not first or not second:
        raise RecordingError(
            _(
                "{path} has {n} usable run(s); at least one to calibrate on and a later one to control are "
                "needed (two or more to calibrate on, before the hand may be armed). Name a folder with "
                "more runs, or --calibrate and --control"
            ).format(path=path, n=len(found)),
            path=path,
        )
    order = [*first, *second]
    files = [read_recording(found[numbers.index(n)].path, labels=labels, unit=unit) for n in order]
    counts = dict.fromkeys(files[0].classes, 0)
    for file in files[: len(first)]:
        for marker in file.markers:
            counts[marker.label] = counts.get(marker.label, 0) + 1
    if len(counts) < 2 or min(counts.values()) < MIN_TRIALS:
        raise TooFewTrialsError(
            _(
                "too few trials to calibrate on: {told} in runs {runs}; at least {min_trials} of each of "
                "two classes are needed. Name more runs with --calibrate"
            ).format(
                told=", ".join(f"{n} {c}" for n, c in counts.items()),
                runs=", ".join(map(str, first)),
                min_trials=MIN_TRIALS,
            ),
            counts=counts,
            needed=MIN_TRIALS,
        )
    write_play_file(files, play_file)
    who = found[0].subject
    return Stage(
        signal=Played(str(play_file)),
        title=_("recording {name}, {who}").format(name=path.name, who=who),
        kind="recording",
        classes=files[0].classes,
        runs=tuple(f"R{n}" for n in order),
        n_calibration=len(first),
        n_cues=tuple(len(file.markers) for file in files),
        task_s=task_s,
        run_s=tuple(file.duration_s for file in files),
    )


def lay_down(path: Path, *, subject: str | None, labels: Mapping[str, str] | None, play_file: Path) -> Played:
    """All runs of one person for a board that anyone may connect to, again and again; no cues are needed.

    Raises
    ------
    RecordingError, LabelError, RateMismatchError, MontageMismatchError
        As `stage_recording`.
    """
    from bci.interop import find_runs, read_recording, write_play_file

    found = find_runs(path, subject=subject)
    write_play_file([read_recording(run.path, labels=labels) for run in found], play_file)
    return Played(str(play_file), repeat=True)


def _numbers(names: Sequence[str], known: Sequence[int], path: Path) -> list[int]:
    chosen = []
    for name in names:
        digits = name.upper().removeprefix("R")
        if not digits.isdecimal() or int(digits) not in known:
            there = ", ".join(f"R{n}" for n in known)
            raise RecordingError(
                _("{path} has no run {name!r}; its runs are {there}").format(
                    path=path, name=name, there=there
                ),
                path=path,
            )
        chosen.append(int(digits))
    return chosen
