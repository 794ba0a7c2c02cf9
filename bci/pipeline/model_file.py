"""Model files: a safetensors file of float64 arrays, the rest as JSON in its header, and a SHA-256 over both.

The hash shows damage, not origin: a file from a stranger is as trustworthy as the stranger. Whatever lies
in the file, loading it runs no code of it, takes no more memory than a bounded file needs, and ends in a
`Model` or in one error that says what is wrong. Loading needs numpy, safetensors and msgspec.
"""

from __future__ import annotations

import hashlib
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from bci.chunks import F64, SignalInfo
from bci.decoders.adaptation import AdaptationParameters
from bci.decoders.calibration import Calibration
from bci.decoders.frozen import FrozenEnsemble, View
from bci.errors import BciError, ModelFileError, NotCertifiedError
from bci.language import _, library_reason, system_reason
from bci.pipeline.chain import FilterChain
from bci.pipeline.model import Model, Timing, Training, Validation
from bci.prosthesis.certificate import Certificate
from bci.prosthesis.policy import REST, PolicyParameters

__all__ = ["SCHEMA_VERSION", "certify", "load_model", "model_digest", "save_model"]

SCHEMA_VERSION = 2

_FORMAT = "bci-model"
# 52 members on 64 channels and 3 classes come to 8 MB; what is larger than this is not a model.
_MAX_BYTES = 64 * 1024 * 1024
_MAX_HZ = 100_000
_DECODERS = ("cued", "motor", "asynchronous")
_ARRAYS = ("whitening", "weights", "bias", "shares")
_OPTIONAL = ("offsets", "knots")


class _DecoderMeta(msgspec.Struct, forbid_unknown_fields=True):
    classes: tuple[str, ...]
    views: tuple[View, ...]
    clip: float | None  # None: no bound
    temperature: float
    outlier_distance: float | None  # None: nothing is an outlier


class _ChainMeta(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    channels: tuple[str, ...]
    rate: tuple[int, int]
    bands_hz: tuple[tuple[float, float], ...]
    order: int
    notch_hz: tuple[float, ...]
    left_out: tuple[str, ...] = ()  # not written where empty: models without it keep their digest


class _Meta(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON part of a model file."""

    chain: _ChainMeta
    cued: _DecoderMeta
    motor: _DecoderMeta | None
    asynchronous: _DecoderMeta | None
    motor_channels: tuple[str, ...]
    cued_adaptation: AdaptationParameters | None
    asynchronous_adaptation: AdaptationParameters | None
    timing: Timing
    policy: PolicyParameters
    validation: Validation
    training: Training


def save_model(model: Model, path: str | Path) -> str:
    """Write a model to a file that only its owner may read, replacing an older one in one step.

    Returns
    -------
    sha256 : str
        The same as `model_digest(model)`.

    Raises
    ------
    ModelFileError
        If the file cannot be written, or the model has no asynchronous decoder.
    """
    path = Path(path)
    if model.asynchronous is None:
        raise ModelFileError(
            _("a model without an asynchronous decoder cannot run a hand and is not kept"), path=path
        )
    meta, arrays = _meta_of(model), _arrays_of(model)
    sha256 = _digest(meta, arrays)
    header = {"format": _FORMAT, "schema": str(SCHEMA_VERSION), "sha256": sha256, "model": meta.decode()}
    new = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(to_bytes(arrays, metadata=header))
        new.replace(path)
    except OSError as err:
        new.unlink(missing_ok=True)
        raise ModelFileError(
            _("cannot write the model to {path}: {reason}").format(path=path, reason=system_reason(err)),
            path=path,
        ) from err
    return sha256


def load_model(path: str | Path, *, info: SignalInfo | None = None) -> Model:
    """Read a model, and with `info` refuse it at once where it does not fit the signal.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, foreign, too large or of another schema.
    RateMismatchError, MontageMismatchError
        If the model was trained for another signal than `info`.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file() or size > _MAX_BYTES:
            raise ModelFileError(
                _("{path} is no model file: expected a file of at most {megabytes} MB").format(
                    path=path, megabytes=_MAX_BYTES >> 20
                ),
                path=path,
            )
        with safe_open(path, framework="np") as file:
            header = dict(file.metadata() or {})
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except OSError as err:
        raise ModelFileError(
            _("cannot read {path}: {reason}").format(path=path, reason=system_reason(err)), path=path
        ) from err
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as err:
        raise ModelFileError(
            _("{path} is no model file or is damaged: {err}").format(path=path, err=library_reason(err)),
            path=path,
        ) from err
    model = _parse(header, arrays, path)
    if info is not None:
        model.chain.require(info)
    return model


def model_digest(model: Model) -> str:
    """SHA-256 of everything in a model; certificates name the model they speak for by it."""
    return _digest(_meta_of(model), _arrays_of(model))


def certify(model: Model) -> Certificate:
    """The certificate that the safety monitor asks for before it arms.

    Raises
    ------
    NotCertifiedError
        If the validation does not allow it; the message says why.
    """
    validation = model.validation
    if validation.refusal or validation.low is None:
        raise NotCertifiedError(_("the hand stays disarmed: {refusal}").format(refusal=validation.refusal))
    if validation.issued_s is None:
        raise NotCertifiedError(
            _("the hand stays disarmed: the training states no time, so nothing could expire")
        )
    return Certificate(
        lower=validation.low,
        chance=validation.chance,
        runs=model.training.runs,
        issued_s=validation.issued_s,
        model=model_digest(model),
        channels=model.chain.channels,
    )


def _meta_of(model: Model) -> bytes:
    chain = model.chain
    meta = _Meta(
        chain=_ChainMeta(
            channels=chain.channels,
            rate=(chain.rate.numerator, chain.rate.denominator),
            bands_hz=chain.bands_hz,
            order=chain.order,
            notch_hz=chain.notch_hz,
            left_out=chain.left_out,
        ),
        cued=_decoder_meta(model.cued),
        motor=None if model.motor is None else _decoder_meta(model.motor),
        asynchronous=None if model.asynchronous is None else _decoder_meta(model.asynchronous),
        motor_channels=model.motor_channels,
        cued_adaptation=model.cued_adaptation,
        asynchronous_adaptation=model.asynchronous_adaptation,
        timing=model.timing,
        policy=model.policy,
        validation=model.validation,
        training=model.training,
    )
    return msgspec.json.encode(meta, order="deterministic")


def _decoder_meta(decoder: FrozenEnsemble) -> _DecoderMeta:
    return _DecoderMeta(
        decoder.classes,
        decoder.views,
        _bounded(decoder.clip),
        decoder.calibration.temperature,
        _bounded(decoder.outlier_distance),
    )


def _bounded(number: float) -> float | None:
    """JSON has no infinity."""
    return number if math.isfinite(number) else None


def _arrays_of(model: Model) -> dict[str, F64]:
    arrays = {"chain.sos": model.chain.sos}
    for name in _DECODERS:
        decoder: FrozenEnsemble | None = getattr(model, name)
        if decoder is not None:
            for part in _ARRAYS:
                arrays[f"{name}.{part}"] = getattr(decoder, part)
            for part in _OPTIONAL:  # left out where empty
                array: F64 = getattr(decoder.calibration, part)
                if array.size:
                    arrays[f"{name}.{part}"] = array
    return {name: np.ascontiguousarray(a, dtype=np.float64) for name, a in arrays.items()}


def _digest(meta: bytes, arrays: dict[str, Any]) -> str:
    sha = hashlib.sha256(meta)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.data)
    return sha.hexdigest()


def _parse(header: dict[str, str], arrays: dict[str, Any], path: Path) -> Model:
    if header.get("format") != _FORMAT:
        raise ModelFileError(
            _("{path} is a safetensors file, but no model of this library").format(path=path), path=path
        )
    if header.get("schema") != str(SCHEMA_VERSION):
        raise ModelFileError(
            _("{path} has schema {schema!r}, this version reads {schema_version}: train anew").format(
                path=path, schema=header.get("schema"), schema_version=SCHEMA_VERSION
            ),
            path=path,
        )
    text = header.get("model", "").encode()
    if _digest(text, arrays) != header.get("sha256"):
        raise ModelFileError(
            _("{path} is damaged: its contents do not have the SHA-256 it states").format(path=path),
            path=path,
        )
    try:
        return _model_of(msgspec.json.decode(text, type=_Meta), arrays)
    except (msgspec.MsgspecError, BciError, ValueError, RecursionError, ZeroDivisionError) as err:
        raise ModelFileError(
            _("{path} does not hold a usable model: {err}").format(path=path, err=library_reason(err)),
            path=path,
        ) from err


def _model_of(meta: _Meta, arrays: dict[str, Any]) -> Model:
    """Put a model together; anything that does not fit raises ValueError or a BciError."""
    for name, array in arrays.items():
        if array.dtype != np.float64 or not np.isfinite(array).all():
            raise ValueError(f"array {name} is not of finite float64")
    chain = FilterChain(
        meta.chain.channels,
        Fraction(*meta.chain.rate),
        _take(arrays, "chain.sos"),
        meta.chain.bands_hz,
        meta.chain.order,
        meta.chain.notch_hz,
        meta.chain.left_out,
    )
    if not chain.channels or not 0 < chain.rate <= _MAX_HZ:
        raise ValueError("it has no channels or no sampling rate")
    decoders = {name: _decoder_of(name, getattr(meta, name), arrays) for name in _DECODERS}
    cued, motor, asynchronous = (decoders[name] for name in _DECODERS)
    if arrays:
        raise ValueError(f"unknown arrays {', '.join(sorted(arrays))}")
    if cued is None or asynchronous is None:
        raise ValueError("a decoder is missing")
    sizes = [
        (cued, len(chain.channels)),
        (asynchronous, len(chain.channels)),
        (motor, len(meta.motor_channels)),
    ]
    if any(decoder is not None and decoder.n_channels != n for decoder, n in sizes):
        raise ValueError("decoders and montage have different numbers of channels")
    if any(
        view.band >= chain.n_bands for decoder, _ in sizes if decoder is not None for view in decoder.views
    ):
        raise ValueError("a member looks at a band that the chain has not")
    if not all(view.whole for view in asynchronous.views):
        raise ValueError("a member of the asynchronous decoder looks at a part of the window")
    if not set(meta.motor_channels) <= set(chain.channels):
        raise ValueError("a motor channel is not in the montage")
    if len(set(asynchronous.classes)) != len(asynchronous.classes) or REST not in asynchronous.classes:
        raise ValueError(f"the classes {asynchronous.classes} are not movements and {REST}")
    chain.start()  # refuses sections that are not stable
    return Model(
        chain,
        cued,
        motor,
        meta.motor_channels,
        asynchronous,
        meta.cued_adaptation,
        meta.asynchronous_adaptation,
        meta.timing,
        meta.policy,
        meta.validation,
        meta.training,
    )


def _decoder_of(name: str, meta: _DecoderMeta | None, arrays: dict[str, Any]) -> FrozenEnsemble | None:
    if meta is None:
        return None
    optional = {part: _take(arrays, f"{name}.{part}") for part in _OPTIONAL if f"{name}.{part}" in arrays}
    return FrozenEnsemble(
        meta.classes,
        meta.views,
        whitening=_take(arrays, f"{name}.whitening"),
        weights=_take(arrays, f"{name}.weights"),
        bias=_take(arrays, f"{name}.bias"),
        shares=_take(arrays, f"{name}.shares"),
        clip=math.inf if meta.clip is None else meta.clip,
        calibration=Calibration(meta.temperature, **optional),
        outlier_distance=math.inf if meta.outlier_distance is None else meta.outlier_distance,
    )


def _take(arrays: dict[str, Any], name: str) -> F64:
    if name not in arrays:
        raise ValueError(f"array {name} is missing")
    array: F64 = arrays.pop(name)
    return array
