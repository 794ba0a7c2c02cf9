"""Everything a clinician may change about one user's hand: `Profile`, checked wherever it comes from.

Wrong types and values out of range are refused by name with `ProfileError`; `profile_file` reads a profile from its
file. Nothing here names a person: `user` is a pseudonym.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bci.errors import ProfileError
from bci.language import N_, _
from bci.prosthesis.hand import DOFS, Closures

__all__ = [
    "CONTROLS",
    "GRIPS",
    "RELEASE",
    "TOGGLE",
    "Grip",
    "Limits",
    "Opening",
    "Profile",
    "Signal",
    "unexpected",
]

TOGGLE = "toggle"

#: The action of the intent that ends a held one.
RELEASE = "release"

#: How intents steer the hand; the table in `bci.prosthesis.policy` says what each does.
CONTROLS = ("switch", "hold", "proportional")


def _check(owner: object, ranges: Mapping[str, tuple[float, float, str]]) -> None:
    for name, (low, high, unit) in ranges.items():
        if not _within(value := getattr(owner, name), low, high):
            wanted = _("a number from {low:g} to {high:g} {unit}").format(
                low=low, high=high, unit=_(unit) if unit else ""
            )
            raise unexpected(name, value, wanted.rstrip())


def unexpected(name: str, value: object, wanted: str) -> ProfileError:
    """The refusal of one setting, in words: what came and what was expected."""
    return ProfileError(
        _("{name} = {value}: expected {wanted}").format(name=name, value=_written(value), wanted=wanted)
    )


def _written(value: object) -> str:
    """A value as its reader would find it in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Grip):
        given = zip(DOFS, value.target, strict=True)
        return f"{{{', '.join(f'{dof} = {x:g}' for dof, x in given if x is not None)}}}"
    return repr(value) if isinstance(value, str) else str(value)


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _each_dof(name: str, value: object, limits: tuple[float, float, str]) -> None:
    """One number for all degrees of freedom, or one for each."""
    low, high, unit = limits
    values = value if isinstance(value, tuple) else (value,)
    if len(values) not in (1, len(DOFS)) or not all(_within(x, low, high) for x in values):
        wanted = _("a number from {low:g} to {high:g} {unit}, or six ({dofs})").format(
            low=low, high=high, unit=_(unit), dofs=", ".join(DOFS)
        )
        raise unexpected(name, value, wanted)


def _closures(name: str, values: object) -> None:
    if not (isinstance(values, tuple) and len(values) == len(DOFS) and all(_within(v, 0, 1) for v in values)):
        raise unexpected(name, values, _("six closures from 0 to 1 ({dofs})").format(dofs=", ".join(DOFS)))


@dataclass(frozen=True, slots=True)
class Limits:
    """How far and how fast the hand may go, and what it may feel.

    `rate_per_s` is in closures per second, `slew_per_s2` bounds the growth of speed (stopping is never
    delayed); each is one number for all, or six in the order of `DOFS`. No rate is allowed that a hand could not
    follow: its set points would then lie further ahead than the hand can go in 100 ms. `lowest` and `highest` are
    closures, `movement_s` the longest continuous movement in seconds; above `current_a` (A), `force_n` (N) or
    `temperature_c` (°C) of any finger the hand is held.
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
        _each_dof("rate_per_s", self.rate_per_s, (0.01, 2.0, N_("closures/s")))
        _each_dof("slew_per_s2", self.slew_per_s2, (0.1, 100.0, N_("closures/s²")))
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
    hazards, so this is decided for each user (docs/hazards.md). `delay_s` is in seconds from the moment it was held,
    `rate_per_s` in closures per second.
    """

    allowed: bool = True
    delay_s: float = 3.0
    rate_per_s: float = 0.2

    def __post_init__(self) -> None:
        _check(self, {"delay_s": (0.5, 60.0, "s"), "rate_per_s": (0.01, 1.0, N_("closures/s"))})
        if not isinstance(self.allowed, bool):
            raise unexpected("allowed", self.allowed, _("true or false"))

    @property
    def rates(self) -> Closures:
        """`rate_per_s` for every degree of freedom."""
        return (self.rate_per_s,) * 6


@dataclass(frozen=True, slots=True)
class Signal:
    """When the signal is no longer good enough to move on.

    Parameters
    ----------
    stale_s : float
        Seconds without a new sample after which the hand is held; 0.2 at most.
    loss_fraction : float
        Share of samples that may be lost for ever, 0–1. With 0 no lost sample is ever forgiven.
    loss_burst_samples : int
        Lost samples beyond that share at which the hand is held.
    recover_s : float
        Seconds for which a doubt about the signal must stay away before the hand is armed again.
    """

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
                "loss_burst_samples": (0, 10_000, N_("samples")),
                "recover_s": (0.2, 60.0, "s"),
            },
        )
        if not isinstance(self.loss_burst_samples, int):
            raise unexpected("loss_burst_samples", self.loss_burst_samples, _("a whole number of samples"))


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
                raise unexpected(dof, value, _("a closure from 0 (open) to 1 (closed)"))

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


#: What a setting is, where it is neither a number nor one of a few words.
_KINDS = {"user": str, "closing": str, "intents": Mapping, "sequences": Mapping, "grips": Mapping}


@dataclass(frozen=True, slots=True)
class Profile:
    """One user's settings.

    Parameters
    ----------
    user : str
        Pseudonym.
    control : str
        "switch": an accepted intent runs to its grip. "hold": so it does, and when the intent is over, an intent
        named "release" follows, which must be among `intents`. "proportional": the hand moves only while intents keep
        coming, the faster the surer they are.
    intents : dict
        What the decoder may ask for → the name of a grip, or "toggle": "open" if the fingers have gone half the way
        from there to `closing` or more, else `closing`.
    sequences : dict
        For more grips than classes: actions separated by blanks, e.g. "right left", → the name of a grip. Where there
        are any, single intents move nothing unless they are sequences of one. Only with "switch".
    sequence_within_s : float
        Longest pause within a sequence.
    grips : dict
        Postures by name; "open" must be among them, with all five fingers at 0.5 or less, and some intent or sequence
        must lead to it or be a toggle.
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
                "budget_per_min": (0.05, 20.0, N_("false activations per minute")),
                "sequence_within_s": (0.2, 10.0, "s"),
            },
        )
        if self.control not in CONTROLS:
            raise unexpected("control", self.control, _("one of {names}").format(names=", ".join(CONTROLS)))
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                wanted = _("a text") if kind is str else _("a table")
                raise unexpected(name, getattr(self, name), wanted)
        if "open" not in self.grips:
            raise ProfileError(
                _("grips lacks 'open': without it a hand could close and never be asked to open")
            )
        opened = self.grips["open"]
        if not all(x is not None and x <= 0.5 for x in opened.target[:5]):
            raise unexpected("grips.open", opened, _("all five fingers, each at 0.5 or less"))
        known = [*self.grips, TOGGLE]
        asked = [
            *((f"intents.{action}", grip) for action, grip in self.intents.items()),
            *((f"sequences.{words}", grip) for words, grip in self.sequences.items()),
            ("closing", self.closing),
        ]
        for name, grip in asked:
            if not isinstance(grip, str) or grip not in known:
                raise unexpected(name, grip, _("one of {names}").format(names=", ".join(known)))
        if self.closing == TOGGLE:
            raise unexpected("closing", TOGGLE, _("the name of a grip"))
        for words in self.sequences:
            if not words or words != " ".join(words.split()):
                raise ProfileError(
                    _("sequence {words!r}: expected actions with one blank between them").format(words=words)
                )
        if self.sequences and self.control != "switch":
            raise ProfileError(
                _("sequences need control = 'switch', got {control!r}").format(control=self.control)
            )
        if self.control == "hold" and RELEASE not in self.intents:
            raise ProfileError(
                _(
                    "control = 'hold' needs intents.{release}: what the hand does when an intent is over; "
                    "map it to a grip, such as 'open'"
                ).format(release=RELEASE)
            )
        if not {"open", TOGGLE} & set(self.actions.values()):
            raise ProfileError(
                _(
                    "no intent opens the hand: it could close and never be asked to open; "
                    "map one to 'open' or 'toggle'"
                )
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
