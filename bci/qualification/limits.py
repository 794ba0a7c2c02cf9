"""What a board has to keep: limits in TOML, each with its source, and the rule by which a figure is judged.

Decision rule
-------------
1. A value outside its limits by more than its expanded uncertainty (k = 2) fails, one inside by more passes.
2. In between, simple acceptance (ILAC-G8:09/2019, 4.2.1; guard band 0): inside passes, outside fails, but only where
   the uncertainty is at most half the limit's tolerance.
3. What is less certain than that is "not measured".

A fault of twice the limit is therefore missed only if the estimate is off by four standard uncertainties, 3 in 100,000;
a board at half its limit fails as rarely.

Files
-----
- A limits file (schema "bci-limits/1") holds every limit with unit and source. The shipped one is `ads1299`.
- A bench's own file may be short (schema "bci-limits-tighter/1"): it names the file it rests on and the limits that are
  to be tighter. It cannot loosen one: for that a whole file with its own sources is written, so that nobody passes
  boards by a small file.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from bci.errors import LimitsError
from bci.language import _, library_reason, system_reason
from bci.qualification.result import Facts, Result, Verdict

__all__ = ["SHIPPED", "Limit", "Limits", "judged", "not_measured", "read_limits", "shipped_limits"]

SHIPPED = Path(__file__).with_name("limits")
WHOLE, TIGHTER = "bci-limits/1", "bci-limits-tighter/1"


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds of one figure. At least one of `low` and `high` is there; `source` says where they come from.

    `tolerance` is what uncertainty is held against; by default half the width, or the limit's own size where there is
    only one (3 dB where that is dB: twice the limit is 6 dB). `basis` is how much of the figure the source says: all of
    it ("stated"), what it was computed from ("derived"), or nothing ("own": the judgement of whoever wrote the file).
    """

    unit: str
    source: str
    low: float | None = None
    high: float | None = None
    tolerance: float | None = None
    basis: Literal["stated", "derived", "own"] = "own"

    @property
    def room(self) -> float:
        """Half of this is the largest uncertainty with which a figure is judged."""
        if self.tolerance is not None:
            return self.tolerance
        if self.unit == "dB":
            return 6.0
        if self.low is not None and self.high is not None:
            return (self.high - self.low) / 2
        bound = self.high if self.high is not None else self.low
        return abs(bound) if bound else math.inf  # a count that has to be 0 is exact


class _Tighter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    low: float | None = None
    high: float | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    schema: str
    name: str
    limits: dict[str, Limit]


class _TighterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    schema: str
    name: str
    base: str
    limits: dict[str, _Tighter]


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of a bench.

    Parameters
    ----------
    name : str
    limits : mapping of str to Limit
    sha256 : str
        Of the file, or of base and file.
    """

    name: str
    limits: Mapping[str, Limit]
    sha256: str

    def __getitem__(self, test: str) -> Limit:
        return self.limits[test]


def shipped_limits(name: str = "ads1299") -> Limits:
    """The limits that come with this library."""
    return read_limits(SHIPPED / f"{name}.toml")


def read_limits(path: str | Path) -> Limits:
    """Limits from a file.

    Raises
    ------
    LimitsError
        If it is missing, of another schema, misses a limit or its source, or would loosen one; the message says which.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as err:
        raise _wrong(path, _("it cannot be read: {reason}").format(reason=system_reason(err))) from err
    try:
        schema = msgspec.toml.decode(raw, type=dict).get("schema")
    except (msgspec.MsgspecError, UnicodeDecodeError) as err:
        raise _wrong(path, _("it is no TOML: {reason}").format(reason=library_reason(err))) from err
    digest = hashlib.sha256(raw)
    try:
        if schema == WHOLE:
            whole = msgspec.toml.decode(raw, type=_File)
            return Limits(whole.name, _complete(path, whole.limits), digest.hexdigest())
        if schema == TIGHTER:
            tighter = msgspec.toml.decode(raw, type=_TighterFile)
            base = _base(path, tighter.base)
            digest.update(base.sha256.encode())
            return Limits(tighter.name, _tightened(path, base, tighter.limits), digest.hexdigest())
    except msgspec.ValidationError as err:
        raise _wrong(path, str(err)) from err
    expected = f"{WHOLE}, {TIGHTER}"
    raise _wrong(
        path,
        _("its schema is {schema!r}, expected one of {expected}").format(schema=schema, expected=expected),
    )


def judged(
    limits: Limits,
    test: str,
    channel: str | None,
    value: float,
    uncertainty: float,
    *,
    fails: str = "",
    facts: Facts | None = None,
) -> Result:
    """The result of a figure, by the decision rule.

    Parameters
    ----------
    limits : Limits
    test, channel, value, uncertainty
        As of `Result`.
    fails : str
        The sentence that names the fault, should it fail.
    facts : mapping
        Kept with the result.
    """
    limit = limits[test]
    verdict: Verdict = "pass"
    reason = ""
    beyond = _beyond(value, limit)
    if not (math.isfinite(value) and math.isfinite(uncertainty)):
        verdict, reason = "not measured", _("The figure could not be computed.")
    elif abs(beyond) <= uncertainty and uncertainty > limit.room / 2:
        verdict = "not measured"
        reason = _("The uncertainty, {uncertainty}, is too large for a verdict; record for longer.").format(
            uncertainty=_with_unit(uncertainty, limit.unit)
        )
    elif beyond > 0:
        verdict, reason = "fail", fails or _("{test} is outside its limits.").format(test=test)
    kept = dict(facts or {})
    if verdict != "fail":
        kept = {key: fact for key, fact in kept.items() if key not in ("fault", "size", "size_unit", "other")}
    return Result(test, channel, value, limit.unit, uncertainty, limit.low, limit.high, verdict, reason, kept)


def not_measured(
    limits: Limits, test: str, channel: str | None, reason: str, facts: Facts | None = None
) -> Result:
    """No figure, and why."""
    limit = limits[test]
    nothing = math.nan
    return Result(
        test,
        channel,
        nothing,
        limit.unit,
        nothing,
        limit.low,
        limit.high,
        "not measured",
        reason,
        dict(facts or {}),
    )


def _beyond(value: float, limit: Limit) -> float:
    """How far a value lies outside its limits; negative inside."""
    above = value - limit.high if limit.high is not None else -math.inf
    below = limit.low - value if limit.low is not None else -math.inf
    return max(above, below)


def _with_unit(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip()


def _complete(path: Path, limits: Mapping[str, Limit]) -> Mapping[str, Limit]:
    needed = set(msgspec.toml.decode((SHIPPED / "ads1299.toml").read_bytes(), type=_File).limits)
    if missing := sorted(needed - set(limits)):
        raise _wrong(path, _("these limits are missing: {names}").format(names=", ".join(missing)))
    if foreign := sorted(set(limits) - needed):
        raise _wrong(path, _("nothing measures these: {names}").format(names=", ".join(foreign)))
    for name, limit in limits.items():
        if limit.low is None and limit.high is None:
            raise _wrong(path, _("{name} has neither low nor high").format(name=name))
        if limit.low is not None and limit.high is not None and limit.low >= limit.high:
            raise _wrong(path, _("of {name} low is not below high").format(name=name))
        if not limit.source.strip():
            raise _wrong(path, _("{name} has no source").format(name=name))
    return limits


def _base(path: Path, name: str) -> Limits:
    beside = path.with_name(f"{name}.toml")
    shipped = SHIPPED / f"{name}.toml"
    for candidate in (beside, shipped):
        if candidate.is_file() and candidate.resolve() != path.resolve():
            return read_limits(candidate)
    raise _wrong(path, _("there is no limits file {base} beside it or in this library").format(base=name))


def _tightened(path: Path, base: Limits, tighter: Mapping[str, _Tighter]) -> Mapping[str, Limit]:
    limits = dict(base.limits)
    for name, bounds in tighter.items():
        if name not in limits:
            raise _wrong(path, _("nothing measures these: {names}").format(names=name))
        old = limits[name]
        low = old.low if bounds.low is None else bounds.low
        high = old.high if bounds.high is None else bounds.high
        looser = (old.low is not None and low is not None and low < old.low) or (
            old.high is not None and high is not None and high > old.high
        )
        if looser:
            raise _wrong(
                path,
                _(
                    "{name} would be looser than in {base}; a bench may only tighten. A looser limit needs a whole "
                    'file with schema "{schema}" and its own sources'
                ).format(name=name, base=base.name, schema=WHOLE),
            )
        if low is not None and high is not None and low >= high:
            raise _wrong(path, _("of {name} low is not below high").format(name=name))
        limits[name] = msgspec.structs.replace(
            old, low=low, high=high, basis="own", source=f"{path.name}, tighter than: {old.source}"
        )
    return limits


def _wrong(path: Path, why: str) -> LimitsError:
    return LimitsError(_("The limits file {path} is not used: {why}.").format(path=path, why=why), path=path)
