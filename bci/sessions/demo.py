"""The whole way once: board → calibration → model → control of a hand → summary and report.

Nothing here decodes or decides; it puts the rooms in order and watches. In accelerated time the simulated board's
clock waits for this program, and the safety monitor's ticks come with the board's time. For the live part near the end
both run in real time, and only there are latencies measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bci._version import __version__
from bci.acquisition import open_source
from bci.acquisition.simulator import SimulatedBoard
from bci.chunks import Chunk, Marker, SignalInfo
from bci.dsp import QualityWatch
from bci.errors import DeviceTimeoutError, LabelError, NotCertifiedError
from bci.evaluation import wilson_interval
from bci.files import write_private
from bci.language import _, thing_word
from bci.pipeline import (
    Model,
    Run,
    certify,
    model_digest,
    save_model,
    split_runs,
    train,
)
from bci.prosthesis import Certificate, HandSimulator, Profile, SafetyMonitor
from bci.prosthesis.known_hands import TITLES
from bci.sessions.arming import Operator
from bci.sessions.control import ControlLoop
from bci.sessions.folder import DecisionLog, SessionFolder
from bci.sessions.live import LivePart, plan_live
from bci.sessions.observer import Observer, Silent
from bci.sessions.outcome import Outcome, summarise
from bci.sessions.room import DiskRoom, FreeMb, free_mb
from bci.sessions.run_trace import RunTrace, accepted_intents
from bci.sessions.run_view import RunView
from bci.sessions.staging import Stage, stage_recording, stage_synthetic
from bci.sessions.stop_key import STOP_KEYS, StopKey
from bci.sessions.summary import Summary
from bci.sessions.warm_up import Compiling

__all__ = ["DemoOptions", "run_demo"]

#: A board that streams nothing for so long has stopped.
SILENCE_S = 10.0
#: Of the disk: with the synthetic wearer everything takes 20 MB, with a long real recording twice that.
ROOM_MB = 50.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `bci demo` was asked for.

    Parameters
    ----------
    output : Path
        New folder for recording, model, logs and report.
    seed, intent
        Of the synthetic wearer.
    recording, subject, labels, unit, calibrate, control
        A real recording instead; see `stage_recording`.
    port : str, optional
        A board that is already there, whose trigger line carries the cues; it is run in real time.
    port_labels : mapping of int to str
        What its trigger codes mean.
    live_s : float
        Length of the part at real-time pace, s.
    budget_per_min : float, optional
        False activations per minute that the policy may cost; by default what the profile says.
    hand : str
        "simulated", or "ability" or "rh56": a simulated hand in a process of its own, on its real bytes.
    profile : Profile, optional
        The user's; by default one that follows from the classes.
    stop_key : bool
        Whether keys pressed in this terminal are STOP.
    free : callable
        Free megabytes of a folder.
    """

    output: Path
    seed: int = 0
    intent: float = 1.0
    recording: Path | None = None
    subject: str | None = None
    labels: Mapping[str, str] | None = None
    unit: str | None = None
    calibrate: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    port: str | None = None
    port_labels: Mapping[int, str] = field(default_factory=dict)
    baud: int = 921_600
    live_s: float = 8.0
    budget_per_min: float | None = None
    hand: str = "simulated"
    profile: Profile | None = None
    stop_key: bool = False
    free: FreeMb = free_mb


def run_demo(options: DemoOptions, observer: Observer | None = None) -> Summary:
    """Run the demonstration; returns its summary, which also lies in the session's folder.

    Raises
    ------
    DiskFullError
        Too little room; nothing has begun.
    BciError
        Any fault that ends it. The hand holds, everything is closed, and the recording up to then is readable.
    """
    with ExitStack() as stack:
        demo = _Demo(options, observer or Silent(), stack)
        model = demo.train(demo.calibrate())
        return demo.control(model)


class _Demo:
    def __init__(self, options: DemoOptions, observer: Observer, stack: ExitStack) -> None:
        self.options, self.observer, self.stack = options, observer, stack
        self.started_ns = time.monotonic_ns()
        self.folder = SessionFolder.create(options.output)
        DiskRoom(self.folder.path, options.free).require(ROOM_MB, reserve_mb=0.0)
        observer.stage(
            "prepare",
            _("starting the board; compiling the signal kernels beside it, the first time for some seconds"),
        )
        self._compiling = stack.enter_context(Compiling())
        self._play_file = self.folder.path / "played.npz"
        self.stage = self._stage()
        self.profile = options.profile or Profile.for_classes(self.stage.classes)
        self.profile.require(self.stage.classes)
        self.budget_per_min = options.budget_per_min or self.profile.budget_per_min
        self.board: SimulatedBoard | None = None
        port, labels = options.port, dict(options.port_labels)
        if port is None:
            self.board = SimulatedBoard(
                self.stage.signal, baud=options.baud, speed=0, truth_path=self.folder.path / "truth.jsonl"
            )
            stack.enter_context(self.board)
            port, labels = self.board.port, self.board.labels
            self._play_file.unlink(missing_ok=True)  # the board has it in memory
        self.source = stack.enter_context(
            open_source(
                port,
                baud=options.baud,
                labels=labels,
                record_to=self.folder.recording,
                notes={
                    "software": f"bci {__version__}",
                    "what": self.stage.title,
                    "runs": list(self.stage.runs),
                },
            )
        )
        self.port = port
        self.info: SignalInfo = self.source.info
        info = self.info
        self.quality = QualityWatch(info.n_channels, fs_hz=info.fs_hz, channels=info.channels)
        observer.note(
            _("{device} on {port}: {n} channels at {fs_hz:g} Hz").format(
                device=thing_word(info.device) or _("board"), port=port, n=info.n_channels, fs_hz=info.fs_hz
            )
        )

    def _stage(self) -> Stage:
        o = self.options
        if o.recording is None:
            return stage_synthetic(seed=o.seed, intent=o.intent)
        return stage_recording(
            o.recording,
            subject=o.subject,
            labels=o.labels,
            unit=o.unit,
            play_file=self._play_file,
            calibrate=o.calibrate,
            control=o.control,
        )

    # ---- calibration and training

    def calibrate(self) -> list[Run]:
        stage = self.stage
        names = stage.runs[: stage.n_calibration]
        self.observer.stage(
            "calibrate",
            _("{title}; {runs}, accelerated").format(title=stage.title, runs=_(", ").join(names)),
        )
        total, done = sum(stage.n_cues[: len(names)]), 0
        runs: list[Run] = []
        for name in names:
            chunks = []
            for chunk in self._stream(name):
                chunks.append(chunk)
                done += sum(marker.label in stage.classes for marker in chunk.markers)
                self.observer.progress(done, total, _("trials"))
            runs += split_runs(self.info, chunks)
        if not done:
            seen = sorted({marker.label for run in runs for marker in run.markers})
            raise LabelError(
                _(
                    "no cue came over the wire in {n} runs; events were: {seen}. Expected {classes}; name "
                    "the trigger line's codes with --code 1=rest --code 3=right"
                ).format(n=len(names), seen=", ".join(seen) or _("none"), classes=", ".join(stage.classes)),
                found=seen,
                expected=stage.classes,
            )
        return runs

    def train(self, runs: list[Run]) -> Model:
        self.observer.stage(
            "train",
            _("ensemble of tangent-space decoders; shares, calibration and policy on runs left out"),
        )
        self._compiling.wait_for_training()
        model = train(
            runs,
            labels=self.stage.classes,
            task_s=self.stage.task_s,
            budget_per_min=self.budget_per_min,
            issued_s=time.time(),
        )
        save_model(model, self.folder.model)
        if (control := model.validation.control) is not None:
            low, high = wilson_interval(control.hits, control.n_events)
            self.observer.note(
                _(
                    "at most {budget:g} false movements a minute; expected to follow {share:.0%} of the intended "
                    "ones (95 % {low:.0%}–{high:.0%})"
                ).format(budget=self.budget_per_min, share=control.true_positive_rate, low=low, high=high)
            )
        return model

    # ---- control

    def control(self, model: Model) -> Summary:
        stage, n = self.stage, self.stage.n_calibration
        certificate, refusal = _certificate(model)
        hand = self._hand()
        monitor = self.stack.enter_context(
            SafetyMonitor(
                self.profile,
                log_path=self.folder.events,
                certificate=certificate,
                hand="simulated" if hand is None else hand.spec,
                clock="monotonic" if self.board is None else "driven",
                model=model_digest(model),
                channels=self.info.channels,
            )
        )
        log = self.stack.enter_context(DecisionLog(self.folder.decisions))
        self._compiling.wait()
        loop = ControlLoop(model, self.info, monitor, self.profile)
        self.observer.stage(
            "control",
            _("{runs}: decoder → policy → safety monitor → hand").format(runs=_(", ").join(stage.runs[n:])),
        )
        self.observer.note(self.hand_title)
        if refusal:
            self.observer.note(_("The hand refuses to arm: {refusal}").format(refusal=refusal))
        elif self.options.stop_key:
            self.stack.enter_context(StopKey(lambda: monitor.stop("key")))
            self.observer.note(_("STOP: {keys}").format(keys=_(STOP_KEYS)))
        operator = Operator(monitor, fs_hz=self.info.fs_hz, refusal=refusal)
        runs: list[Run] = []
        traces: list[RunTrace] = []
        movements = tuple(name for name in stage.classes if name != "rest")
        for k, name in enumerate(stage.runs[n:], start=n):
            live: LivePart | None = None
            if self.board is not None and k == len(stage.runs) - 1:
                seconds = self.options.live_s
                live = plan_live(self.board, monitor, hand, run=k, movements=movements, seconds=seconds)
            chunks: list[Chunk] = []
            trace = RunTrace(name, self.info.fs_hz, 0)
            view = RunView(
                self.observer, trace, loop, monitor, stage=stage, quality=self.quality, fs_hz=self.info.fs_hz
            )
            for chunk in self._stream(name):
                if not chunks:
                    trace.first_sample = chunk.first_sample
                chunks.append(chunk)
                if live is not None:
                    live.advance(chunk.end_sample - trace.first_sample, time.monotonic_ns())
                measured = self.board is None or (live is not None and live.settled(time.monotonic_ns()))
                for decided in loop.feed(chunk, last_byte_ns=self.source.last_byte_ns if measured else None):
                    trace.add(decided, float(np.mean(monitor.state().position[:5])))
                    log.write((decided.prediction,))
                    if decided.prediction.valid:
                        operator.look(decided.prediction.sample_index)
                view.show(
                    chunk,
                    lost=self.source.statistics.samples_lost,
                    live=self.board is None or (live is not None and live.running),
                )
            if live is not None:
                live.end()
            runs += split_runs(self.info, chunks)
            traces.append(trace)
        monitor.sync()
        ended = monitor.close()
        log.close()
        statistics = self.source.statistics
        self.source.close()
        if operator.stopped:
            self.observer.note(_("STOP was pressed: the hand was held from then on."))
        elif not operator.armed and not refusal:
            self.observer.note(_("The hand was never armed: {refusal}").format(refusal=operator.refusal))
        return self._summarise(model, Outcome(runs, traces, operator, ended, statistics))

    def _hand(self) -> HandSimulator | None:
        """The simulated hand that is asked for, in a process of its own; None where the monitor's own will do."""
        name, title = self.options.hand, _(TITLES.get(self.options.hand, self.options.hand))
        self.hand_title = _("{hand}, inside the monitor's process").format(hand=title)
        if name == "simulated":
            return None
        clock = "wall" if self.board is None else "frames"
        hand = self.stack.enter_context(HandSimulator(name, clock=clock))
        self.hand_title = _("{hand}, simulated on its real bytes, {port}").format(hand=title, port=hand.port)
        return hand

    def _stream(self, run: str) -> Iterator[Chunk]:
        """START, all chunks of one run, STOP."""
        self.source.start()
        heard_ns = time.monotonic_ns()
        ended = False
        while not ended:
            chunks = self.source.read(0.5)
            if chunks:
                heard_ns = time.monotonic_ns()
            elif time.monotonic_ns() - heard_ns > SILENCE_S * 1e9:
                raise DeviceTimeoutError(
                    _("{run}: nothing came for {silence_s:g} s; check the board and its cable").format(
                        run=run, silence_s=SILENCE_S
                    ),
                    port=self.port,
                )
            for chunk in chunks:
                ended = ended or any(_ends_run(marker) for marker in chunk.markers)
                yield chunk
        self.source.stop()

    # ---- the end

    def _summarise(self, model: Model, outcome: Outcome) -> Summary:
        from bci.report import write_session_report  # draws pictures, so it loads only now

        self.observer.stage("report", _("scoring trials that were never trained on, drawing the report"))
        accepted = accepted_intents(self.folder.events)
        summary = summarise(model, outcome, accepted, stage=self.stage, info=self.info, folder=self.folder)
        summary.link |= {"baud": self.options.baud, "port": self.port}
        if (control := model.validation.control) is not None:
            summary.calibration["expected_hit_rate"] = control.true_positive_rate
        summary.what |= {"hand": self.options.hand, "hand_title": self.hand_title}
        write_session_report(
            self.folder.report,
            summary,
            model=model,
            runs=outcome.runs,
            traces=outcome.traces,
            accepted=accepted,
        )
        summary.what["seconds"] = (time.monotonic_ns() - self.started_ns) * 1e-9
        write_private(self.folder.summary, summary.to_json() + "\n")
        return summary


def _ends_run(marker: Marker) -> bool:
    return marker.source == "device" and marker.label == "run_end"


def _certificate(model: Model) -> tuple[Certificate | None, str]:
    try:
        return certify(model), ""
    except NotCertifiedError as err:
        return None, str(err)
