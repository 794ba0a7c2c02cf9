"""Watch a device on its port: numbers and findings while it streams, causes at the end.

frame-validator live /dev/ttyUSB0 --baud 921600
frame-validator live COM3 --baud 921600 --seconds 60 --save capture.bin
frame-validator live socket://127.0.0.1:5555 --start

Nothing is sent, unless --start asks for it. Ctrl-C ends it with the report. Where that goes to standard output as
--json, --junit, --sarif or --html, all else is told on standard error.
Exit status: 0 clean, 1 findings, 2 could not run, 3 no frames found.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

from firmware_protocol.cli.check import add_report_arguments, form_on_stdout, give, selection_of
from firmware_protocol.errors import PortLostError

if TYPE_CHECKING:
    from firmware_protocol.codes import Opcode
    from firmware_protocol.validator.checker import Checker

SUMMARY = "watch a device on its port and name causes"

_SCREEN_S, _LINE_S = 0.25, 1.0  # between two pictures in a terminal, two lines in a pipe
_READ_S = 0.05
_KEEPALIVE_S = 1.0
_NEWEST = 8  # findings on the screen


class Port(Protocol):
    """What is needed of `firmware_protocol.ports.Port`."""

    def read(self, timeout_s: float) -> bytes: ...

    def write(self, data: bytes) -> None: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", help="/dev/ttyUSB0, COM3, a pseudo-terminal, socket://HOST:PORT")
    parser.add_argument("--baud", type=int, default=921_600, help="bits per second (default 921600)")
    parser.add_argument("--seconds", type=float, help="how long; left out: until Ctrl-C")
    parser.add_argument(
        "--start", action="store_true", help="send START before and STOP after, KEEPALIVE between"
    )
    parser.add_argument("--save", metavar="FILE", help="write the bytes that came to FILE")
    add_report_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from firmware_protocol.ports import open_port
    from firmware_protocol.validator.checker import Checker
    from firmware_protocol.validator.samples import load_numpy

    checker = Checker(selection=selection_of(args), baud=args.baud)
    out = sys.stderr if form_on_stdout(args) else sys.stdout
    load_numpy()
    notes = []
    with ExitStack() as stack:
        port = stack.enter_context(open_port(args.port, baud=args.baud))
        save = stack.enter_context(Path(args.save).open("xb")) if args.save else None
        show = _Screen(out, args) if out.isatty() else _Lines(out)
        try:
            watch(port, checker, show, seconds=args.seconds, start=args.start, save=save)
        except PortLostError as err:
            notes.append(str(err))
        show.close()
    report = checker.finish(args.port)
    report.notes += notes
    if not report.frames:
        report.notes.append(f"{checker.size:,} bytes came, and no packet among them")
    return give(report, args)


def watch(
    port: Port,
    checker: Checker,
    show: Callable[[Checker, float], None],
    *,
    seconds: float | None,
    start: bool = False,
    save: BinaryIO | None = None,
) -> None:
    """Feed `checker` with what `port` gives, until the time is up or Ctrl-C; `show` is called now and then."""
    from firmware_protocol.codes import Opcode
    from firmware_protocol.host import Arrivals

    host = _Host(port, checker)
    began = time.monotonic()
    keepalive = began
    with suppress(KeyboardInterrupt):
        if start:
            host.send(Opcode.START)
        for t_ns, data in _reading(port):
            if data:
                checker.arrived(Arrivals(((checker.size, t_ns),)))
                checker.feed(data)
                if save is not None:
                    save.write(data)
            now = time.monotonic()
            if start and now - keepalive >= _KEEPALIVE_S:
                keepalive = now
                host.send(Opcode.KEEPALIVE)
            show(checker, now - began)
            if checker.full or (seconds is not None and now - began >= seconds):
                break
    if start:  # the device must not stream on to nobody
        host.send(Opcode.STOP)


def _reading(port: Port) -> Iterator[tuple[int, bytes]]:
    """Blocks and when they came, b"" where nothing did. A thread reads, so that no pause here loses a byte."""
    blocks: queue.SimpleQueue[tuple[int, bytes] | Exception] = queue.SimpleQueue()
    ended = threading.Event()

    def read() -> None:
        try:
            while not ended.is_set():
                data = port.read(_READ_S)
                blocks.put((time.monotonic_ns(), data))
        except Exception as err:  # handed to the thread that waits
            blocks.put(err)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            got = blocks.get()
            if isinstance(got, Exception):
                raise got
            yield got
    finally:
        ended.set()
        reader.join()


class _Host:
    """Sends commands and tells the checker, which then waits for their answers."""

    def __init__(self, port: Port, checker: Checker) -> None:
        self._port = port
        self._checker = checker
        self._sent = 0

    def send(self, opcode: Opcode) -> None:
        from firmware_protocol.codec import encode_command
        from firmware_protocol.frames import Command
        from firmware_protocol.host import Sent

        wire = encode_command(Command(self._sent & 0xFFFF, 0, time.monotonic_ns() & 0xFFFF, opcode))
        self._sent += 1
        self._checker.sent(Sent(time.monotonic_ns(), wire))
        self._port.write(wire)


class _Lines:
    """For pipes: a line a second, and each finding as it comes."""

    def __init__(self, out: TextIO) -> None:
        from firmware_protocol.validator.paint import Paint

        self._out = out
        self._paint = Paint(colour=False)
        self._next_s = _LINE_S
        self._told: set[tuple[str, int]] = set()

    def __call__(self, checker: Checker, seconds: float) -> None:
        if seconds < self._next_s:
            return
        self._next_s += _LINE_S
        figures = checker.stream.figures
        print(
            f"{seconds:6.0f} s  {checker.size} bytes  {checker.stream.by_type.total()} frames  "
            f"{checker.stream.faults_with_bytes} damaged  {figures.samples} conversions  "
            f"{figures.conversions_missing} lost  {checker.errors} errors",
            file=self._out,
        )
        from firmware_protocol.validator.text import finding_lines

        for finding in checker.findings:
            if (finding.rule.id, finding.offset) not in self._told:
                self._told.add((finding.rule.id, finding.offset))
                print(next(iter(finding_lines(finding, self._paint))), file=self._out)
        self._out.flush()

    def close(self) -> None:
        print(file=self._out)


class _Screen:
    """For terminals: one picture that is drawn over itself."""

    def __init__(self, out: TextIO, args: argparse.Namespace) -> None:
        from firmware_protocol.validator.paint import Paint, wants_colour

        self._out = out
        self._args = args
        self._paint = Paint(colour=wants_colour(out, args.color))
        self._next_s = 0.0
        self._rows = 0

    def __call__(self, checker: Checker, seconds: float) -> None:
        if seconds < self._next_s:
            return
        self._next_s = seconds + _SCREEN_S
        self._draw([*self._lines(checker, seconds)])

    def _lines(self, checker: Checker, seconds: float) -> Iterator[str]:
        from firmware_protocol.validator.text import finding_lines, number_lines

        until = f" of {self._args.seconds:g}" if self._args.seconds else ""
        yield f"{self._paint(self._args.port, 'bold')} at {self._args.baud} baud, {seconds:.1f}{until} s; Ctrl-C ends"
        yield from number_lines(checker.numbers(), self._paint)
        for finding in checker.findings[-_NEWEST:]:
            yield next(iter(finding_lines(finding, self._paint)))

    def _draw(self, lines: list[str]) -> None:
        import shutil

        width, height = shutil.get_terminal_size()
        cut = [_fitted(line, width) for line in lines[: height - 1]]
        up = f"\x1b[{self._rows}A" if self._rows else ""
        self._out.write(f"\r{up}\x1b[J" + "\n".join(cut) + "\n")
        self._out.flush()
        self._rows = len(cut)

    def close(self) -> None:
        print(file=self._out)


def _fitted(line: str, width: int) -> str:
    """A line, colours and all, cut to a width."""
    import re

    out, room = [], width - 1
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            out.append(part)
        else:
            out.append(part[:room])
            room -= len(part[:room])
    return "".join(out)
