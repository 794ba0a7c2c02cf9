"""One visit from cap on to report: signal check, calibration, control, in this order or each by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bci._version import __version__
from bci.errors import DeviceError, ElectrodesError, NotCertifiedError, RecordingError
from bci.language import _, language
from bci.pipeline import Model, certify, load_model
from bci.prosthesis import Certificate
from bci.report.visit import CalibrationPart, CheckPart, ElectrodeState, Equipment, Visit
from bci.sessions.bench import Bench
from bci.sessions.calibrating import CalibrationOptions, announce, calibrate, result_sentence
from bci.sessions.controlling import ControlOptions, control
from bci.sessions.drift import Reference
from bci.sessions.electrodes import Electrode
from bci.sessions.fitting import fitting_model, fitting_profile
from bci.sessions.guided import CalibrationPlan
from bci.sessions.learning import learn_without
from bci.sessions.room import DiskRoom, FreeMb, free_mb
from bci.sessions.screen import Screen, button, stage
from bci.sessions.signal_check import Gate, SignalCheck
from bci.sessions.store import SessionStore, VisitFolder
from bci.sessions.warm_up import Compiling

__all__ = ["Clinic", "equipment_of"]


class Clinic:
    """The steps of one visit on one board.

    Parameters
    ----------
    store : SessionStore
    bench : Bench
        Open and idle.
    screen : Screen
    user : str
        Id of a user in the store; "" makes a new one.
    person : bool
        Somebody watches and presses keys.
    gate : Gate
        Whether bad electrodes may pass.
    free : callable
        Free megabytes of a folder.

    Attributes
    ----------
    user : str
        "" until a new one is made.
    warning : str
        That the computer's clock was set back, if it was.
    seen : tuple of Electrode
        The newest look at the electrodes, also where it refused.
    recalibration_wanted : bool
        Somebody ended the control to calibrate again.

    Raises
    ------
    RecordingError
        There is no such user.
    """

    def __init__(
        self,
        store: SessionStore,
        bench: Bench,
        screen: Screen,
        *,
        user: str = "",
        person: bool,
        gate: Gate | None = None,
        free: FreeMb = free_mb,
    ) -> None:
        self.store, self.bench, self.screen, self.person = store, bench, screen, person
        self.gate = gate or Gate()
        self.free = free
        if user:
            store.require(user)
        self.user = user
        self.seen: tuple[Electrode, ...] = ()
        self.recalibration_wanted = False
        self.warning = ""
        self._folder: VisitFolder | None = None
        if user and (warning := store.clock_warning(user)):
            self.warning = warning
            screen.show(notes=[warning])

    @property
    def folder(self) -> VisitFolder:
        """Of this visit, and with it a new user, made when there is something to keep."""
        if self._folder is None:
            self.user = self.user or self.store.new_user()
            self._folder = self.store.visit(self.user, self.bench.info, equipment=equipment_of(self.bench))
        return self._folder

    @property
    def begun(self) -> bool:
        """There is something to keep."""
        return self._folder is not None

    def check(self) -> bool:
        """The signal check before anything else; False if somebody ended it. ElectrodesError as of `SignalCheck`."""
        part = self._look(self.gate, refuse=True)
        if part is None:
            return False
        self._keep(lambda visit: msgspec.structs.replace(visit, before=part))
        return True

    def calibrate(self, options: CalibrationOptions, *, compiling: Compiling | None = None) -> Visit | None:
        """The guided calibration, after saying what comes; None if somebody ended it before it began.

        Electrodes that were bad at the signal check do not go into the decoder.

        Raises
        ------
        ElectrodesError
            Fewer than two electrodes are left.
        """
        before = self.folder.read().before
        if before is not None:  # what is bad and passed all the same teaches nothing
            bad = tuple(e.name for e in before.electrodes if e.level == "bad")
            _require_two(before.electrodes, bad)
            options = replace(options, left_out=bad, override=before.override)
        self.screen.show(
            stage=stage(_("Calibration"), announce(options), button("next", _("Begin")), _quit())
        )
        if not self._go_on():
            return None
        visit = calibrate(
            self.bench,
            self.store,
            self.folder,
            self.screen,
            options,
            person=self.person,
            room=DiskRoom(self.folder.path, self.free),
            compiling=compiling,
        )
        self._keep_impedances(visit)
        return visit

    def control(self, options: ControlOptions) -> Visit:
        """The control session with the newest calibration that is ready, and a look at the electrodes after it.

        Where electrodes that its decoder takes have gone bad since and somebody went on all the same, the decoder is
        learnt anew from the calibration's recording without them, and judged anew.

        Raises
        ------
        NotCertifiedError, ModelFileError, MontageMismatchError, RateMismatchError, ProfileError, RecordingError
            There is no such calibration, or it does not fit what is there now.
        """
        fitting = self._without_overridden(self._fitting())
        model, learnt = fitting.model, fitting.part
        reference = fitting.folder.reference_of(learnt.model)
        profile = fitting_profile(self.store.profile(self.user), model, user=self.user)
        options = replace(options, movement=learnt.movement)
        visit, ending = control(
            self.bench,
            self.store,
            self.folder,
            self.screen,
            options,
            model=model,
            model_name=f"{fitting.folder.path.name}/{learnt.model}",
            certificate=fitting.certificate,
            reference=Reference.read(reference) if reference.exists() else None,
            profile=profile,
            person=self.person,
            room=DiskRoom(self.folder.path, self.free),
        )
        self.recalibration_wanted = ending == "recalibrate"
        try:
            part = self._look(Gate(), refuse=False)
        except DeviceError:  # the board is gone; the session is over anyway
            return visit
        return self._keep(lambda now: msgspec.structs.replace(now, after=part))

    def like_before(self, plan: CalibrationPlan) -> CalibrationOptions:
        """A calibration of this plan, asked as the user's newest one was, and with the budget of the profile."""
        profile = self.store.profile(self.user) if self.user else None
        options = (
            CalibrationOptions()
            if profile is None
            else CalibrationOptions(budget_per_min=profile.budget_per_min)
        )
        for row in reversed(self.store.visits(self.user) if self.user else ()):
            part = self.store.folder(self.user, row.session).read().calibration
            if part is not None:
                plan = replace(plan, classes=part.classes)
                return replace(options, plan=plan, movement=part.movement)
        return replace(options, plan=plan)

    def require_calibration(self) -> None:
        """See that there is a calibration to control with, before anybody presses a key, and let the signal check need
        the electrodes that its decoder takes and no others. Errors as of `control`."""
        self.gate = replace(self.gate, needed=self._fitting().model.chain.channels)

    def control_result(self) -> str:
        """The measured check in words, "" where none was done."""
        part = self.folder.read().control
        if part is None:
            return ""
        if part.movements is None:
            return _("Nothing was measured: the check of rest and movement was not done with the hand armed.")
        found = part.movements
        low, high = found["interval_95"] or (0.0, 0.0)
        return _(
            "{hits} of {n} movements were followed; {rate} false movements a minute (95 % {low}–{high}), measured over "
            "{minutes} minutes of rest."
        ).format(
            hits=found["hits"],
            n=found["cued_movements"],
            rate=f"{found['false_movements_per_min']:.1f}",
            low=f"{low:.1f}",
            high=f"{high:.1f}",
            minutes=f"{found['idle_minutes']:.1f}",
        )

    def result(self) -> str:
        """The calibration's result in words, "" where there is none."""
        part = self.folder.read().calibration
        return "" if part is None else result_sentence(part)

    def report(self) -> Path:
        """Write the report of this visit."""
        from bci.report import write_visit_report  # draws pictures, so it loads only now

        write_visit_report(self.folder.report, self.folder.read(), self.folder.path, language=language())
        return self.folder.report

    # ---- below

    def _look(self, gate: Gate, *, refuse: bool) -> CheckPart | None:
        check = SignalCheck(
            self.bench,
            self.screen,
            gate,
            person=self.person and refuse,
            refuse=refuse,
            wall_clock=self.store.wall_clock,
        )
        try:
            return check.run()
        finally:
            self.seen = check.electrodes

    def _keep(self, change: Callable[[Visit], Visit]) -> Visit:
        visit = change(self.folder.read())
        self.store.keep(self.folder, visit)
        return visit

    def _go_on(self) -> bool:
        """Wait until "next" is pressed; nobody is waited for where nobody watches."""
        while self.person:
            for action in self.screen.actions():
                if action in ("next", "quit"):
                    return action == "next"
            self.bench.idle()
        return True

    def _keep_impedances(self, visit: Visit) -> None:
        """The drift watch compares with the impedances of the check."""
        if visit.before is None or visit.calibration is None or not visit.calibration.model:
            return
        path = self.folder.reference_of(visit.calibration.model)
        found = {e.name: e.impedance_kohm for e in visit.before.electrodes if e.impedance_kohm is not None}
        replace(Reference.read(path), impedance_kohm=found).write(path)

    def _fitting(self) -> _Fitting:
        """The newest calibration of this user that gave a model."""
        for row in reversed(self.store.visits(self.user)):
            folder = self.store.folder(self.user, row.session)
            part = folder.read().calibration
            if part is None or not part.model:
                continue
            _require_ready(part)
            model, certificate = fitting_model(folder, part, self.bench.info, now_s=self.store.wall_clock())
            return _Fitting(folder, part, model, certificate)
        raise RecordingError(
            _("User {user} has no calibration yet. Run: bci calibrate --user {user}").format(user=self.user),
            path=self.store.root,
        )

    def _without_overridden(self, fitting: _Fitting) -> _Fitting:
        """The same, learnt anew where somebody answered for electrodes that the decoder takes."""
        before = self.folder.read().before
        overridden = before.override.electrodes if before is not None and before.override is not None else ()
        bad = [name for name in overridden if name in fitting.model.chain.channels]
        if not bad:
            return fitting
        text = _("Learning anew without {names} …").format(names=_(", ").join(bad))
        self.screen.show(stage=stage(_("Control"), text))
        part = learn_without(fitting.part, fitting.folder, self.folder, bad)
        _require_ready(part)
        model = load_model(self.folder.path / part.model)
        return _Fitting(self.folder, part, model, certify(model))


@dataclass(frozen=True, slots=True)
class _Fitting:
    """A calibration that fits what is there now, and the folder of its model and reference."""

    folder: VisitFolder
    part: CalibrationPart
    model: Model
    certificate: Certificate


def _require_two(electrodes: Sequence[ElectrodeState], bad: Sequence[str]) -> None:
    if len(electrodes) - len(bad) < 2:
        raise ElectrodesError(
            _("Too few electrodes are left for a decoder: {n} of {all}. Wet the others again.").format(
                n=len(electrodes) - len(bad), all=len(electrodes)
            ),
            electrodes=tuple(bad),
        )


def _require_ready(part: CalibrationPart) -> None:
    if not part.ready:
        raise NotCertifiedError(
            _("The hand stays disarmed. {why} {advice}").format(
                why=part.refusal, advice=" ".join(part.advice)
            )
        )


def equipment_of(bench: Bench) -> Equipment:
    """What is on the port."""
    info = bench.info
    device, _sep, firmware = info.device.rpartition(" ")
    return Equipment(
        software=f"bci {__version__}",
        device=device or info.device,
        device_id=info.device,
        firmware=firmware,
        channels=info.channels,
        fs_hz=info.fs_hz,
        simulated=bench.simulated,
    )


def _quit() -> dict[str, str]:
    return button("quit", _("End"))
