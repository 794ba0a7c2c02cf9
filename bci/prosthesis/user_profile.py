"""Everything a clinician may change about one user's hand: `Profile`, checked wherever it comes from.

A profile is one TOML file per user. Unknown keys, wrong types and values out of range are refused by name
with `ProfileError`, and the profile in force stays. Nothing here names a person: `user` is a pseudonym.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from bci.errors import ProfileError
from bci.language import _
from bci.prosthesis.hand import DOFS, Closures

__all__ = ["Grip", "Limits", "Opening", "Profile", "Signal", "from_table", "read_profile"]

TOGGLE = "toggle"

#: The action of the intent that ends a held one.
RELEASE = "release"

#: How intents steer the hand; the table in `bci.prosthesis.policy` says what each does.
CONTROLS = ("switch", "hold", "proportional")


def _check(owner: object, ranges: Mapping[str, tuple[float, float, str]]) -> None:
    for name, (low, high, unit) in ranges.items():
        value = getattr(owner, name)
        if not _within(value, low, high):
            wanted = (
                _("a number from {low:g} to {high:g} {unit}").format(low=low, high=high, unit=unit).rstrip()
            )
            raise ProfileError(
                _("{name} = {value!r}: expected {wanted}").format(name=name, value=value, wanted=wanted)
            )


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _each_dof(name: str, value: object, limits: tuple[float, float, str]) -> None:
    """One number for all degrees of freedom, or one for each."""
    low, high, unit = limits
    values = value if isinstance(value, tuple) else (value,)
    if len(values) not in (1, len(DOFS)) or not all(_within(x, low, high) for x in values):
        wanted = _("a number from {low:g} to {high:g} {unit}, or six ({dofs})").format(
            low=low, high=high, unit=unit, dofs=", ".join(DOFS)
        )
        raise ProfileError(
            _("{name} = {value!r}: expected {wanted}").format(name=name, value=value, wanted=wanted)
        )


def _closures(name: str, values: object) -> None:
    if not (isinstance(values, tuple) and len(values) == len(DOFS) and all(_within(v, 0, 1) for v in values)):
        raise ProfileError(
            _("{name} = {values!r}: expected six closures from 0 to 1 ({dofs})").format(
                name=name, values=values, dofs=", ".join(DOFS)
            )
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How far and how fast the hand may go, and what it may feel.

    `rate_per_s` is in closures per second, `slew_per_s2` bounds the growth of speed (stopping is never
    delayed); each is one number for all, or six in the order of `DOFS`. No rate is allowed that a hand could not
    follow: its set points would then lie further ahead than the hand can go in 100 ms.
    """

    lowest: Closures = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    highest: Closures = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    rate_per_s: float | Closures = 0.8
    slew_per_s2: float | Closures = 4.0
    movement_s: float = 10.0
    current_a: float = 1.5
    force_n: float = 15.0
    temperature_c: float = 60.0

    def __post_init__(self) -> None:
        _check(
            self,
            {
                "movement_s": (0.5, 60.0, "s"),
                "current_a": (0.05, 10.0, "A"),
                "force_n": (0.1, 100.0, "N"),
                "temperature_c": (30.0, 90.0, "°C"),
            },
        )
        _each_dof("rate_per_s", self.rate_per_s, (0.01, 2.0, "closures/s"))
        _each_dof("slew_per_s2", self.slew_per_s2, (0.1, 100.0, "closures/s²"))
        _closures("lowest", self.lowest)
        _closures("highest", self.highest)
        for dof, low, high in zip(DOFS, self.lowest, self.highest, strict=True):
            if low > high:
                raise ProfileError(
                    _("lowest {dof} {low:g} lies above highest {high:g}").format(dof=dof, low=low, high=high)
                )

    @property
    def rates(self) -> Closures:
        """`rate_per_s` of every degree of freedom."""
        rate = self.rate_per_s
        return rate if isinstance(rate, tuple) else (rate,) * 6

    @property
    def slews(self) -> Closures:
        """`slew_per_s2` of every degree of freedom."""
        slew = self.slew_per_s2
        return slew if isinstance(slew, tuple) else (slew,) * 6


@dataclass(frozen=True, slots=True)
class Opening:
    """What a held hand does when the doubt does not pass.

    `allowed = false` means never: the hand keeps what it holds. A dropped cup and a trapped finger are both
    hazards, so this is decided for each user (docs/hazards.md).
    """

    allowed: bool = True
    delay_s: float = 3.0
    rate_per_s: float = 0.2

    def __post_init__(self) -> None:
        _check(self, {"delay_s": (0.5, 60.0, "s"), "rate_per_s": (0.01, 1.0, "closures/s")})
        if not isinstance(self.allowed, bool):
            raise ProfileError(
                _("allowed = {allowed!r}: expected true or false").format(allowed=self.allowed)
            )

    @property
    def rates(self) -> Closures:
        """`rate_per_s` for every degree of freedom."""
        return (self.rate_per_s,) * 6


@dataclass(frozen=True, slots=True)
class Signal:
    """When the signal is no longer good enough to move on."""

    stale_s: float = 0.2
    loss_fraction: float = 0.05
    loss_burst_samples: int = 25
    recover_s: float = 1.0

    def __post_init__(self) -> None:
        _check(
            self,
            {
                "stale_s": (0.05, 0.2, "s"),
                "loss_fraction": (0.0, 0.5, ""),
                "loss_burst_samples": (0, 10_000, "samples"),
                "recover_s": (0.2, 60.0, "s"),
            },
        )


@dataclass(frozen=True, slots=True)
class Grip:
    """A posture: closures per degree of freedom, left out = stays where it is."""

    thumb: float | None = None
    index: float | None = None
    middle: float | None = None
    ring: float | None = None
    little: float | None = None
    rotation: float | None = None

    def __post_init__(self) -> None:
        for dof in DOFS:
            value = getattr(self, dof)
            if value is not None and not _within(value, 0, 1):
                raise ProfileError(
                    _("{dof} = {value!r}: expected a closure from 0 (open) to 1 (closed)").format(
                        dof=dof, value=value
                    )
                )

    @property
    def target(self) -> tuple[float | None, ...]:
        return tuple(getattr(self, dof) for dof in DOFS)


GRIPS = {
    "open": Grip(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "power": Grip(0.8, 0.9, 0.9, 0.9, 0.9, 0.9),
    "pinch": Grip(0.6, 0.6, 0.0, 0.0, 0.0, 1.0),
    "key": Grip(0.7, 0.8, 0.8, 0.8, 0.8, 0.0),
    "point": Grip(0.7, 0.0, 0.9, 0.9, 0.9, 0.5),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One user's settings.

    Parameters
    ----------
    user : str
        Pseudonym.
    control : str
        "switch": an accepted intent runs to its grip. "hold": so it does, and when the intent is over, an intent
        named "release" follows. "proportional": the hand moves only while intents keep coming, the faster the surer
        they are.
    intents : dict
        What the decoder may ask for → the name of a grip, or "toggle": `closing` if the hand is rather open,
        "open" if it is rather closed.
    sequences : dict
        For more grips than classes: actions separated by blanks, e.g. "right left", → the name of a grip. Where there
        are any, single intents move nothing unless they are sequences of one. Only with "switch".
    sequence_within_s : float
        Longest pause within a sequence.
    grips : dict
        Postures by name; "open" must be among them.
    budget_per_min : float
        False activations per minute the user accepts; `choose_policy` finds the operating point for it.
    """

    user: str = ""
    control: str = "switch"
    budget_per_min: float = 1.0
    closing: str = "power"
    intents: Mapping[str, str] = field(
        default_factory=lambda: {"close": "power", "open": "open", "grasp": TOGGLE, RELEASE: "open"}
    )
    sequences: Mapping[str, str] = field(default_factory=dict)
    sequence_within_s: float = 2.0
    grips: Mapping[str, Grip] = field(default_factory=lambda: dict(GRIPS))
    limits: Limits = Limits()
    opening: Opening = Opening()
    signal: Signal = Signal()

    def __post_init__(self) -> None:
        _check(
            self,
            {
                "budget_per_min": (0.05, 20.0, "false activations per minute"),
                "sequence_within_s": (0.2, 10.0, "s"),
            },
        )
        if self.control not in CONTROLS:
            raise ProfileError(
                _("control = {control!r}: expected one of {controls}").format(
                    control=self.control, controls=", ".join(CONTROLS)
                )
            )
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                wanted = _("a text") if kind is str else _("a table")
                raise ProfileError(
                    _("{name} = {value!r}: expected {wanted}").format(
                        name=name, value=getattr(self, name), wanted=wanted
                    )
                )
        if "open" not in self.grips:
            raise ProfileError(
                _("grips lacks 'open': without it a hand could close and never be asked to open")
            )
        known = [*self.grips, TOGGLE]
        for action, grip in [*self.intents.items(), *self.sequences.items(), ("closing", self.closing)]:
            if not isinstance(grip, str) or grip not in known:
                raise ProfileError(
                    _("{action} = {grip!r}: expected one of {known}").format(
                        action=action, grip=grip, known=", ".join(known)
                    )
                )
        if self.closing == TOGGLE:
            raise ProfileError(_("closing = {toggle!r}: expected the name of a grip").format(toggle=TOGGLE))
        for words in self.sequences:
            if not words or words != " ".join(words.split()):
                raise ProfileError(
                    _("sequence {words!r}: expected actions with one blank between them").format(words=words)
                )
        if self.sequences and self.control != "switch":
            raise ProfileError(
                _("sequences need control = 'switch', got {control!r}").format(control=self.control)
            )

    def require(self, classes: Iterable[str]) -> None:
        """See that a decoder of these classes can move the hand.

        Raises
        ------
        ProfileError
            A class that is neither an intent nor part of a sequence, or a sequence of something else.
        """
        moving = {name for name in classes if name != "rest"}
        words = {word for key in self.sequences for word in key.split()} or set(self.intents)
        if strange := sorted(moving - words):
            raise ProfileError(
                _(
                    "the profile maps nothing to {strange}, which the decoder may say: add it to {table} "
                    "(there: {words})"
                ).format(
                    strange=", ".join(strange),
                    table="sequences" if self.sequences else "intents",
                    words=", ".join(sorted(words)) or _("nothing"),
                )
            )
        if self.sequences and (silent := sorted(words - moving)):
            raise ProfileError(
                _("a sequence needs {silent}, which the decoder never says").format(silent=", ".join(silent))
            )

    @property
    def actions(self) -> Mapping[str, str]:
        """What may be asked of the monitor → the name of a grip."""
        return self.sequences or self.intents

    @classmethod
    def for_classes(cls, classes: Iterable[str], *, user: str = "") -> Profile:
        """The default profile for a decoder's classes: one moves as a toggle, of two or more the first opens.

        "rest" moves nothing; the second class closes into the power grip, others take the remaining grips in
        turn.
        """
        moving = [name for name in classes if name != "rest"]
        if len(moving) == 1:
            intents = {moving[0]: TOGGLE}
        else:
            grips = ["open", "power", "pinch", "key", "point"]
            if len(moving) > len(grips):
                raise ProfileError(
                    _(
                        "{n_classes} classes move, but only {n_grips} grips are built in: write a profile"
                    ).format(n_classes=len(moving), n_grips=len(grips))
                )
            intents = dict(zip(moving, grips, strict=False))
        return cls(user=user, intents=intents)


def read_profile(path: str | Path) -> Profile:
    """Read one user's TOML file.

    Raises
    ------
    ProfileError
        Missing, unreadable, unknown key, wrong type or value out of range; the message names file, key and
        value. The caller keeps the profile that was in force.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if isinstance(named := table.get("grips"), dict):
            table["grips"] = {**GRIPS, **named}  # a file adds to the built-in grips or redefines them
        return from_table(Profile, table)
    except OSError as err:
        reason = _("{path}: cannot be read ({reason}); name a profile file").format(
            path=path, reason=err.strerror
        )
        raise ProfileError(reason, path=path) from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ProfileError(_("{path}: not a TOML file: {err}").format(path=path, err=err), path=path) from err
    except ProfileError as err:
        raise ProfileError(
            _("{path}: {err}; the profile in force is kept").format(path=path, err=err), path=path
        ) from err


_KINDS = {"user": str, "closing": str, "intents": Mapping, "sequences": Mapping, "grips": Mapping}

T = TypeVar("T")


def from_table(kind: type[T], table: object, where: str = "") -> T:
    """Build `kind` from a TOML or JSON table, strictly: the inverse of `dataclasses.asdict` for a
    `Profile`."""
    if not isinstance(table, Mapping):
        raise ProfileError(
            _("{where} = {table!r}: expected a table").format(
                where=where.rstrip(".") or "profile", table=table
            )
        )
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ProfileError(
                _("unknown key {where}{key}: expected one of {known}").format(
                    where=where, key=key, known=", ".join(known)
                )
            )
        default = known[key].default
        if is_dataclass(default) and not isinstance(value, type(default)):
            value = from_table(type(default), value, f"{where}{key}.")
        elif isinstance(value, list):
            value = tuple(value)
        elif key == "grips" and isinstance(value, Mapping):
            value = {
                name: grip if isinstance(grip, Grip) else from_table(Grip, grip, f"grips.{name}.")
                for name, grip in value.items()
            }
        values[key] = value
    try:
        return kind(**values)
    except ProfileError as err:
        raise ProfileError(_("{where}{err}").format(where=where, err=err)) from None
