"""Cleaning and features: causal streaming stages on float64 µV of shape (n_channels, n_samples).

Every stage has `process(x)`, `reset()`, `state()` and `restore(state)`; any cut of a signal into chunks gives the
same bits, so a recording run offline is the live signal. Names load on first use: importing this package loads
neither scipy.signal, mne, scikit-learn nor numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bci.dsp.artefacts import ArtefactDetector, ArtefactLimits, mark_lead_off
    from bci.dsp.asr import ArtifactSubspaceReconstruction, AsrModel, calibrate_asr, design_asr_weighting
    from bci.dsp.connectivity import coherence, phase_locking
    from bci.dsp.covariance import SlidingCovariance, covariances, ledoit_wolf, oas, shrink
    from bci.dsp.design import (
        cascade,
        design_bandpass,
        design_bandstop,
        design_dc_blocker,
        design_highpass,
        design_lowpass,
        design_notch,
    )
    from bci.dsp.eyes import EyeFilter, blink_projection, eye_regression, find_blinks
    from bci.dsp.features import (
        ExponentialCovariance,
        LogBandPower,
        SlowPotentials,
        erd_ers,
        hjorth,
        log_variance,
    )
    from bci.dsp.filters import FilterBank, SosFilter, filter_recording, zero_phase
    from bci.dsp.fir import FirFilter, fir_recording
    from bci.dsp.gaps import GapPolicy, Patched
    from bci.dsp.geometry import (
        electrode_positions,
        interpolate_bad,
        laplacian,
        rest_reference,
        surface_laplacian,
    )
    from bci.dsp.mains import LineCanceller, remove_line_spatially
    from bci.dsp.marks import Mark, Marks
    from bci.dsp.potato import RiemannianPotato
    from bci.dsp.quality import ChannelQuality, QualityWatch, assess_quality
    from bci.dsp.resample import Resampler
    from bci.dsp.spatial import SpatialFilter, bipolar, common_average, find_bad_channels
    from bci.dsp.spectrum import StreamingPsd, band_power, psd
    from bci.dsp.taps import design_fir, fir_delay, minimum_phase

#: File of this package -> the public names it holds.
_HOMES = {
    "artefacts": ("ArtefactDetector", "ArtefactLimits", "mark_lead_off"),
    "asr": ("ArtifactSubspaceReconstruction", "AsrModel", "calibrate_asr", "design_asr_weighting"),
    "connectivity": ("coherence", "phase_locking"),
    "covariance": ("SlidingCovariance", "covariances", "ledoit_wolf", "oas", "shrink"),
    "design": (
        "cascade",
        "design_bandpass",
        "design_bandstop",
        "design_dc_blocker",
        "design_highpass",
        "design_lowpass",
        "design_notch",
    ),
    "taps": ("design_fir", "fir_delay", "minimum_phase"),
    "eyes": ("EyeFilter", "blink_projection", "eye_regression", "find_blinks"),
    "features": (
        "ExponentialCovariance",
        "LogBandPower",
        "SlowPotentials",
        "erd_ers",
        "hjorth",
        "log_variance",
    ),
    "filters": ("FilterBank", "SosFilter", "filter_recording", "zero_phase"),
    "fir": ("FirFilter", "fir_recording"),
    "gaps": ("GapPolicy", "Patched"),
    "geometry": (
        "electrode_positions",
        "interpolate_bad",
        "laplacian",
        "rest_reference",
        "surface_laplacian",
    ),
    "mains": ("LineCanceller", "remove_line_spatially"),
    "marks": ("Mark", "Marks"),
    "potato": ("RiemannianPotato",),
    "quality": ("ChannelQuality", "QualityWatch", "assess_quality"),
    "resample": ("Resampler",),
    "spatial": ("SpatialFilter", "bipolar", "common_average", "find_bad_channels"),
    "spectrum": ("StreamingPsd", "band_power", "psd"),
}
_WITHOUT_KERNELS = {"connectivity", "design", "gaps", "geometry", "marks", "potato", "spectrum", "taps"}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArtefactDetector",
    "ArtefactLimits",
    "ArtifactSubspaceReconstruction",
    "AsrModel",
    "ChannelQuality",
    "ExponentialCovariance",
    "EyeFilter",
    "FilterBank",
    "FirFilter",
    "GapPolicy",
    "LineCanceller",
    "LogBandPower",
    "Mark",
    "Marks",
    "Patched",
    "QualityWatch",
    "Resampler",
    "RiemannianPotato",
    "SlidingCovariance",
    "SlowPotentials",
    "SosFilter",
    "SpatialFilter",
    "StreamingPsd",
    "assess_quality",
    "band_power",
    "bipolar",
    "blink_projection",
    "calibrate_asr",
    "cascade",
    "coherence",
    "common_average",
    "covariances",
    "design_asr_weighting",
    "design_bandpass",
    "design_bandstop",
    "design_dc_blocker",
    "design_fir",
    "design_highpass",
    "design_lowpass",
    "design_notch",
    "electrode_positions",
    "erd_ers",
    "eye_regression",
    "filter_recording",
    "find_bad_channels",
    "find_blinks",
    "fir_delay",
    "fir_recording",
    "hjorth",
    "interpolate_bad",
    "laplacian",
    "ledoit_wolf",
    "log_variance",
    "mark_lead_off",
    "minimum_phase",
    "oas",
    "phase_locking",
    "psd",
    "remove_line_spatially",
    "rest_reference",
    "shrink",
    "surface_laplacian",
    "zero_phase",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home not in _WITHOUT_KERNELS:
        import_module("bci.jit")  # before a kernel's file loads Numba in its own way, which takes longer
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next look-up costs nothing
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
