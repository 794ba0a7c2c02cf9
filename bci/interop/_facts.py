"""One line of JSON with what other formats have no field for, so that a recording comes back from them as it was.

`bci-hand {"rate":"250","measured_hz":250.0031,"uv_per_count":0.02235…,…}`: an annotation in EDF+ and BDF+, the
description in FIF, the first line of a CSV, a part of the stream's description in XDF.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bci.interop._door import Description

__all__ = ["MARK", "facts_of", "facts_text"]

MARK = "bci-hand "


def facts_text(about: Description, **more: Any) -> str:
    """The line; `more` are facts of the format's own."""
    steps = [channel.step for channel in about.channels]
    facts: dict[str, Any] = {
        "n_samples": about.n_samples,
        "rate": str(about.rate),
        "measured_hz": about.measured_hz,
        "uv_per_count": steps[0] if len(set(steps)) == 1 else steps,
        "names": list(about.names),
        "kinds": {c.name: c.kind for c in about.channels if c.kind != "eeg"},
        "units": {c.name: c.unit for c in about.channels if c.unit != "uV"},
        "impedance_kohm": {c.name: c.impedance_kohm for c in about.channels if c.impedance_kohm is not None},
        "device": about.device,
        "reference": about.reference,
        "codes": {event.text: event.code for event in about.events if event.code},
        **more,
    }
    kept = {key: value for key, value in facts.items() if value not in (None, "", {}, [])}
    return MARK + json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def facts_of(text: str) -> Mapping[str, Any]:
    """What such a line says; nothing for any other text."""
    if not text.startswith(MARK):
        return {}
    try:
        facts = json.loads(text.removeprefix(MARK))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
