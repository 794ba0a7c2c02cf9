"""What a figure is called on a sheet: limits know it by a short name, people read it in their language."""

from __future__ import annotations

import re

from bci.language import N_, _

__all__ = ["family", "fault_title", "figure_title", "unit_text"]

#: Figures that exist once per gain, `noise-rms-gain-24`: on a sheet they are one family.
PER_GAIN = re.compile(r"(noise-rms-gain|gain-error|gain-match)-(\d+)")

TITLES = {
    "noise-rms-gain": N_("noise, rms"),
    "noise-pp": N_("noise 0.5–50 Hz, peak to peak"),
    "noise-corner": N_("corner of 1/f noise"),
    "input-noise-rms": N_("noise through the connector, rms"),
    "offset": N_("offset"),
    "headroom": N_("range left above the offset"),
    "gain-error": N_("gain against the test signal"),
    "gain-match": N_("gain against the other channels"),
    "gain-generator": N_("gain against the generator"),
    "gain-generator-match": N_("gain against the other channels, generator"),
    "range": N_("usable range"),
    "bandwidth": N_("−3 dB point, from the step"),
    "bandwidth-sweep": N_("−3 dB point, from the sweep"),
    "rise-time": N_("rise time"),
    "step-misfit": N_("step against the model"),
    "crosstalk": N_("crosstalk"),
    "order": N_("order of channels"),
    "skew": N_("skew between channels"),
    "thd": N_("harmonic distortion (THD)"),
    "cmrr-50": N_("common mode against differential, 50 Hz"),
    "cmrr-60": N_("common mode against differential, 60 Hz"),
    "clock": N_("clock error"),
    "jitter": N_("jitter of samples"),
    "link-errors": N_("damaged packets"),
    "pattern": N_("wrong samples of the test pattern"),
    "link-margin": N_("capacity of the line left"),
    "loss-device": N_("conversions lost by the board"),
    "loss-link": N_("conversions lost on the line"),
    "leadoff-current": N_("lead-off current"),
    "impedance": N_("impedance against the resistors"),
    "contact-dropouts": N_("drop-outs while shaken"),
    "contact-transitions": N_("lead-off transitions while shaken"),
    "gain-drift": N_("gain, drift with temperature"),
    "offset-drift": N_("offset, drift with temperature"),
    "supply-drift": N_("offset, drift with the supply"),
    "endurance-gain": N_("gain over hours"),
    "endurance-offset": N_("offset over hours"),
    "endurance-lost": N_("conversions lost over hours"),
}


#: What can be wrong with a board, as `bci.qualification.diagnosis` names it.
FAULTS = {
    "bandwidth": N_("bandwidth"),
    "clock": N_("clock"),
    "cmrr": N_("common-mode rejection"),
    "crosstalk": N_("crosstalk"),
    "dead": N_("dead channel"),
    "drops": N_("lost conversions"),
    "endurance": N_("endurance"),
    "flicker": N_("1/f noise"),
    "flip": N_("damaged packets"),
    "gain": N_("gain"),
    "gaindrift": N_("drift of gain"),
    "jitter": N_("jitter of samples"),
    "leadoff": N_("lead-off current"),
    "loose": N_("loose contact"),
    "margin": N_("capacity of the line"),
    "noise": N_("noise"),
    "nonlinear": N_("distortion"),
    "offset": N_("offset"),
    "offsetdrift": N_("drift of offset"),
    "pattern": N_("wrong samples of the test pattern"),
    "railed": N_("channel at the end of its range"),
    "range": N_("usable range"),
    "reference": N_("reference voltage"),
    "skew": N_("skew between channels"),
    "step": N_("step response"),
    "supply": N_("dependence on the supply"),
    "swap": N_("swapped channels"),
    "testsource": N_("test signal"),
}

#: Units that are words.
UNITS = {
    "samples": N_("samples"),
    "channels": N_("channels"),
    "conversions": N_("conversions"),
    "drop-outs": N_("drop-outs"),
    "transitions": N_("transitions"),
    "/million": N_("/million"),
}


def family(test: str) -> tuple[str, str]:
    """(family, gain) of a figure; gain is empty for those that exist once."""
    found = PER_GAIN.fullmatch(test)
    return (found[1], found[2]) if found else (test, "")


def figure_title(test: str) -> str:
    """A few words for a figure; its own name where there are none."""
    name, gain = family(test)
    title = TITLES.get(name)
    if title is None:
        return test
    return _("{figure}, gain {gain}").format(figure=_(title), gain=gain) if gain else _(title)


def unit_text(unit: str) -> str:
    """A unit; one that is a word, in the language spoken."""
    return _(UNITS[unit]) if unit in UNITS else unit


def fault_title(kind: str) -> str:
    """A few words for a fault; for a figure that no fault is known of, those of the figure."""
    return _(FAULTS[kind]) if kind in FAULTS else figure_title(kind)
