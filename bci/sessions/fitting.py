"""Does a calibration fit what is there now: the cap, the rate, this software's filters, the user's profile, the day?"""

from __future__ import annotations

import numpy as np

from bci.chunks import SignalInfo
from bci.errors import ModelFileError, MontageMismatchError, NotCertifiedError, RateMismatchError
from bci.language import _
from bci.pipeline import FilterChain, Model, certify, load_model, model_digest
from bci.prosthesis import Certificate, Profile
from bci.report.visit import CalibrationPart
from bci.sessions.store import VisitFolder

__all__ = ["fitting_model", "fitting_profile"]


def fitting_model(
    folder: VisitFolder, part: CalibrationPart, info: SignalInfo, *, now_s: float
) -> tuple[Model, Certificate]:
    """The model of a visit, and the certificate it arms the hand with.

    Raises
    ------
    MontageMismatchError, RateMismatchError
        It was made with another cap or at another rate.
    ModelFileError
        It is damaged, or its filters are not those of this software.
    NotCertifiedError
        The calibration does not allow control, or is too old, or the computer's clock was set back.
    """
    path = folder.path / (part.model or "model.safetensors")
    model = load_model(path)
    try:
        model.chain.require(info)
    except MontageMismatchError as err:
        raise MontageMismatchError(
            _(
                "This calibration was made with another cap ({n} electrodes: {was}); now there are {now}. "
                "Put the same cap on, or calibrate again."
            ).format(
                n=len(model.chain.channels), was=" ".join(model.chain.channels), now=" ".join(info.channels)
            ),
            got=err.got,
            expected=err.expected,
        ) from err
    except RateMismatchError as err:
        raise RateMismatchError(
            _(
                "This calibration was made at {was} samples a second, the board now sends {now}. "
                "Set the board to that rate, or calibrate again."
            ).format(was=f"{err.expected_hz:g}", now=f"{err.got_hz:g}"),
            got_hz=err.got_hz,
            expected_hz=err.expected_hz,
        ) from err
    if not _same_filters(model.chain, FilterChain.design(info)):
        raise ModelFileError(
            _(
                "This calibration was made with another filter chain ({was}) than this software uses ({now}), so its "
                "decoder would see another signal. Calibrate again."
            ).format(was=_bands(model.chain), now=_bands(FilterChain.design(info))),
            path=path,
        )
    if part.model_sha256 and model_digest(model) != part.model_sha256:
        raise ModelFileError(
            _("{path} is not the model of this calibration any more. Calibrate again.").format(path=path),
            path=path,
        )
    certificate = certify(model)
    left_s = certificate.left_s(now_s)
    if left_s > certificate.valid_for_s:
        raise NotCertifiedError(
            _(
                "This calibration seems to lie in the future: the clock of this computer was changed. Set it right, or "
                "calibrate again; the hand stays disarmed."
            )
        )
    if left_s < 0:
        raise NotCertifiedError(
            _("This calibration is {hours} hours old and has run out (12 hours). Calibrate again.").format(
                hours=f"{(now_s - certificate.issued_s) / 3600:.0f}"
            )
        )
    return model, certificate


def fitting_profile(profile: Profile | None, model: Model, *, user: str) -> Profile:
    """The user's profile, or one that follows from the decoder's classes.

    Raises
    ------
    ProfileError
        The profile does not say what a class of the decoder is to do.
    """
    if profile is None:
        return Profile.for_classes(model.classes, user=user)
    profile.require(model.classes)
    return profile


def _same_filters(one: FilterChain, other: FilterChain) -> bool:
    designs = ((c.bands_hz, c.order, c.notch_hz, c.rate, c.sos.shape) for c in (one, other))
    return len(set(designs)) == 1 and np.allclose(one.sos, other.sos, rtol=1e-9, atol=0.0)


def _bands(chain: FilterChain) -> str:
    return ", ".join(f"{low:g}–{high:g} Hz" for low, high in chain.bands_hz)
