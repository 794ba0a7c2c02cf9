"""What a calibration teaches: a model is trained, judged and saved; and once more without electrodes gone bad since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from bci.acquisition import Recording
from bci.chunks import F64, Chunk, Marker
from bci.errors import BciError, RecordingError
from bci.language import _
from bci.pipeline import CuedScore, Model, Run, load_model, model_digest, save_model, task_events, train
from bci.pipeline.chain import rows_taken
from bci.pipeline.scoring import predict_run
from bci.report.visit import CalibrationPart
from bci.sessions.drift import BandPower, Reference, sees_movement
from bci.sessions.readiness import Judged, judge_calibration, training_run
from bci.sessions.store import VisitFolder

__all__ = ["learn", "learn_without", "recorded_runs"]


def learn(
    part: CalibrationPart,
    runs: Sequence[Run],
    folder: VisitFolder,
    *,
    task_s: float,
    budget_per_min: float,
    issued_s: float | None,
    left_out: Sequence[str] = (),
) -> CalibrationPart:
    """Train on the blocks of a calibration, judge, and save model and reference; a failure says why.

    Parameters
    ----------
    part : CalibrationPart
        What is known of the calibration.
    runs : sequence of Run
        Its blocks: pauses and spoilt trials are gaps, said to be.
    folder : VisitFolder
        Where model and reference go.
    task_s, budget_per_min, issued_s
        As `bci.pipeline.train` takes them.
    left_out : sequence of str
        Electrodes that the decoder shall not take.

    Returns
    -------
    part : CalibrationPart
        With figures, model and whether it is good enough; without a model and with a refusal where none came of it.
    """
    told: list[CuedScore] = []
    try:
        model = train(
            runs,
            labels=part.classes,
            task_s=task_s,
            budget_per_min=budget_per_min,
            issued_s=issued_s,
            left_out=left_out,
            tell_left_out=told.append,
        )
    except BciError as err:
        return msgspec.structs.replace(
            part, refusal=str(err), advice=(_("See to the electrodes, then calibrate again."),)
        )
    judged: Judged = judge_calibration(model, told[0] if told else None, labels=part.classes)
    path: Path = folder.free("model", ".safetensors")
    save_model(model, path)
    _reference(model, runs).write(folder.reference_of(path.name))
    return msgspec.structs.replace(
        part,
        cued=judged.cued,
        per_run=judged.per_run,
        reliability=judged.reliability,
        asynchronous=judged.asynchronous,
        ready=judged.ready,
        refusal=judged.refusal,
        advice=judged.advice,
        model=path.name,
        model_sha256=model_digest(model),
        left_out=model.chain.left_out,
    )


def learn_without(
    part: CalibrationPart, calibration: VisitFolder, today: VisitFolder, left_out: Sequence[str]
) -> CalibrationPart:
    """The same calibration, learnt anew from its recording without electrodes that have gone bad since.

    The model goes into today's folder; it says when the trials were made, not when it was learnt, so it runs out with
    them. Its figures are again those of left-out blocks.

    Raises
    ------
    RecordingError
        The recording is gone or damaged, or the visit does not say which of its samples count.
    ModelFileError
        The calibration's own model is.
    """
    old = load_model(calibration.path / part.model)
    found = learn(
        msgspec.structs.replace(part, model="", model_sha256="", ready=False),
        recorded_runs(part, calibration),
        today,
        task_s=old.timing.task_s,
        budget_per_min=old.validation.budget_per_min,
        issued_s=old.validation.issued_s,
        left_out=(*old.chain.left_out, *left_out),
    )
    before, now = calibration.reference_of(part.model), today.reference_of(found.model)
    if found.model and before.exists():  # impedances are those of the calibration
        kohm = Reference.read(before).impedance_kohm
        replace(Reference.read(now), impedance_kohm=kohm).write(now)
    return found


def recorded_runs(part: CalibrationPart, folder: VisitFolder) -> list[Run]:
    """The blocks of a calibration as the decoder first learnt from them, read from the recording.

    Raises
    ------
    RecordingError
        The recording is gone or damaged, or the visit does not say which of its samples count.
    """
    if not part.blocks:
        raise RecordingError(
            _("The visit in {folder} does not say what the decoder learnt from. Calibrate again.").format(
                folder=folder.path
            ),
            path=folder.path,
        )
    recording = Recording(folder.path / part.recording)
    chunks: list[list[Chunk]] = [[] for _block in part.blocks]
    cues: list[Marker] = []
    for chunk in recording:
        cues += [m for m in chunk.markers if m.source == "host" and m.label in part.classes]
        for block, (first, end) in zip(chunks, part.blocks, strict=True):
            if chunk.n_samples and first <= chunk.first_sample < end:
                block.append(chunk)
    kept = [m for m in cues if not any(first <= m.sample_index < end for first, end in part.spans)]
    runs = [
        training_run(
            recording.info,
            block,
            part.spans,
            [m for m in kept if first <= m.sample_index < end],
        )
        for block, (first, end) in zip(chunks, part.blocks, strict=True)
    ]
    return [run for run in runs if run.markers and run.chunks]


def _reference(model: Model, runs: Sequence[Run]) -> Reference:
    """What the signal at the electrodes taken was like: its power, and how often rest looked like movement."""
    info = replace(runs[0].info, channels=model.chain.channels)
    rows = model.chain.rows(runs[0].info)
    seconds: list[F64] = []
    for run in runs:
        power = BandPower(info)
        for chunk in run.chunks:
            seconds += power.process(rows_taken(chunk, rows))
    movements = [name for name in model.classes if name != "rest"]
    run, window = runs[-1], model.timing.window_samples
    busy = [(e.cue_sample, e.end_sample) for e in task_events(run, movements, task_s=model.timing.task_s)]
    resting = [
        sees_movement(prediction)
        for prediction in (predict_run(model, run) if model.asynchronous is not None else ())
        if not any(a < prediction.sample_index and prediction.sample_index - window < b for a, b in busy)
    ]
    seen = [moved for moved in resting if moved is not None]
    return Reference.of(info, np.array(seconds), movement_in_rest=float(np.mean(seen)) if seen else 0.0)
