"""What the monitor must be shown before it arms: `Certificate`, the result of an honest calibration.

Made by whoever trains (nested run-blocked evaluation), checked here. A hand is armed only if the lower bound
of the decoder's balanced accuracy lies above chance, for twelve hours, and only for the model it was made
for.
"""

from __future__ import annotations

from dataclasses import dataclass

from bci.language import _

__all__ = ["VALID_FOR_S", "Certificate"]

VALID_FOR_S = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """Evidence that a decoder beats chance.

    Parameters
    ----------
    lower : float
        Lower 95 % bound of the balanced accuracy, 0–1.
    chance : float
        Chance level, 1 / number of classes.
    runs : int
        Runs it was validated across; one run alone proves nothing.
    issued_s : float
        Wall clock when it was issued, seconds since 1970.
    model : str
        SHA-256 of the model it speaks for.
    channels : tuple of str
        Montage it was issued for.
    valid_for_s : float
        Seconds after which it runs out; twelve hours, or less.
    """

    lower: float
    chance: float
    runs: int
    issued_s: float
    model: str = ""
    channels: tuple[str, ...] = ()
    valid_for_s: float = VALID_FOR_S

    def refusal(self, now_s: float, *, model: str = "", channels: tuple[str, ...] = ()) -> str:
        """Why this certificate does not allow arming, "" if it does.

        `model` and `channels` are those in use; empty means not compared.
        """
        if not self.lower > self.chance:  # also where a bound is NaN
            return _(
                "the decoder is not shown to beat chance (bound {lower:.2f}, chance {chance:.2f})"
            ).format(lower=self.lower, chance=self.chance)
        if self.runs < 2:
            return _("validated on {runs} run: at least 2 are needed for an honest bound").format(
                runs=self.runs
            )
        if not 0.0 <= self.left_s(now_s) <= self._span_s:
            return _("the calibration certificate has run out: calibrate again")
        if model and self.model != model:
            return _("the certificate speaks for another model: calibrate again")
        if channels and self.channels != channels:
            return _("the certificate is for channels {certified}, here are {channels}").format(
                certified=" ".join(self.channels), channels=" ".join(channels)
            )
        return ""

    def left_s(self, now_s: float) -> float:
        """Seconds of validity left."""
        return self.issued_s + self._span_s - now_s

    @property
    def _span_s(self) -> float:
        """What a file says of itself makes no certificate good for longer; NaN stays NaN, and is refused."""
        return min(self.valid_for_s, VALID_FOR_S)
