"""Run the steps one after the other, each with its verdict, and put together what they and the passive rules found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from firmware_protocol.codes import DeviceState, Opcode, Status
from firmware_protocol.conform.asking import About, about, put_back
from firmware_protocol.conform.host import Host, NoAnswer, Plan, Skip
from firmware_protocol.conform.line import Line
from firmware_protocol.conform.steps import STEPS, Step, Verdict
from firmware_protocol.errors import PortLostError
from firmware_protocol.layout import COMMANDS
from firmware_protocol.validator.findings import Cause, Finding, Hit, Window
from firmware_protocol.validator.report import Report
from firmware_protocol.validator.samples import load_numpy

__all__ = ["Conformance", "Observer", "conform"]

_MEETING_S = 4.0  # opening the port may have reset the board, and its boot loader waits
_QUEUE_EMPTY_S = 0.05  # without a byte: no packet of an earlier step comes into the next one
_LISTEN_S = 4.0  # to a device that cannot be understood
_LAST_STAGE = "FP79"  # looked at when the rest is over
_BUSY_S, _BUSY_PART = 1.0, 0.02  # for so long this program may wait for a processor, and nobody need know

Observer = Callable[[Step, Host], None]


@dataclass(slots=True)
class Conformance:
    """How a device did: its steps, and the report of all that it sent."""

    steps: list[Step]
    report: Report
    latencies_s: list[float]

    def of(self, verdict: Verdict) -> list[Step]:
        return [step for step in self.steps if step.verdict == verdict]

    def exit_status(self, *, strict: bool = False) -> int:
        """0 clean, 1 findings, 2 ended before its end, 3 nothing was heard that is a frame."""
        return self.report.exit_status(strict=strict)


def conform(
    line: Line,
    plan: Plan,
    *,
    name: str = "",
    steps: tuple[str, ...] = (),
    observe: Observer = lambda step, host: None,
) -> Conformance:
    """Test the device at the other end of `line`.

    Parameters
    ----------
    line : Line
    plan : Plan
    name : str
        Of the device, for the report.
    steps : tuple of str
        Which to run, by identifier, its beginning, or name; empty: all.
    observe : callable
        Told of each step when it begins, now and then while it runs, and when it is `over`.
    """
    load_numpy()
    host = Host(line, plan)
    began_s, held_s = host.now_s, host.held_up_s
    chosen = [Step(rule, act) for rule, act in STEPS if _selected(rule.id, rule.name, steps)]
    suite = _Suite(host, chosen, observe)
    cut_short = ""
    try:
        suite.run()
    except PortLostError as err:
        cut_short = str(err)
        suite.end(cut_short, blame=True)
    except KeyboardInterrupt:
        cut_short = suite.interrupted()
    report = _report(host, chosen, name, cut_short)
    held_s = host.held_up_s - held_s
    if held_s > max(_BUSY_S, _BUSY_PART * (host.now_s - began_s)):
        text = f"other programs kept this one waiting for {held_s:.1f} s: answers are timed without"
        report.notes.append(f"this computer was busy; {text}")
    return Conformance(chosen, report, host.latencies_s)


def _selected(id_: str, name: str, select: tuple[str, ...]) -> bool:
    return not select or any(id_.startswith(word) or name == word for word in select)


class _Suite:
    def __init__(self, host: Host, steps: list[Step], observe: Observer) -> None:
        self._host = host
        self._steps = steps
        self._observe = observe
        self._running: Step | None = None
        self._own: About | None = None  # what the device said of itself before anything was changed

    def run(self) -> None:
        """All steps, those that look back in the end."""
        host = self._host
        deaf = ""
        if self._meet():
            host.begin()
            with suppress(NoAnswer, Skip):
                self._own = about(host)
        else:
            deaf = "the device does not answer"
            self._never_answers()
        last = [step for step in self._steps if step.rule.id.startswith(_LAST_STAGE)]
        for step in self._steps:
            if step in last:
                continue
            if deaf:
                step.note = step.note or deaf
            else:
                self._run(step)
                if not self._ready():
                    deaf = f"the device no longer answers since the step {step.rule.name}"
                    if not step.findings:
                        self._add(
                            step, host.hit("the device no longer answers", "silence", "answers", key="deaf")
                        )
            self._done(step)
        if self._own is not None and not deaf:
            with suppress(NoAnswer, Skip):
                put_back(host, self._own)
        for step in last:
            if host.frames and not (deaf and step.rule.name == "reboot"):
                self._run(step)
            else:
                step.note = deaf
            self._done(step)

    def _done(self, step: Step) -> None:
        step.over = True
        self._observe(step, self._host)

    def end(self, why: str, *, blame: bool) -> None:
        """The test ends before its end; `blame`: for that the step that was running is to blame."""
        for step in self._steps:
            if step.over:
                continue
            if step is self._running and blame:
                self._add(step, self._host.hit("the port was lost in this step", why, key="lost"))
            else:
                step.verdict = Verdict.NOT_RUN if not step.findings else step.verdict
                step.note = why
            self._done(step)

    def interrupted(self) -> str:
        """Ctrl-C: no step more, but the device is left as it is after a whole test. What to say of it."""
        left = [step for step in self._steps if not step.over]
        within = f" in step {self._running.rule.name}" if self._running in left and self._running else ""
        self.end("interrupted by Ctrl-C", blame=False)
        after = "" if self._put_at_rest() else "; the device was not put back: switch it off and on"
        return f"interrupted by Ctrl-C{within}, {len(left)} of {len(self._steps)} steps not run{after}"

    def _put_at_rest(self) -> bool:
        """Whether the device stands still, with lead-off and test signals off and its own rate and gains."""
        host = self._host
        host.on_idle = lambda: None
        host.listen_apart(frozenset({"FP"}))  # bytes that were just read when it was interrupted are missing
        try:
            host.send(Opcode.STOP)
            if not self._ready():
                return False
            if self._own is not None:
                put_back(host, self._own)
        except (NoAnswer, Skip, PortLostError, KeyboardInterrupt):
            return False
        return True

    def _meet(self) -> bool:
        """Whether the device answers at all; it is brought to rest, whatever it did before."""
        host = self._host
        host.write(b"\x00")
        end_s = host.now_s + _MEETING_S
        while host.now_s < end_s:
            if host.answer_to(host.send(Opcode.IDENTIFY), 0.5) is not None:
                return self._ready()
        return False

    def _ready(self) -> bool:
        """Bring the device to idle after a step, whatever happened in it; whether it answers."""
        host = self._host
        host.keepalive_s = None
        for attempt in range(3):
            response = host.answer_to(host.send(Opcode.IDENTIFY), 0.5 + attempt)
            if response is None:
                continue
            form = COMMANDS[Opcode.IDENTIFY].result_struct
            at_rest = response.status == Status.OK and len(response.payload) == form.size
            if not at_rest or form.unpack(response.payload)[1] != DeviceState.IDLE:
                host.answer_to(host.send(Opcode.STOP), 0.5)
            host.drain(_QUEUE_EMPTY_S)
            return True
        return False

    def _never_answers(self) -> None:
        """Hear what it sends all the same, idle and after a START that it may have understood."""
        host = self._host
        host.listen(_LISTEN_S / 2)
        host.send(Opcode.START, 2000)
        host.listen(_LISTEN_S)
        host.send(Opcode.STOP)
        host.listen(0.5)
        if self._steps:
            first = self._steps[0]
            heard = f"{host.frames} packets heard" if host.frames else f"{host.size} bytes heard, no packet"
            self._add(
                first, host.hit("no COMMAND was answered", heard, "a RESPONSE within 250 ms", key="never")
            )
            first.note = heard

    def _run(self, step: Step) -> None:
        host = self._host
        self._running = step
        host.heard.clear()
        began_s = host.now_s
        host.on_idle = lambda: self._tick(step, began_s)
        self._observe(step, host)
        step.verdict = Verdict.PASSED
        try:
            for hit in step.act(host):
                self._add(step, hit)
        except NoAnswer as err:
            waited = f"no RESPONSE for {err.waited_s:.1f} s"
            self._add(step, host.hit(str(err), waited, "a RESPONSE within 250 ms", key="silent"))
        except Skip as err:
            if err.see and not self._failed(err.see):
                self._add(step, host.hit(str(err), key="skip"))
            else:
                step.note = f"{err}, see {err.see}" if err.see else str(err)
                if step.verdict == Verdict.PASSED:
                    step.verdict = Verdict.SKIPPED
        host.keepalive_s = None
        step.seconds = host.now_s - began_s
        host.on_idle = lambda: None

    def _failed(self, name: str) -> bool:
        return any(step.rule.name == name and step.verdict == Verdict.FAILED for step in self._steps)

    def _tick(self, step: Step, began_s: float) -> None:
        step.seconds = self._host.now_s - began_s
        self._observe(step, self._host)

    def _add(self, step: Step, hit: Hit) -> None:
        step.verdict = Verdict.FAILED
        host = self._host
        start, data = host.window(hit.span)
        us = hit.t_us
        step.findings.append(
            Finding(
                step.rule,
                hit.span[0],
                host.packet if hit.packet is None else hit.packet,
                None if us is None else us / 1e6,
                hit.text,
                hit.got,
                hit.expected,
                hit.key,
                Window(start, data, hit.span) if data else None,
            )
        )


def _report(host: Host, steps: list[Step], name: str, cut_short: str) -> Report:
    """One report of the passive rules on all that was heard, and of the steps."""
    main, *others = [checker.finish(name) for checker in host.checkers]
    takes = host.plan.selection.takes
    findings = [finding for step in steps for finding in step.findings if takes(step.rule)]
    counts = Counter(main.counts)
    counts.update((finding.rule.id, finding.key) for finding in findings)
    causes: dict[str, Cause] = {cause.name: cause for cause in main.causes}
    passive = list(main.findings)
    for other in others:
        counts.update(other.counts)
        passive += other.findings
        for cause in other.causes:
            causes.setdefault(cause.name, cause)
    main.findings = [*findings, *passive]
    main.counts = counts
    main.causes = list(causes.values())
    main.selection = host.plan.selection
    main.places += [(finding.offset, finding.rule.level) for finding in findings]
    main.steps = [
        {
            "rule": step.rule.id,
            "name": step.rule.name,
            "section": step.rule.section,
            "verdict": str(step.verdict),
            "seconds": round(step.seconds, 3),
            "findings": len(step.findings),
            "note": step.note,
        }
        for step in steps
    ]
    if host.latencies_s:
        ordered = sorted(host.latencies_s)
        middle, last = ordered[len(ordered) // 2], ordered[-1]
        main.notes.append(
            f"{len(ordered)} COMMANDs were answered, half of them within {middle * 1000:.1f} ms, all within "
            f"{last * 1000:.1f} ms"
        )
    if not main.frames:
        main.notes.append(f"{host.size:,} bytes came, and no packet among them")
    main.cut_short = cut_short
    return main
