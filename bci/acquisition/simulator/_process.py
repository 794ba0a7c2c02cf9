"""`SimulatedBoard`: the handle by which a program starts, changes and ends a board in a process of its own.

The host never imports what the board computes with. Board and host talk over two pipes, one JSON object a
line; the signal goes over the port, as it would from a real board. The process is a group of its own (a
Ctrl-C for the host is none for the board) and ends with its standard input, so a host that is killed leaves
no board behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import bci
from bci import errors
from bci.acquisition.simulator._config import Bench, BoardConfig, Played, Synthetic
from bci.language import _
from bci.processes import own_group

__all__ = ["SimulatedBoard"]

_START_S = 60.0  # a cold machine loads MNE and computes the head model
_REPLY_S = 10.0
_END_S = 3.0


class SimulatedBoard:
    """A simulated acquisition board in its own process, from creation until `close`.

    Parameters
    ----------
    signal : Synthetic, Played or Bench, optional
        What it plays; each START begins the next run. Default: `Synthetic()`.
    baud, samples_per_frame, speed, dialect, transport, drift_ppm, first_sample, first_t_us, truth_path
        As in `BoardConfig`.
    impedance_kohm, faults
        As in `BoardConfig`.

    Attributes
    ----------
    port : str
        What to open: a pseudo-terminal's path, or `socket://127.0.0.1:PORT`. A Cyton's is opened as
        `"cyton://" + port`.
    channels : tuple of str
    rate : Fraction
    labels : dict of int to str
        Class names of the cue codes, for `open_source(..., labels=board.labels)`.
    n_runs : int or None
        Runs the signal has; None: endless.
    truth_path : Path or None
    pid : int

    Raises
    ------
    RecordingError, MontageMismatchError, ValueError
        If the board cannot play what it was given.
    DeviceError
        If its process does not come up.

    Examples
    --------
    >>> with SimulatedBoard(Synthetic(seed=1), speed=0) as board:  # doctest: +SKIP
    ...     source = open_source(board.port, labels=board.labels)
    """

    def __init__(
        self,
        signal: Synthetic | Played | Bench | None = None,
        *,
        baud: int | None = None,
        samples_per_frame: int | None = None,
        speed: float = 1.0,
        dialect: Literal["bfp", "cyton"] = "bfp",
        transport: Literal["auto", "pty", "socket"] = "auto",
        drift_ppm: float = 0.0,
        first_sample: int = 0,
        first_t_us: int = 0,
        truth_path: str | os.PathLike[str] | None = None,
        impedance_kohm: Sequence[float] | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        config = BoardConfig(
            signal=Synthetic() if signal is None else signal,
            baud=baud,
            samples_per_frame=samples_per_frame,
            speed=speed,
            dialect=dialect,
            transport=transport,
            drift_ppm=drift_ppm,
            first_sample=first_sample,
            first_t_us=first_t_us,
            truth_path=None if truth_path is None else os.fspath(truth_path),
            impedance_kohm=None if impedance_kohm is None else tuple(impedance_kohm),
            faults=tuple(faults),
        )
        self.truth_path = None if truth_path is None else Path(truth_path)
        self.port = "simulated board"
        self._process = _spawn()
        self._replies: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        listener = threading.Thread(
            target=_listen, args=(self._process.stdout, self._replies), daemon=True, name="board-replies"
        )
        self._end = weakref.finalize(self, _end, self._process, listener)
        listener.start()
        try:
            ready = self._ask(config.to_json(), timeout_s=_START_S)
        except BaseException:  # also Ctrl-C: no process stays behind
            self.close()
            raise
        self.port = str(ready["port"])
        self.pid = int(ready["pid"])
        self.channels = tuple(str(name) for name in ready["channels"])
        self.rate = Fraction(*ready["rate"])
        self.labels = {int(code): str(name) for code, name in ready["labels"].items()}
        self.n_runs: int | None = ready["n_runs"]

    def speed(self, factor: float, *, run: int | None = None, at_sample: int = 0) -> None:
        """Set the pace: 1 real time, other positive factors scale clock and baud, 0 as fast as the reader
        takes it.

        With `run` it changes when sample `at_sample` of that run (both counted from 0) is due, else now.
        """
        self._ask({"command": "speed", "factor": factor, "run": run, "at_sample": at_sample})

    def allow(self, n_samples: int | None) -> None:
        """At speed 0: make this many more samples, in whole frames, then wait for the next `allow`; None: never wait.

        Whoever shows cues keeps the accelerated world in step with them so. Each START begins with none allowed.
        """
        self._ask({"command": "allow", "n_samples": n_samples})

    def ask(self, label: str, *, task_s: float) -> None:
        """Show the wearer a cue now, in a run of `CuedRun(asked_s=…)`: he or she rests or intends for `task_s`.

        Raises
        ------
        ValueError
            If the run has cues of its own, a recording is played, or the board does not stream.
        """
        self._ask({"command": "ask", "label": label, "task_s": task_s})

    def schedule(self, run: int) -> tuple[list[tuple[int, int]], int]:
        """What will be asked of the wearer in a run: (sample of the run, code) of each cue, and its length in
        samples.

        For those who stage a demonstration or check a decoder; no decoder may see it.
        """
        reply = self._ask({"command": "schedule", "run": run})
        return [(int(sample), int(code)) for sample, code in reply["cues"]], int(reply["n_samples"])

    def check(self) -> None:
        """DeviceLostError if the board's process has ended."""
        if self._process.poll() is not None:
            raise errors.DeviceLostError(
                _("the simulated board's process has ended; start it again"), port=self.port
            )

    def fault(self, kind: str, **arguments: Any) -> None:
        """Let something go wrong, now or where `arguments` say.

        - `lose`, `duplicate`, `flip`, `burst`, `text`: damage to a byte on the line. `at_byte` (default: the
          next), `every_bytes` (on average, default 1), `times` (default 1, None for good).
        - `saturate`, `flat`, `noisy`, `lead_off`, `spi_slip`: wrong counts. `channels` (default: all),
          `at_sample` (default: the next), `seconds` (default 1).
        - `stall`: the line is silent for `seconds` (default 1) while the converter goes on.
        - `drift`: the crystal runs `ppm` fast from now on.
        - `reset`: the board boots anew, counters at 0, another boot_id, idle.
        - `wrap`: as `reset`, but its counters wrap after `samples` (default 500) conversions.
        - `unplug`: the cable is pulled, and put in again after `seconds` (default 1; None for good).
        - Of a bench board all of `parse_bench_fault`, with `channel`, `other`, `amount`.

        Raises
        ------
        ValueError
            If the board knows no such fault or argument.
        """
        self._ask({"command": "fault", "kind": kind, "arguments": arguments})

    def connect(self, kind: str, **options: float | str) -> None:
        """Put something at the inputs of a bench board, from the next conversion on.

        "nothing" (open cables), "shorted", "generator" (`frequency_hz`, `amplitude_uv`, `mode` "differential" or
        "common"), "resistors" (`kohm`), "vibration", "warming" (`from_c`, `to_c`, `seconds`), "supply" (`from_mv`,
        `to_mv`, `seconds`).

        Raises
        ------
        ValueError
            If there is no such thing or option, or the board is on no bench.
        """
        self._ask({"command": "connect", "kind": kind, "options": options})

    def reference(self) -> list[tuple[int, int]]:
        """Of the present run of a bench board: (conversion, monotonic ns) of a host beside it, ten a second.

        For boards that do not run in real time: the host's own clock says nothing of their crystal.
        """
        return [(int(sample), int(ns)) for sample, ns in self._ask({"command": "reference"})["points"]]

    def unplug(self) -> None:
        """Pull the cable: whoever has the port open gets an I/O error, the board goes on without a port."""
        self._ask({"command": "unplug"})

    def plug(self) -> str:
        """Put the cable back in; the port, which may have another name now, is returned and in `port`."""
        self.port = str(self._ask({"command": "plug"})["port"])
        return self.port

    def close(self) -> None:
        """End the process and wait until it is gone. Twice is fine."""
        self._end()

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, message: Mapping[str, Any], *, timeout_s: float = _REPLY_S) -> dict[str, Any]:
        """Send one line and wait for the one that answers it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            reply = self._replies.get(timeout=timeout_s)
        except queue.Empty:
            raise errors.DeviceTimeoutError(
                _(
                    "the simulated board gave no answer in {timeout_s:g} s; is the computer busy? Try again"
                ).format(timeout_s=timeout_s),
                port=self.port,
            ) from None
        except (OSError, ValueError):  # its pipe is closed
            reply = None
        if reply is None:
            raise errors.DeviceLostError(
                _("the simulated board's process has ended; start it again"), port=self.port
            )
        if "error" in reply:
            raise _ERRORS.get(reply["error"], errors.BciError)(reply["message"])
        return reply


#: What a board may refuse its configuration or a command with.
_ERRORS: Mapping[str, type[Exception]] = {
    "MontageMismatchError": errors.MontageMismatchError,
    "RecordingError": errors.RecordingError,
    "ValueError": ValueError,
}


def _spawn() -> subprocess.Popen[str]:
    root = str(Path(bci.__file__).resolve().parents[1])  # so that it starts from a checkout and any directory
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bci.acquisition.simulator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
        **own_group(),
    )


def _listen(stdout: IO[str], replies: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in stdout:
            replies.put(json.loads(line))
    replies.put(None)


def _end(process: subprocess.Popen[str], listener: threading.Thread) -> None:
    """Close the board's input, which ends it; make sure."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if listener.is_alive():
        listener.join(_END_S)
    process.stdout.close()
