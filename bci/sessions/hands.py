"""The hand of a control session: a real one on its port, or its simulator in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from bci.language import _
from bci.prosthesis import HandSimulator
from bci.prosthesis.known_hands import TITLES

__all__ = ["open_hand"]

SERIAL_OPENER = "bci.acquisition._serial:SerialPort"


def open_hand(
    stack: ExitStack, name: str, port: str | None, *, fast: bool
) -> tuple[str | Mapping[str, Any], str]:
    """What `SafetyMonitor` takes as `hand`, and the hand's title; a simulator lives as long as `stack`.

    `fast`: the simulator's time is that of the frames it gets, for a world that runs faster than life.
    """
    title = TITLES.get(name, name)
    if port is not None:
        opener = {} if port.startswith("socket://") else {"opener": SERIAL_OPENER}
        return {"name": name, "port": port, **opener}, f"{title}, {port}"
    if name == "simulated":
        return name, title
    hand = stack.enter_context(HandSimulator(name, clock="frames" if fast else "wall"))
    return hand.spec, _("{hand}, simulated").format(hand=title)
