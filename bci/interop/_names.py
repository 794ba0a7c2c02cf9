"""What other systems' words for units and channels mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from bci.errors import RecordingError

__all__ = [
    "UV_PER_UNIT",
    "ascii_only",
    "canonical_unit",
    "channel_kind",
    "electrode_name",
    "is_ten_five",
    "is_trigger",
    "no_voltage",
    "unalike",
]

UV_PER_UNIT = {"V": 1e6, "mV": 1e3, "uV": 1.0, "nV": 1e-3}
_SPELLINGS = {
    "µv": "uV",  # micro sign
    "μv": "uV",  # Greek mu
    "uv": "uV",
    "microvolt": "uV",
    "microvolts": "uV",
    "mv": "mV",
    "v": "V",
    "volt": "V",
    "volts": "V",
    "nv": "nV",
}
_TRIGGER = re.compile(r"status|trig(ger)?(\s*\d+)?|stim?(\s*\d+)?|sti ?\d{3}|markers?|events?", re.IGNORECASE)
#: Letters of the 10-05 system, and number or z, with h where it lies halfway.
_TEN_FIVE = re.compile(
    r"(n|fp|afp|af|aff|f|ffc|ffc|fft|ft|ftt|fc|fcc|c|ccp|cp|cpp|t|ttp|tp|tpp|p|ppo|po|poo|o|oi|i|a|m)(z|\d{1,2}h?)",
    re.IGNORECASE,
)
_KINDS = (
    ("eog", re.compile(r"eog|[hv]eog|[lr]oc", re.IGNORECASE)),
    ("ecg", re.compile(r"e[ck]g", re.IGNORECASE)),
    ("emg", re.compile(r"emg", re.IGNORECASE)),
    ("misc", re.compile(r"acc|gyro|temp|resp|spo2|puls|gsr|eda|photo|battery|aux|counter", re.IGNORECASE)),
)


def canonical_unit(text: str) -> str:
    """`µV`, `μV`, `microvolts` → `uV`; units of no voltage stay as they are."""
    return _SPELLINGS.get(text.strip().lower(), text.strip())


def channel_kind(name: str, unit: str = "") -> str:
    """ "eog", "emg", "ecg", "misc" (no voltage of a body) or "eeg", by the channel's name and unit."""
    if unit and canonical_unit(unit) not in UV_PER_UNIT:
        return "misc"
    return next((kind for kind, words in _KINDS if words.search(name)), "eeg")


def electrode_name(name: str) -> str:
    """`Fc5.` → `FC5`, `EEG C3-Ref` → `C3`, `FP1` → `Fp1`; names outside the 10-05 system keep their letters."""
    bare = re.sub(r"^(EEG|EOG|EMG|ECG)\s+(?=\S)", "", name.strip(" .")).strip(" .")
    bare = re.sub(r"-(ref|le|avg|a1|a2|m1|m2)$", "", bare, flags=re.IGNORECASE)
    if (match := _TEN_FIVE.fullmatch(bare)) is None:
        return bare
    letters = match[1].upper()
    return (letters[:-1] + "p" if letters.endswith("FP") else letters) + match[2].lower()


def is_ten_five(name: str) -> bool:
    """A name of the 10-05 system: C3, FCz, AFF1h."""
    return _TEN_FIVE.fullmatch(name) is not None


def is_trigger(name: str) -> bool:
    """A channel that carries codes, no signal: Status, Trigger, STI 014 …"""
    return _TRIGGER.fullmatch(name.strip()) is not None


def no_voltage(path: Path, units: Iterable[str]) -> RecordingError:
    """What to raise where no channel of a file measures a voltage."""
    there = ", ".join(sorted({repr(unit) for unit in units})) or "none"
    return RecordingError(
        f"{path} holds no channel that measures a voltage; its units are {there}. If they err, give the right one with "
        "--unit; take all channels as they are with --aux",
        path=path,
    )


def ascii_only(text: str) -> str:
    """`É1` → `E1`, `左手` → `__`: what headers of EDF and FIF may hold."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "_" for c in bare.replace("µ", "u").replace("μ", "u"))


def unalike(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names for channels without one (`Ch3`), and a number behind those that come twice."""
    seen: dict[str, int] = {}
    out = []
    for k, name in enumerate(names):
        name = name or f"Ch{k + 1}"
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(out)
