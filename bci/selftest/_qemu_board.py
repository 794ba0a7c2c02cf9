"""The example firmware on an emulated Cortex-M3: QEMU as a process, in real time or step by step.

In real time QEMU's clock is the computer's: where the computer is busy an interrupt comes late, and the firmware
counts the conversions that it missed. `SteppedBoard` moves the clock itself, 2 ms at a time, through QEMU's debugger
port; time is counted in instructions then, and nothing on this computer can make an interrupt late.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bci.errors import BciError

__all__ = ["QemuBoard", "QemuError", "SteppedBoard", "symbol"]

_ANSWER_S = 20.0  # of QEMU itself, on a busy computer
_KEPT = 0x2000_0000  # where the firmware finds its seed, and which electrodes are off (board_mps2.c)
_COUNTER = 0x4002_8018  # microseconds
_RUNS_EACH_TICK = "timer1_interrupt"
_SP = 13  # number of the register


class QemuError(BciError):
    """QEMU did not start, or ended; the message has its words."""


class QemuBoard:
    """A board under QEMU, from the start of its process to `close`.

    Parameters
    ----------
    firmware : Path
        firmware.elf.
    icount : str
        QEMU's `-icount`; "": time is the computer's.
    electrodes_off : int
        Positive inputs, bit 0 for channel 1; those of the negative inputs 8 bits above.

    Attributes
    ----------
    url : str
        Its port, as `bci` and `frame-validator` take it.
    """

    def __init__(
        self,
        firmware: Path,
        *,
        icount: str = "",
        electrodes_off: int = 0,
        seed: int | None = None,
        more: tuple[str, ...] = (),
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self._messages = b""
        self._monitor, theirs = _pair()
        kept = (secrets.randbits(32) if seed is None else seed) | electrodes_off << 32
        uart = "socket,id=uart,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on"
        command = [
            *(("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()),  # it ends with this program
            *(("nice", "-n", "-10") if os.geteuid() == 0 else ()),
            *("qemu-system-arm", "-M", "mps2-an385", "-display", "none", "-monitor", "none"),
            *("-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"),
            *("-chardev", uart, "-serial", "chardev:uart"),
            *("-device", f"loader,addr={_KEPT:#x},data={kept:#x},data-len=8"),
            *(("-icount", icount) if icount else ()),
            *more,
            *("-kernel", str(firmware)),
        ]  # fmt: skip
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                start_new_session=True,
                pass_fds=(theirs.fileno(), *pass_fds),
            )
        try:
            self._message()  # its greeting
            self.command("qmp_capabilities")
            place = next(c for c in self.command("query-chardev") if c["label"] == "uart")["filename"]
        except BaseException:
            self.close()
            raise
        self.url = "socket://127.0.0.1:" + place.split("127.0.0.1:")[1].split(",")[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def reset(self) -> None:
        """Press the board's reset button."""
        self.command("system_reset")

    def stop(self) -> None:
        """The computer gives the emulator no time at all, until `go_on`."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def command(self, name: str, **arguments: object) -> Any:
        """Ask QEMU's monitor."""
        self._monitor.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while "return" not in (message := self._message()):
            if "error" in message:
                raise QemuError(f"{name}: {message['error']}")
        return message["return"]

    def close(self) -> None:
        """End it; twice is fine."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._monitor.close()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._messages:
            data = self._monitor.recv(1 << 16)
            if not data:
                self._said.seek(0)
                said = self._said.read().decode(errors="replace").strip()
                raise QemuError(f"QEMU has ended: {said or 'it did not say why'}")
            self._messages += data
        line, self._messages = self._messages.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message


class SteppedBoard(QemuBoard):
    """A board whose time passes only in `read` and `run`: a `Line` of the conformance suite.

    The firmware is one that was made with IDLE=SPIN, so that all its time is instructions, 64 ns each.
    """

    def __init__(
        self,
        firmware: Path,
        *,
        icount: str = "shift=6,sleep=off",
        electrodes_off: int = 0,
        seed: int | None = None,
    ) -> None:
        self._gdb, theirs = _pair()
        with theirs:
            more = ("-chardev", f"socket,id=gdb,fd={theirs.fileno()}", "-gdb", "chardev:gdb", "-S")
            super().__init__(
                firmware,
                icount=icount,
                electrodes_off=electrodes_off,
                seed=seed,
                more=more,
                pass_fds=(theirs.fileno(),),
            )
        self._heard = b""
        self._now_us = 0
        host, port = self.url.removeprefix("socket://").split(":")
        self._uart = socket.create_connection((host, int(port)))
        self._uart.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._uart.setblocking(False)
        self._ask(f"Z0,{symbol(firmware, _RUNS_EACH_TICK):x},2")
        self._ask("c")

    def now_s(self) -> float:
        return self._now_us / 1e6

    def write(self, data: bytes) -> None:
        self._uart.setblocking(True)
        self._uart.sendall(data)
        self._uart.setblocking(False)

    def read(self, timeout_s: float) -> bytes:
        """What it sends first within `timeout_s` of its time."""
        end_us = self._now_us + math.ceil(timeout_s * 1e6)
        while True:
            with contextlib.suppress(BlockingIOError):
                return self._uart.recv(1 << 16)
            if self._now_us >= end_us:
                return b""
            self._step()

    def run(self, seconds: float) -> bytes:
        """Let time pass; all that it has sent."""
        end_us = self._now_us + round(seconds * 1e6)
        data = bytearray()
        while self._now_us < end_us:
            self._step()
            with contextlib.suppress(BlockingIOError):
                data += self._uart.recv(1 << 16)
        return bytes(data)

    def peek(self, address: int, n: int) -> bytes:
        """Memory of the board."""
        parts = (
            self._ask(f"m{at:x},{min(64, address + n - at):x}") for at in range(address, address + n, 64)
        )
        return b"".join(map(bytes.fromhex, parts))

    def poke(self, address: int, data: bytes) -> None:
        """Write memory of the board."""
        for at in range(0, len(data), 64):
            part = data[at : at + 64]
            self._ask(f"M{address + at:x},{len(part):x}:{part.hex()}")

    @property
    def stack_pointer(self) -> int:
        return int.from_bytes(bytes.fromhex(self._ask("g")[_SP * 8 : _SP * 8 + 8]), "little")

    def close(self) -> None:
        for end in (getattr(self, "_gdb", None), getattr(self, "_uart", None)):
            if end is not None:
                end.close()
        super().close()

    def _step(self) -> None:
        self._ask("s")  # off the breakpoint
        self._ask("c")
        told = int.from_bytes(self.peek(_COUNTER, 4), "little")
        self._now_us += (told - self._now_us) & 0xFFFFFFFF

    def _ask(self, text: str) -> str:
        """One exchange of the GDB remote protocol."""
        body = text.encode()
        self._gdb.sendall(b"+$" + body + b"#%02x" % (sum(body) & 0xFF))
        while True:
            start = self._heard.find(b"$")
            end = self._heard.find(b"#", start)
            if start >= 0 and 0 <= end <= len(self._heard) - 3:
                answer = self._heard[start + 1 : end].decode()
                self._heard = self._heard[end + 3 :]
                return answer
            data = self._gdb.recv(4096)
            if not data:
                raise QemuError("QEMU has ended")
            self._heard += data


def _pair() -> tuple[socket.socket, socket.socket]:
    """A line to QEMU that needs no name in a folder: our end, and the one to hand on."""
    ours, theirs = socket.socketpair()
    ours.settimeout(_ANSWER_S)
    return ours, theirs


def symbol(firmware: Path, name: str) -> int:
    """Address of a function or variable of the firmware."""
    told = subprocess.run(["arm-none-eabi-nm", str(firmware)], capture_output=True, text=True, check=True)
    for line in told.stdout.splitlines():
        if line.endswith(f" {name}"):
            return int(line.split()[0], 16)
    raise QemuError(f"{firmware} has no {name}")
