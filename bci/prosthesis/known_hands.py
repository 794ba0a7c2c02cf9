"""Hands by name: those built in, and those that other packages register in the entry point group `bci.hands`.

An entry point of that group is a callable that takes the open link (and the options of the session as keywords) and
returns a `Hand`. Its attribute `baud` is the speed the link is opened with, 115200 if it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from bci.language import N_
from bci.prosthesis.hand import Hand
from bci.prosthesis.links import ReopeningLink, open_link

__all__ = ["BUILT_IN", "TITLES", "hand_names", "make_hand", "wait_for_answers"]

#: Name → adapter; loaded when asked for, so that no hand costs what another one needs.
BUILT_IN = {
    "simulated": "bci.prosthesis.simulated_wire:WireHand",
    "ability": "bci.prosthesis.ability:AbilityHand",
    "rh56": "bci.prosthesis.rh56:Rh56Hand",
}

#: What people call them.
TITLES = {"simulated": N_("simulated hand"), "ability": "PSYONIC Ability Hand", "rh56": "Inspire RH56"}

#: An accelerated session waits for each frame's answer for so long; time stands still meanwhile.
PATIENCE_S = 5.0


def hand_names() -> tuple[str, ...]:
    """Names that `make_hand` takes: those built in first, then those that other packages have registered."""
    from importlib.metadata import entry_points

    others = {point.name for point in entry_points(group="bci.hands")} - set(BUILT_IN)
    return (*BUILT_IN, *sorted(others))


def make_hand(spec: Mapping[str, Any]) -> Hand:
    """The hand that `spec` names: {"name": …, "port": …, "opener": …, "baud": …, and options of that hand}.

    "simulated" without a port lives in this process.

    Raises
    ------
    ValueError
        There is no name, no hand has it, or an option makes no sense.
    OSError
        Its link cannot be opened.
    """
    options = dict(spec)
    if not (name := options.pop("name", "")):
        raise ValueError(f"hand = {dict(spec)!r}: expected a name, {', '.join(BUILT_IN)} or one of bci.hands")
    port, opener = str(options.pop("port", "")), str(options.pop("opener", ""))
    if name == "simulated" and not port:
        from bci.prosthesis.simulated import SimulatedHand

        try:
            return SimulatedHand(**{key: tuple(value) for key, value in options.items()})
        except TypeError as err:
            raise ValueError(
                f"options {options!r} of the simulated hand: expected object_at, position"
            ) from err
    adapter = _adapter(name)
    baud = options.pop("baud", getattr(adapter, "baud", 115_200))
    if not isinstance(baud, int):
        raise ValueError(f"baud = {baud!r}: expected a whole number")
    options.pop("by_frames", None)
    return adapter(ReopeningLink(lambda: open_link(port, baud=baud, opener=opener)), **options)


def wait_for_answers(hand: Hand, *, driven: bool) -> None:
    """In an accelerated session each frame waits for its own answer, in real time as short as the hand says."""
    if hasattr(hand, "answer_s"):
        hand.answer_s = PATIENCE_S if driven else getattr(type(hand), "answer_s", 0.0)


def _adapter(name: str) -> Callable[..., Hand]:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        adapter: Callable[..., Hand] = getattr(import_module(module), attribute)
        return adapter
    from importlib.metadata import entry_points

    for point in entry_points(group="bci.hands", name=name):
        loaded: Callable[..., Hand] = point.load()
        return loaded
    raise ValueError(f"no hand is called {name!r}: expected {', '.join(BUILT_IN)} or one of bci.hands")
