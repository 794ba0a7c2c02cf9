"""Every electrode at a look: good, fair or bad, what was found, and what to do about it in plain words.

Signal quality (`bci.dsp.QualityWatch`), the impedance that the board's lead-off tone shows, and the converter's own
lead-off comparators are brought together here, so that people meet one verdict and one piece of advice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bci.acquisition import Impedance, ImpedanceMeter, ToneFilter
from bci.chunks import Chunk, SignalInfo
from bci.dsp import ChannelQuality, QualityWatch
from bci.language import _, ngettext
from firmware_protocol import LeadOff

__all__ = [
    "Electrode",
    "ElectrodeWatch",
    "Level",
    "cap_off",
    "judge",
    "left_out_sentence",
    "summary_sentence",
]

Level = Literal["good", "fair", "bad"]

#: kΩ. Converters with an input of a gigaohm take more than the classical 5 kΩ; above 100 kΩ hum comes in.
FAIR_KOHM, BAD_KOHM, OPEN_KOHM = 30.0, 100.0, 500.0
#: Scores of `ChannelQuality`: below 50 nothing may be decoded from a channel.
FAIR_SCORE, BAD_SCORE = 75, 50
#: Share of samples in which a comparator must say "off", so that a tap at the cable does not count.
OFF_SHARE = 0.5
#: Causes that mean there is no contact, as opposed to a contact that is disturbed.
NO_CONTACT = frozenset({"off", "railed", "flat", "impedance", "noise", "mains", "weak"})
#: Share of electrodes without contact from which it is the cap and not the electrodes.
CAP_SHARE = 0.75
KEPT_WINDOWS = 4  # of the impedance, whose median counts


@dataclass(frozen=True, slots=True)
class Electrode:
    """One electrode at a look.

    Parameters
    ----------
    name : str
    level : {"good", "fair", "bad"}
        "bad": do not decode from it.
    findings : tuple of str
        One word each, gravest first: "off", "railed", "flat", "impedance", "lost", "waves", "mains", "noise",
        "muscle", "offset", "weak".
    impedance_kohm : float or None
        Where the board can measure it.
    sentence, advice : str
        The gravest finding, and what to do about it, in the language spoken now.
    """

    name: str
    level: Level
    findings: tuple[str, ...]
    impedance_kohm: float | None
    sentence: str
    advice: str


class ElectrodeWatch:
    """All electrodes of a stream, judged over its last seconds whenever somebody looks.

    Parameters
    ----------
    info : SignalInfo
    needed : sequence of str
        Electrodes to put first in `look`; the others follow in the order of the signal. Default: all.
    lead_off : LeadOff or None
        The tone that the board has been told to send, if any: impedance is measured by it, and it is taken out of
        the signal before that is judged (a quarter of the rate only; another tone lies inside the signal's band).
    window_s : float, s
        Signal that a look rests on.
    """

    def __init__(
        self,
        info: SignalInfo,
        needed: Sequence[str] = (),
        *,
        lead_off: LeadOff | None = None,
        window_s: float = 4.0,
    ) -> None:
        self.info = info
        self._order = [c for c in info.channels if c in needed] + [
            c for c in info.channels if c not in needed
        ]
        self._quality = QualityWatch(
            info.n_channels, fs_hz=info.fs_hz, channels=info.channels, window_s=window_s
        )
        self._meter = None if lead_off is None else ImpedanceMeter(info.rate, mode=lead_off)
        self._tone = ToneFilter(info.n_channels) if lead_off == LeadOff.AC_QUARTER_RATE else None
        self._measured: deque[Impedance] = deque(maxlen=KEPT_WINDOWS)
        self._off: deque[np.ndarray] = deque(maxlen=round(window_s * info.fs_hz))

    def process(self, chunk: Chunk) -> None:
        """Take the next chunk, raw."""
        if self._meter is not None:
            self._measured.extend(self._meter.process(chunk))
        if (inputs := chunk.lead_off) is not None:
            self._off.extend((inputs[0] | inputs[1]).T)
        if self._tone is not None:
            chunk = self._tone.process(chunk)
        self._quality.process(chunk.data_uv, chunk.first_sample)

    def look(self) -> tuple[Electrode, ...]:
        """Every electrode now; empty until enough signal has come."""
        qualities = {quality.channel: quality for quality in self._quality.look()}
        if not qualities:
            return ()
        n = self.info.n_channels
        off = np.mean(self._off, axis=0) > OFF_SHARE if self._off else np.zeros(n, dtype=bool)
        kohm = np.median([m.kohm for m in self._measured], axis=0) if self._measured else None
        rows = {name: row for row, name in enumerate(self.info.channels)}
        return tuple(
            judge(
                qualities[name],
                off=bool(off[rows[name]]),
                kohm=None if kohm is None else float(kohm[rows[name]]),
            )
            for name in self._order
        )


def judge(quality: ChannelQuality, *, off: bool = False, kohm: float | None = None) -> Electrode:
    """One electrode from what is known of it."""
    findings = [*quality.causes]
    if {"flat", "railed"} & set(findings):
        kohm = None  # no tone comes through, which would look like a perfect electrode
    level: Level = "bad" if quality.score < BAD_SCORE else "fair" if quality.score < FAIR_SCORE else "good"
    if kohm is not None and kohm > FAIR_KOHM:
        findings.insert(0, "impedance")
        level = "bad" if kohm > BAD_KOHM else level if level == "bad" else "fair"
    if off or (kohm is not None and kohm > OPEN_KOHM):
        findings = ["off", *(f for f in findings if f != "impedance")]
        level = "bad"
    if level == "good":
        findings = []  # a trace of something in a good signal would only worry
    sentence, advice = _words(findings[0] if findings else "", quality.channel, kohm)
    return Electrode(quality.channel, level, tuple(findings), kohm, sentence, advice)


def cap_off(electrodes: Sequence[Electrode]) -> bool:
    """Whether so many electrodes have no contact that the cap cannot be on (or the reference is off)."""
    without = [e for e in electrodes if e.level == "bad" and NO_CONTACT & set(e.findings)]
    return bool(electrodes) and len(electrodes) > 1 and len(without) >= CAP_SHARE * len(electrodes)


def summary_sentence(electrodes: Sequence[Electrode]) -> str:
    """All electrodes in one sentence."""
    if not electrodes:
        return _("Listening to the electrodes …")
    bad = [e.name for e in electrodes if e.level == "bad"]
    if cap_off(electrodes):
        return _(
            "The cap does not seem to be on: {bad} of {all} electrodes have no contact. Put the cap on, or see to the "
            "reference and ground electrodes."
        ).format(bad=len(bad), all=len(electrodes))
    if bad:
        return ngettext(
            "{n} electrode needs attention: {names}.", "{n} electrodes need attention: {names}.", len(bad)
        ).format(n=len(bad), names=", ".join(bad))
    fair = [e.name for e in electrodes if e.level == "fair"]
    if fair:
        return _("The signal will do; it would be better with {names} wetted again.").format(
            names=", ".join(fair)
        )
    return _("All electrodes are good.")


def left_out_sentence(names: Sequence[str]) -> str:
    """That the decoder goes without these electrodes, "" where it takes all."""
    return _("The decoder leaves out {names}.").format(names=_(", ").join(names)) if names else ""


def _words(finding: str, name: str, kohm: float | None) -> tuple[str, str]:
    """Sentence and advice about one finding; whole sentences, so that they can be translated."""
    wet = _("Wet electrode {name} again and press it on.").format(name=name)
    plug = _("See that the plug of electrode {name} sits firmly, then wet it again.").format(name=name)
    match finding:
        case "":
            return _("{name} is good.").format(name=name), ""
        case "off":
            return _("{name} has no contact.").format(name=name), wet
        case "impedance":
            said = _("{name} has {kohm} kΩ, below {limit} kΩ is good.")
            return said.format(name=name, kohm=f"{kohm or 0.0:.0f}", limit=f"{FAIR_KOHM:.0f}"), wet
        case "railed":
            return _("{name} is at the end of the amplifier's range.").format(name=name), plug
        case "flat":
            return _("{name} gives no signal.").format(name=name), plug
        case "weak":
            return _("{name} gives hardly any signal.").format(name=name), plug
        case "lost":
            return (
                _("Samples are lost on their way to the computer."),
                _("Check the cable between board and computer."),
            )
        case "mains":
            return (
                _("{name} picks up the hum of the mains.").format(name=name),
                _("Wet electrode {name} again; keep its cable away from power supplies.").format(name=name),
            )
        case "waves":
            return (
                _("{name} shows large slow waves.").format(name=name),
                _(
                    "Ask the user to sit still and blink less; if it stays, wet electrode {name} again."
                ).format(name=name),
            )
        case "muscle":
            return (
                _("{name} shows muscle activity.").format(name=name),
                _("Ask the user to relax jaw and neck; if it stays, wet electrode {name} again.").format(
                    name=name
                ),
            )
        case "noise":
            return (
                _("{name} is noisy; the noise covers its signal.").format(name=name),
                _("Wet electrode {name} again; if it stays, look for a broken lead or plug.").format(
                    name=name
                ),
            )
        case "offset":
            return _("{name} is drying out or loose.").format(name=name), wet
    return _("{name} has a fault: {what}.").format(name=name, what=finding), wet
