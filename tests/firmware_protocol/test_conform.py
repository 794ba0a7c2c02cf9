"""`conform` against devices that keep the specification, and how it behaves where nothing can be tested."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import firmware_protocol
from firmware_protocol import DeviceConfig, ReferenceDevice
from firmware_protocol._configuration import Outcome
from firmware_protocol.codec import encode_command
from firmware_protocol.codes import LeadOff, Opcode, Pattern, Status, TestSignal
from firmware_protocol.conform import STEPS, Host, Plan, PortLine, Step, Verdict, conform
from firmware_protocol.conform.host import words
from firmware_protocol.conform.samples import _named
from firmware_protocol.errors import PortLostError
from firmware_protocol.frames import Command, Data
from firmware_protocol.layout import COMMANDS
from firmware_protocol.patterns import pattern_counts
from firmware_protocol.validator import RULES, Selection
from firmware_protocol.validator.machine import as_json, as_junit, as_sarif
from firmware_protocol.validator.page import as_html
from firmware_protocol.validator.paint import Paint
from firmware_protocol.validator.text import report_lines
from tests.firmware_protocol.bench import LABELS, Desk
from tests.firmware_protocol.wrong_devices import WRONG

QUICK = Plan(quick=True, soak_s=3, seed=1)
#: What a device in memory cannot show, and --quick does not wait for.
_SKIPPED = {"reboot", "watchdog-default", "overload", "responses-first"}


def device(**config: Any) -> ReferenceDevice:
    return ReferenceDevice(DeviceConfig(**({"labels": LABELS, "boot_id": 0xC0FFEE11} | config)))


def findings(line: Any, plan: Plan = QUICK) -> tuple[list[str], set[str]]:
    """What was found, in words, and the steps that were skipped."""
    result = conform(line, plan)
    said = [f"{f.rule.id} {f.text}: {f.got}, expected {f.expected}" for f in result.report.findings]
    said += [f"{cause.rule.id} {cause.name}: {cause.text}" for cause in result.report.causes]
    assert bool(said) == bool(result.exit_status(strict=True))
    assert not result.of(Verdict.NOT_RUN)
    return said, {step.rule.name for step in result.of(Verdict.SKIPPED)}


@pytest.mark.parametrize(
    ("config", "baud"),
    [
        ({}, 115_200),
        ({"labels": tuple(f"E{k}" for k in range(24)), "samples_per_frame": 4}, 1_000_000),
        ({"labels": LABELS[:5], "has_status": False, "samples_per_frame": 7}, 115_200),
        ({"labels": LABELS[:4], "channels_per_converter": 4, "rate": Fraction(500, 3)}, 921_600),
        ({"sample_index": 2**32 - 300, "link_seq": 65_500, "gain": 6}, 115_200),
    ],
    ids=["8 channels", "24 channels", "no status words", "rate 500/3", "counters wrap"],
)
def test_the_reference_device_has_no_findings(config: dict[str, Any], baud: int) -> None:
    plan = Plan(baud=baud, quick=True, soak_s=3, seed=1)
    said, skipped = findings(Desk(device(**config), baud=baud), plan)
    assert said == []
    assert skipped <= _SKIPPED


def test_all_steps_at_full_length_find_nothing() -> None:
    said, skipped = findings(Desk(device()), Plan(soak_s=5, seed=2))
    assert said == []
    assert skipped == {"reboot"}


@pytest.mark.nightly
def test_a_soak_of_an_hour_finds_nothing() -> None:
    assert findings(Desk(device()), Plan(soak_s=3600, seed=3))[0] == []


class Bare(ReferenceDevice):
    """A board whose converter cannot be set: it knows every opcode and answers UNSUPPORTED to most."""

    def _execute(self, command: Command) -> Outcome:
        form = COMMANDS.get(Opcode(command.opcode)) if command.opcode in frozenset(Opcode) else None
        needs_none = {Opcode.IDENTIFY, Opcode.START, Opcode.STOP, Opcode.TEST_PATTERN, Opcode.RESET_COUNTERS}
        size, given = (form.struct.size, len(command.payload)) if form else (0, 0)
        right = form is not None and (given > size if form.more_arguments else given == size)
        if form is None or not right or command.opcode in needs_none:
            return super()._execute(command)
        busy = self.streaming and not form.while_streaming
        return Outcome(Status.BUSY if busy else Status.UNSUPPORTED)


class OddInOneStream(ReferenceDevice):
    """Drops `dropped` conversions in stream `odd`, and at its STOP counts `uncounted` too few."""

    def __init__(self, odd: int, *, dropped: int = 0, uncounted: int = 0) -> None:
        super().__init__(DeviceConfig(labels=LABELS))
        self._left, self._dropped, self._uncounted = odd, dropped, uncounted

    def _start(self, watchdog_ms: int = 5000) -> Outcome:
        outcome = super()._start(watchdog_ms)
        self._left -= 1
        if not self._left:
            self.miss(self._dropped)
        return outcome

    def _stop(self) -> Outcome:
        outcome = super()._stop()
        told = self._heartbeat(self._outbox.final)
        wrong = replace(told, sample_index=told.sample_index - self._uncounted)
        return outcome if self._left else outcome._replace(results=wrong.counters())


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_conversions_dropped_in_one_stream_are_no_fault_of_the_next(odd: int) -> None:
    [step] = conform(Desk(OddInOneStream(odd, dropped=7)), QUICK, steps=("stop-account",)).steps
    assert (step.verdict, step.findings) == (Verdict.PASSED, [])


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_a_wrong_account_is_blamed_on_the_stream_it_is_of(odd: int) -> None:
    """Though all others were right, and conversions were dropped."""
    desk = Desk(OddInOneStream(odd, dropped=7, uncounted=4))
    [step] = conform(desk, QUICK, steps=("stop-account",)).steps
    assert [finding.key for finding in step.findings] == ["account", "beat differs"]
    made, received = (int(text.split()[0]) for text in (step.findings[0].got, step.findings[0].expected))
    assert received - made == 4


def test_a_board_that_sends_no_data_is_not_said_to_send_no_heartbeat() -> None:
    [step] = conform(WRONG["never-streams"].make(), QUICK, steps=("heartbeat-atomic",)).steps
    assert (step.verdict, step.findings) == (Verdict.PASSED, [])


class WithoutConverter(ReferenceDevice):
    """Its converter does not answer on the bus."""

    def _execute(self, command: Command) -> Outcome:
        outcome = super()._execute(command)
        return Outcome(Status.FAILED) if command.opcode == Opcode.SET_CHANNEL else outcome


def test_a_step_that_needs_a_command_says_how_it_was_answered() -> None:
    desk = Desk(WithoutConverter(DeviceConfig(labels=LABELS)))
    [step] = conform(desk, QUICK, steps=("repeat-answered",)).steps
    assert [finding.text for finding in step.findings] == ["SET_CHANNEL is answered FAILED"]


def test_a_board_without_any_hardware_to_set_has_no_findings() -> None:
    said, skipped = findings(Desk(Bare(DeviceConfig(labels=LABELS, boot_id=9))))
    assert said == []
    assert {"set-channel", "test-signal", "write-register", "repeat-answered"} <= skipped


def test_the_device_is_left_as_it_was_found() -> None:
    desk = Desk(device(gain=6, rate=Fraction(500)))
    before = [page.uv_per_count for page in desk.device.info()]
    conform(desk, QUICK, steps=("repeat-answered", "FP74", "test-signal", "commands-while-streaming"))
    after = desk.device.info()
    assert [page.uv_per_count for page in after] == before
    assert (desk.device.rate, desk.device.lead_off, desk.device.streaming) == (500, 0, False)


def test_a_stream_of_an_earlier_program_is_stopped_first() -> None:
    desk = Desk(device())
    desk.device._start(0)
    assert conform(desk, QUICK, steps=("identify", "idle-cadence", "start")).exit_status() == 0


# ---- where nothing can be tested ----


class Silence:
    """A line with nothing at its end."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    def read(self, timeout_s: float) -> bytes:
        self._now_s += max(timeout_s, 1e-3)
        return b""

    def write(self, data: bytes) -> None:
        pass


def test_a_line_without_a_device_is_no_frames() -> None:
    result = conform(Silence(), QUICK)
    assert result.exit_status() == 3
    assert [step.rule.name for step in result.of(Verdict.FAILED)] == ["answers"]
    assert len(result.of(Verdict.NOT_RUN)) == len(STEPS) - 1
    assert "0 bytes came" in result.report.notes[0]


class Unplugged(Desk):
    """The cable is pulled after so many seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(device())
        self._after_s = after_s

    def read(self, timeout_s: float) -> bytes:
        if self.now_s() > self._after_s:
            raise PortLostError("lost /dev/ttyX: check cable and power", port="/dev/ttyX")
        return super().read(timeout_s)


@pytest.mark.parametrize("after_s", [0.01, 12.0])
def test_a_port_that_is_lost_ends_the_test_with_what_came_before(after_s: float) -> None:
    result = conform(Unplugged(after_s), QUICK)
    assert result.exit_status() == 2
    assert "check cable" in result.report.cut_short
    passed = len(result.of(Verdict.PASSED))
    assert (passed > 5) == (after_s > 1)
    assert len(result.of(Verdict.FAILED)) == (after_s > 1)
    assert all(step.over for step in result.steps)


class Interrupted(Desk):
    """Somebody presses Ctrl-C after so many seconds, and again and again if `hasty`."""

    def __init__(self, after_s: float, *, hasty: bool = False) -> None:
        super().__init__(device(rate=Fraction(500)))
        self._after_s, self._hasty, self._pressed = after_s, hasty, False

    def read(self, timeout_s: float) -> bytes:
        if self.now_s() > self._after_s and (self._hasty or not self._pressed):
            self._pressed = True
            raise KeyboardInterrupt
        return super().read(timeout_s)


def test_ctrl_c_stops_the_stream_and_reports_what_came_before() -> None:
    desk = Interrupted(2.0)
    result = conform(desk, QUICK, steps=("answers", "start", "soak", "reboot"))
    assert result.exit_status() == 2
    assert [step.verdict for step in result.steps] == [Verdict.PASSED] * 2 + [Verdict.NOT_RUN] * 2
    assert result.report.cut_short == "interrupted by Ctrl-C in step soak, 2 of 4 steps not run"
    assert not result.report.fails()
    assert not desk.device.streaming


def test_every_form_of_report_says_that_the_test_was_cut_short() -> None:
    report = conform(Interrupted(2.0), QUICK, steps=("start", "soak")).report
    said = "interrupted by Ctrl-C in step soak"
    last = [*report_lines(report, Paint(colour=False))][-1]
    assert last.startswith("not finished, clean so far: ")
    assert said in last
    form = json.loads(as_json(report))
    assert form["exit_status"] == 2
    assert said in form["cut_short"]
    suite = ElementTree.fromstring(as_junit(report))
    assert suite.get("errors") == "1"
    assert said in suite.findall("testcase/error")[0].get("message", "")
    (run,) = json.loads(as_sarif(report))["runs"]
    assert said in run["invocations"][0]["exitCodeDescription"]
    page = as_html(report)
    assert said in page
    assert "Not finished" in page
    assert ">Clean<" not in page


@pytest.mark.parametrize("after_s", [k / 4 for k in range(20)])
def test_ctrl_c_leaves_the_device_as_a_whole_test_does(after_s: float) -> None:
    """Whatever was on just then: another rate or gain, lead-off currents, a test signal or pattern."""
    desk = Interrupted(after_s)
    desk.device.receive(encode_command(Command(0, 0, 1, Opcode.SET_CHANNEL, bytes([3, 6, 0, 1]))), 0)
    own = desk.device.uv_per_count
    result = conform(desk, QUICK, steps=("FP74", "FP75"))
    assert result.exit_status() == 2
    assert "not put back" not in result.report.cut_short
    setup = desk.device.setup
    assert (setup.lead_off, setup.pattern, desk.device.streaming) == (LeadOff.OFF, Pattern.OFF, False)
    assert setup.test_signal == TestSignal.OFF
    assert (desk.device.rate, desk.device.uv_per_count) == (Fraction(500), own)


def test_a_second_ctrl_c_says_that_the_device_was_not_put_back() -> None:
    desk = Interrupted(2.0, hasty=True)
    result = conform(desk, QUICK, steps=("start", "soak"))
    assert "not put back: switch it off and on" in result.report.cut_short
    desk._pass(100_000)
    assert not desk.device.streaming  # STOP was sent all the same


class Busy(PortLine):
    """A computer on which this program is held up: for 0.4 s behind each answer (`asleep`), or often and shortly."""

    def __init__(self, *, asleep: bool = True, known: bool = True, delay_s: float = 0.0) -> None:
        self.desk = Desk(device(), outward=self._later)
        self._asleep, self._known, self._delay_s, self._held_s = asleep, known, delay_s, 0.0

    def _later(self, data: bytes) -> bytes:
        self.desk._out_free_us += self._delay_s * 1e6
        return data

    def now_s(self) -> float:
        return self.desk.now_s() + (self._held_s if self._asleep else 0.0)

    def held_up_s(self) -> float:
        return self._held_s if self._known else 0.0

    def read(self, timeout_s: float) -> bytes:
        data = self.desk.read(timeout_s)
        self._held_s += (0.4 if data else 0.0) if self._asleep else 0.6 * timeout_s
        return data

    def write(self, data: bytes) -> None:
        self.desk.write(data)


def test_what_other_programs_took_of_the_processor_is_no_time_of_the_device() -> None:
    steps = ("answers", "identify", "response-time")
    calm, blamed = (conform(Busy(known=known), QUICK, steps=steps) for known in (True, False))
    assert (calm.exit_status(strict=True), calm.report.findings) == (0, [])
    assert any("this computer was busy" in note for note in calm.report.notes)
    assert "FP791" in {finding.rule.id for finding in blamed.report.findings}


def test_a_slow_device_is_late_however_busy_the_computer_is() -> None:
    """Only what may lie between an answer and its reading is taken off, not all that was lost while it was awaited."""
    result = conform(Busy(asleep=False, delay_s=0.4), QUICK, steps=("answers", "response-time"))
    assert "FP791" in {finding.rule.id for finding in result.report.findings}


def test_what_takes_long_to_load_is_there_before_the_device_is_spoken_to() -> None:
    """numpy, loaded in the middle, made an answer 400 ms late on a busy computer."""
    program = """
import sys
from firmware_protocol.conform import Plan, conform
class Line:
    now = 0.0
    def now_s(self): return self.now
    def write(self, data): assert "numpy" in sys.modules, "not yet"
    def read(self, timeout_s): self.now += 1.0; return b""
assert "numpy" not in sys.modules
conform(Line(), Plan())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_that_says_what_cannot_be_does_not_end_the_test() -> None:
    """Nine channels of converters of eight: no DATA is so, and none can be reckoned with."""
    result = conform(WRONG["identify-channels"].make(), QUICK, steps=("identify", "overload"))
    identify, overload = result.steps
    assert identify.verdict == Verdict.FAILED
    assert (overload.verdict, result.exit_status()) == (Verdict.SKIPPED, 1)
    assert "see identify" in overload.note


class Booting(Desk):
    """Opening the port resets the board; its boot loader talks, then it comes up with another boot_id."""

    def __init__(self) -> None:
        super().__init__(device(boot_id=0x0BADB007))
        self._down = False

    def read(self, timeout_s: float) -> bytes:
        data = super().read(timeout_s)
        if self.now_us < 1_500_000:
            return b"boot 1.2\r\n" if data else b""
        if not self._down:
            self._down = True
            self.device, self.boot_us = device(), self.now_us
        return data


def test_a_board_that_boots_when_its_port_is_opened_is_waited_for() -> None:
    assert findings(Booting(), QUICK)[0] == []


class Rebooting(Desk):
    """Somebody presses the reset button after so many seconds."""

    def __init__(self, **config: Any) -> None:
        super().__init__(device())
        self._config = config

    def _pass(self, us: int) -> None:
        super()._pass(us)
        if self._config and self.now_us > 2_500_000:
            self.device = device(**self._config)
            self.boot_us = self.now_us
            self._config = {}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"boot_id": 0x0BADB007}, None),
        ({"boot_id": 0x0BADB007, "sample_index": 77}, "counters"),
        ({}, "same"),
    ],
)
def test_reset_by_hand_gives_another_boot_id_and_new_counters(
    config: dict[str, Any], key: str | None
) -> None:
    plan = Plan(quick=True, reboot_s=8, seed=1)
    result = conform(Rebooting(**config), plan, steps=("reboot",))
    assert [finding.key for finding in result.report.findings] == ([key] if key else [])


# ---- steps as rules ----


def test_each_step_says_what_it_asks_for_where_and_what_to_change() -> None:
    spec = Path(firmware_protocol.__file__).with_name("SPEC.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^#{2,3} (\d+(?:\.\d+)?)", spec, re.MULTILINE))
    assert len(STEPS) > 40
    for rule, _ in STEPS:
        assert RULES[rule.id] is rule
        assert rule.section in sections, rule.name
        assert len(rule.text) > 30, rule.name
        assert len(rule.hint) > 20, rule.name


def test_steps_are_told_of_when_they_begin_and_when_they_are_over() -> None:
    told: list[tuple[str, bool]] = []

    def observe(step: Step, host: Host) -> None:
        if not told or told[-1] != (step.rule.name, step.over):
            told.append((step.rule.name, step.over))

    conform(Desk(device()), QUICK, steps=("answers", "FP711"), observe=observe)
    names = ("answers", "unknown-opcode")
    assert told == [(name, over) for name in names for over in (False, True)]


def test_rules_that_are_ignored_are_silent_in_the_report() -> None:
    class Deaf(ReferenceDevice):
        def _respond(self, command: Any, outcome: Any) -> None:
            pass

    desk = Desk(Deaf(DeviceConfig(labels=LABELS)))
    plan = replace(QUICK, selection=Selection(ignore=("answers", "no-answer")))
    assert conform(desk, plan, steps=("answers",)).report.findings == []


# ---- what is named ----


def u24(word: int) -> int:
    return (word & 0xFFFFFF ^ 0x800000) - 0x800000


@pytest.mark.parametrize("pattern", [Pattern.RAMP, Pattern.PRBS])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (
            lambda i, row: [u24((w & 0xFF) << 16 | w & 0xFF00 | w >> 16 & 0xFF) for w in row],
            "bytes of each sample",
        ),
        (lambda i, row: [w & 0xFFFF for w in row], "sign is lost"),
        (lambda i, row: [(w & 0xFFFF ^ 0x8000) - 0x8000 for w in row], "sign extension of 16 bits"),
        (lambda i, row: [(w & 0xFFFFFF) >> 8 for w in row], "lowest byte is lost"),
        (lambda i, row: [u24(w ^ 0x800000) for w in row], "offset binary"),
        (lambda i, row: [u24(-w) for w in row], "wrong sign"),
        (lambda i, row: [u24(w << 1 | 1) for w in row], "one clock late"),
        (lambda i, row: [u24(w >> 1) for w in row], "one clock early"),
        (lambda i, row: [*row[1:], 0], "1 place early (channel off by one)"),
        (lambda i, row: [0, 0, *row[:-2]], "2 places late (channel off by one)"),
        (lambda i, row: [row[0]] * len(row), "carry channel 0"),
        (lambda i, row: row[::-1], "reverse order"),
        (lambda i, row: [5 * w % 77 for w in row], ""),
    ],
)
def test_what_was_done_to_a_test_pattern_is_named(pattern: Pattern, change: Any, name: str) -> None:
    frame = Data(0, 0, 0, 0, 8, 1, 0, bytes(24))
    rows = [(i, change(i, pattern_counts(pattern, i, 8)), frame) for i in range(1000, 1100)]
    said = _named(pattern, rows)
    assert name in said
    assert bool(said) == bool(name)


@pytest.mark.parametrize("ahead", [-4, -1, 1, 3])
def test_a_pattern_of_another_conversion_is_named(ahead: int) -> None:
    frame = Data(0, 0, 0, 0, 8, 1, 0, bytes(24))
    rows = [(i, pattern_counts(Pattern.PRBS, i + ahead, 8), frame) for i in range(1000, 1100)]
    assert f"conversion {ahead:+d}" in _named(Pattern.PRBS, rows)


@pytest.mark.parametrize(
    ("opcode", "payload", "said"),
    [
        (Opcode.IDENTIFY, b"", "IDENTIFY"),
        (Opcode.START, b"\xe8\x03\0\0", "START(1000)"),
        (Opcode.START, b"\xe8\x03", "START with 2 bytes (e8 03)"),
        (Opcode.WRITE_REGISTER, b"\0\x05\x60\x68", "WRITE_REGISTER(0, 5, 60 68)"),
        (0x7F, bytes(9), "opcode 0x7F with 9 bytes (00 00 00 00 00 00 00 00 …)"),
    ],
)
def test_commands_in_words(opcode: int, payload: bytes, said: str) -> None:
    assert words(opcode, payload) == said


def test_whatever_came_was_put_to_the_passive_rules() -> None:
    seen: list[int] = []

    class Counting(Desk):
        def read(self, timeout_s: float) -> bytes:
            data = super().read(timeout_s)
            seen.append(len(data))
            return data

    result = conform(Counting(device()), QUICK, steps=("identify", "start"))
    heard = result.report.numbers["bytes"]  # but what came before the device answered
    assert 0.8 * sum(seen) < heard <= sum(seen)
