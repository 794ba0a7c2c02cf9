"""Crosstalk, and channels that were exchanged: the test signal on one channel, all others shorted, one after another.

The channel that shows the test signal is the pattern; every other one is projected on it. So the full matrix is
measured without an instrument, below -115 dB in six seconds a channel. Where the signal comes out of another
channel than it was put in, the two are swapped.

References
----------
.. [1] ADS1299 data sheet SBAS499C, 7.5: crosstalk -110 dB typical at 50/60 Hz.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bci.chunks import F64
from bci.language import _
from bci.qualification.limits import Limits, judged, not_measured
from bci.qualification.measurements._common import decibels, panel
from bci.qualification.measurements._square import NOMINAL_UV, mean_period
from bci.qualification.result import Measurement, Result, Setting, Take, Taken
from firmware_protocol import TestSignal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CROSSTALK", "coupling"]

TEST_MUX, SHORT_MUX = 5, 1
RATIO_U = 0.001  # standard uncertainty of the ratio of two channels' gains, √2 times that of one
CARRIES = 0.3  # of the nominal step: a channel that shows this much carries the signal
TESTS = ("crosstalk", "order")


def coupling(taken: Taken) -> tuple[int, F64, F64]:
    """Which channel carries the test signal, every channel's share of it, and the shares' standard uncertainty.

    Returns
    -------
    carrier : int
        -1 if none does, -2 if more than one does.
    share, uncertainty : ndarray, shape (n_channels,)
    """
    mean, u = mean_period(taken)
    waves = mean - mean.mean(axis=1, keepdims=True)
    nominal = NOMINAL_UV * taken.take.setting.amplitude
    size = np.sqrt((waves**2).mean(axis=1)) / nominal
    carriers = np.flatnonzero(size > CARRIES)
    if len(carriers) != 1:
        return (-2 if len(carriers) else -1), size, np.zeros(len(size))
    pattern = waves[carriers[0]]
    power = float((pattern**2).sum())
    return int(carriers[0]), waves @ pattern / power, u[:, 0] / np.sqrt(power)


def _takes(n_channels: int) -> tuple[Take, ...]:
    return tuple(
        Take(
            f"channel {k + 1}",
            6.4,
            Setting(gain=24, mux=SHORT_MUX, mux_of={k: TEST_MUX}, test_signal=TestSignal.FAST, amplitude=2),
        )
        for k in range(n_channels)
    )


def _evaluate(takens: Sequence[Taken], limits: Limits) -> list[Result]:
    channels = takens[0].info.channels
    came_out: dict[int, int] = {}
    worst: dict[str, tuple[float, float, str]] = {}  # of each channel: share, uncertainty, from where
    silent = both = 0
    for taken in takens:
        put_in = next(iter(taken.take.setting.mux_of))
        carrier, shares, u = coupling(taken)
        silent += carrier == -1
        both += carrier == -2
        if carrier < 0:
            continue
        came_out[put_in] = carrier
        for k, label in enumerate(channels):
            if k != carrier and abs(shares[k]) >= worst.get(label, (0.0,))[0]:
                worst[label] = (abs(float(shares[k])), float(u[k]), channels[carrier])
    if not came_out:
        reason = (
            _("The board shows its test signal in all channels at once, whatever their inputs are set to.")
            if both
            else _("The board shows no test signal; does its firmware know the command TEST_SIGNAL?")
        )
        return [not_measured(limits, test, label, reason) for label in channels for test in TESTS]
    return [*_orders(channels, came_out, limits), *_couplings(channels, worst, limits)]


def _orders(channels: Sequence[str], came_out: dict[int, int], limits: Limits) -> list[Result]:
    results = []
    for put_in, carrier in sorted(came_out.items()):
        away = carrier - put_in
        one, other = channels[min(put_in, carrier)], channels[max(put_in, carrier)]
        if came_out.get(carrier) == put_in:
            reason = _("{channel} and {other} are swapped.").format(channel=one, other=other)
        else:
            reason = _("What is put into {channel} comes out of {other}.").format(
                channel=channels[put_in], other=channels[carrier]
            )
        partner = channels[carrier] if carrier != put_in else ""
        facts: dict[str, float | str] = {"fault": "swap", "size": 0.0, "size_unit": "", "other": partner}
        results.append(judged(limits, "order", channels[put_in], float(away), 0.0, fails=reason, facts=facts))
    return results


def _couplings(
    channels: Sequence[str], worst: dict[str, tuple[float, float, str]], limits: Limits
) -> list[Result]:
    bound = 10.0 ** ((limits["crosstalk"].high or -90.0) / 20)
    results = []
    for label in channels:
        if label not in worst:
            continue
        share, u, source = worst[label]
        value = decibels(max(share, 2 * u))
        # A figure far below its limit says how sure it is at the limit: a bound has no uncertainty of its own.
        u_db = 20.0 * float(np.log10(1.0 + np.hypot(2 * u / max(share, bound), 2 * RATIO_U)))
        reason = _("{source} gets across to {channel} at {db} dB.").format(
            source=source, channel=label, db=f"{value:.1f}"
        )
        facts: dict[str, float | str] = {
            "fault": "crosstalk", "size": value, "size_unit": "dB", "other": source, "resolution_db": decibels(2 * u),
        }  # fmt: skip
        results.append(judged(limits, "crosstalk", label, value, u_db, fails=reason, facts=facts))
    return results


def _picture(takens: Sequence[Taken], results: Sequence[Result]) -> Figure:
    channels = takens[0].info.channels
    matrix = np.full((len(channels), len(channels)), np.nan)
    for taken in takens:
        carrier, shares, u = coupling(taken)
        if carrier >= 0:
            matrix[next(iter(taken.take.setting.mux_of))] = [
                decibels(max(abs(s), 2 * w)) for s, w in zip(shares, u, strict=True)
            ]

    def draw(axes: Any) -> None:
        image = axes.imshow(matrix, vmin=-125, vmax=0, cmap="cividis", aspect="auto")
        small = 10 if len(channels) <= 8 else 6
        axes.set_xticks(range(len(channels)), channels, fontsize=small)
        axes.set_yticks(range(len(channels)), channels, fontsize=small)
        axes.figure.colorbar(image, label="dB")

    return panel(draw, x=_("seen in"), y=_("put into"), title=_("Crosstalk"), size=(5.0, 4.0))


CROSSTALK = Measurement(
    name="crosstalk",
    needs="test-signal",
    title=lambda: _("Crosstalk and order of channels"),
    instruction=lambda: _("Nothing to do: the board makes its own test signal."),
    takes=_takes,
    evaluate=_evaluate,
    picture=_picture,
)
