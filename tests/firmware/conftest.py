"""What is built once for all tests of the firmware."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bci.selftest._firmware import make, missing


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where one of these is missing, and say how it can be had."""
    why = missing(*programs)
    if why is None and " " in tempfile.gettempdir():
        why = f"make builds in no folder with blanks in its name: {tempfile.gettempdir()}"
    return pytest.mark.skipif(why is not None, reason=why or "")


needs_arm = needs("make", "arm-none-eabi-gcc")
needs_qemu = needs("make", "arm-none-eabi-gcc", "qemu-system-arm")
needs_cc = needs("make", "cc")


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """firmware.elf as `make` gives it."""
    build = tmp_path_factory.mktemp("firmware")
    make(build)
    return build / "firmware.elf"


@pytest.fixture(scope="session")
def counted_firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for instruction counting: its main loop does not sleep."""
    build = tmp_path_factory.mktemp("spin")
    make(build, IDLE="SPIN")
    return build / "firmware.elf"


@pytest.fixture(scope="session")
def slow_firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at 115,200 baud."""
    build = tmp_path_factory.mktemp("slow")
    make(build, BAUD=115_200)
    return build / "firmware.elf"


@pytest.fixture(scope="session")
def host_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware as a program of this computer, under sanitizers."""
    build = tmp_path_factory.mktemp("host")
    make(build, f"{build}/host_board")
    return build / "host_board"


@pytest.fixture(scope="session")
def slow_host_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at 115,200 baud."""
    build = tmp_path_factory.mktemp("host115200")
    make(build, f"{build}/host_board", BAUD=115_200)
    return build / "host_board"
