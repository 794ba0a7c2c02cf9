"""The example firmware of firmware_protocol/c/example: built by its Makefile, and run as a program of this computer."""

from __future__ import annotations

import math
import shutil
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from bci.errors import BciError
from firmware_protocol.c_text import FOLDER

__all__ = ["EXAMPLE", "BuildError", "HostBoard", "make", "missing"]

EXAMPLE = FOLDER / "example"
_STEP_S = 0.002  # of a board in memory: how far its time moves before somebody looks at what it sent


class BuildError(BciError):
    """The firmware does not build; the message has the compiler's words."""


def missing(*programs: str) -> str | None:
    """Why something cannot run here: the first of `programs` that this computer does not have."""
    packages = {
        "arm-none-eabi-gcc": "gcc-arm-none-eabi",
        "qemu-system-arm": "qemu-system-arm",
        "cc": "gcc",
        "clang": "clang libclang-rt-dev",
    }
    if "qemu-system-arm" in programs and not hasattr(socket, "AF_UNIX"):
        return "QEMU is led by a Unix socket here: run this on Linux or macOS"
    for program in programs:
        if shutil.which(program) is None:
            return f"no {program} here (Debian: {packages.get(program, program)})"
    return None


def make(build: Path, *targets: str, **options: str | int) -> str:
    """Make `targets` of the example's Makefile in folder `build`; what was printed.

    Raises
    ------
    BuildError
        If a compiler refuses.
    """
    words = [f"{name}={value}" for name, value in (options | {"BUILD": build}).items()]
    command = ["make", "-C", str(EXAMPLE), "--no-print-directory", *targets, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


class HostBoard:
    """The firmware's sources compiled for this computer, with a clock that only `read`, `run` and `stall` move.

    A `Line` of the conformance suite: an hour of the board takes seconds, and a busy computer changes nothing.
    """

    def __init__(self, program: Path, *, boot_id: int = 0xB0A2D001) -> None:
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._now_us = 0
        self._tell(b"B", boot_id)

    def now_s(self) -> float:
        return self._now_us / 1e6

    def write(self, data: bytes) -> None:
        self._tell(b"R", len(data), data)

    def read(self, timeout_s: float) -> bytes:
        """What it sends first within `timeout_s` of its time."""
        end_us = self._now_us + math.ceil(timeout_s * 1e6)
        while True:
            data = self.run(max(0, min(round(_STEP_S * 1e6), end_us - self._now_us)) / 1e6)
            if data or self._now_us >= end_us:
                return data

    def run(self, seconds: float) -> bytes:
        """Let time pass; all that it has sent."""
        us = round(seconds * 1e6)
        self._tell(b"T", us)
        self._now_us += us
        self._requests.flush()
        prefix = self._answers.read(4)
        if len(prefix) < 4:
            raise BciError(f"{self._process.args!r} ended: see its standard error")
        return self._answers.read(int.from_bytes(prefix, "little"))

    def stall(self, seconds: float) -> None:
        """Time passes and no instruction of the board runs."""
        us = round(seconds * 1e6)
        self._tell(b"S", us)
        self._now_us += us

    def electrodes_off(self, positive: int, negative: int = 0) -> None:
        self._tell(b"E", negative << 8 | positive)

    def close(self) -> int:
        """End it; its exit status, which is not 0 if a sanitizer found something."""
        self._requests.close()
        self._answers.close()
        return self._process.wait(10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.close() and kind is None:
            raise BciError(f"{self._process.args!r} ended with status {self._process.returncode}")

    def _tell(self, letter: bytes, number: int, data: bytes = b"") -> None:
        self._requests.write(letter + struct.pack("<I", number) + data)
