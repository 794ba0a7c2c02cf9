"""`run_board`: a board in this process, commanded by JSON lines, its truth written beside.

The loop sleeps in one `select` over port and control channel, so an idle board costs nothing.
"""

from __future__ import annotations

import json
import os
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from bci.acquisition.simulator._board import Board, Report
from bci.acquisition.simulator._config import BoardConfig
from bci.acquisition.simulator._control import ControlChannel
from bci.acquisition.simulator._outlets import Outlet, open_outlet
from bci.acquisition.simulator._signals import Signal, open_signal

__all__ = ["run_board"]


def run_board(
    config: BoardConfig,
    *,
    answer: Callable[[Mapping[str, Any]], None],
    commands: IO[str] | None = None,
    parent: int | None = None,
) -> None:
    """Be a board until `commands` ends, the parent process is gone, or Ctrl-C.

    Parameters
    ----------
    config : BoardConfig
    answer : callable
        Is told `{"port", "pid", "channels", "rate", "labels", "n_runs"}` as soon as a host can open the port,
        then the answer to each command.
    commands : text stream, optional
        One JSON object a line: `{"command": "speed" | "allow" | "ask" | "schedule" | "fault" | "connect" |
        "reference" | "unplug" | "plug", …}`.
    parent : int, optional
        Process id without which the board ends.

    Raises
    ------
    RecordingError, MontageMismatchError, ValueError
        If the signal cannot be played.
    """
    signal = open_signal(config.signal)
    selector = selectors.SelectSelector()  # the one kind that knows pseudo-terminals on every system
    control = ControlChannel(commands, parent=parent, selector=selector)
    outlet: Outlet | None = None

    def plug() -> Outlet:
        nonlocal outlet
        outlet = open_outlet(config.transport, selector, outlet)
        return outlet

    with _truth(config.truth_path) as report:
        board = Board(config, signal, plug, report=report)
        # The head model takes a second to compute: now, not between START and its answer.
        signal.read(0, 0, 1)
        answer(
            {
                "port": board.plug(),
                "pid": os.getpid(),
                "channels": signal.channels,
                "rate": [signal.rate.numerator, signal.rate.denominator],
                "labels": signal.labels,
                "n_runs": signal.n_runs,
            }
        )
        try:
            while not control.closed:
                for command in control.take():
                    answer(_obey(board, signal, command))
                selector.select(board.step())
        finally:
            board.close()


@contextmanager
def _truth(path: str | None) -> Iterator[Report]:
    """Writes each entry as a line that another process can read at once."""
    if path is None:
        yield lambda entry: None
        return
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:

        def report(entry: dict[str, Any]) -> None:
            file.write(json.dumps(entry) + "\n")
            file.flush()

        yield report


def _obey(board: Board, signal: Signal, command: Mapping[str, Any]) -> dict[str, Any]:
    try:
        match command.get("command"):
            case "speed":
                board.set_speed(
                    float(command["factor"]),
                    run=command.get("run"),
                    at_sample=int(command.get("at_sample", 0)),
                )
            case "allow":
                board.allow(None if command["n_samples"] is None else int(command["n_samples"]))
            case "ask":
                board.ask(str(command["label"]), float(command["task_s"]))
            case "schedule":
                run = int(command["run"])
                return {"cues": signal.cues(run), "n_samples": signal.run_samples(run)}
            case "fault":
                board.fault(str(command["kind"]), command.get("arguments", {}))
            case "connect":
                board.connect(str(command["kind"]), command.get("options", {}))
            case "reference":
                return {"points": board.reference()}
            case "unplug":
                board.unplug()
            case "plug":
                return {"port": board.plug()}
            case other:
                raise ValueError(f"no command {other!r}")
    except (KeyError, ValueError) as err:
        return {"error": "ValueError", "message": str(err)}
    return {}
