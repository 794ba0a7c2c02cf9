"""The error tree: misuse and faults that end an operation.

Damage on the wire is not here: it is a value (`firmware_protocol.Fault`), because one loose cable must not end a
session. Facts are attributes, so nobody has to parse a message. A message says what came, what was expected and,
where a person reads it, what to do next; command line tools print it and exit with status 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = [
    "ArmingRefusedError",
    "BatchError",
    "BciError",
    "BenchRecordError",
    "BudgetError",
    "DesignError",
    "DeviceBusyError",
    "DeviceError",
    "DeviceLostError",
    "DeviceNotFoundError",
    "DevicePermissionError",
    "DeviceRefusedError",
    "DeviceTimeoutError",
    "DiskFullError",
    "ElectrodesError",
    "ExportError",
    "FlatSignalError",
    "LabelError",
    "LimitsError",
    "ModelFileError",
    "MonitorError",
    "MontageMismatchError",
    "NonFiniteError",
    "NotCertifiedError",
    "PageError",
    "PatternMismatchError",
    "PolicyRefusedError",
    "ProfileError",
    "RankDeficientError",
    "RateMismatchError",
    "RecordingError",
    "SerialNumberError",
    "ShapeError",
    "TooFewRunsError",
    "TooFewTrialsError",
    "UnsupportedDeviceError",
]


class BciError(Exception):
    """Root of everything this package raises on purpose."""


# ---- data that does not fit ---------------------------------------------------------------------------------


class ShapeError(BciError, ValueError):
    """An array has another shape or kind than the operation takes."""


class NonFiniteError(BciError, ValueError):
    """NaN or infinity where only finite samples are allowed."""


class FlatSignalError(BciError, ValueError):
    """A channel is constant, so no covariance or variance can be taken of it."""

    def __init__(self, message: str, *, channels: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.channels = tuple(channels)


class RankDeficientError(BciError, ValueError):
    """A covariance is not positive definite: channels depend on each other, or samples are fewer than channels."""


class DesignError(BciError, ValueError):
    """A filter or window cannot be designed for this sampling rate."""


class LabelError(BciError, ValueError):
    """A recording does not carry the labels that were asked for."""

    def __init__(self, message: str, *, found: Sequence[str] = (), expected: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.found = tuple(found)
        self.expected = tuple(expected)


class TooFewTrialsError(BciError, ValueError):
    """A class has too few trials for an honest result."""

    def __init__(self, message: str, *, counts: Mapping[str, int], needed: int) -> None:
        super().__init__(message)
        self.counts = dict(counts)
        self.needed = needed


class TooFewRunsError(BciError, ValueError):
    """Too few runs to validate honestly: windows of one run share its drift, so they cannot test each other."""

    def __init__(self, message: str, *, n_runs: int, needed: int) -> None:
        super().__init__(message)
        self.n_runs = n_runs
        self.needed = needed


class RateMismatchError(BciError, ValueError):
    """Signal and filter chain, model or option state different sampling rates."""

    def __init__(self, message: str, *, got_hz: float, expected_hz: float) -> None:
        super().__init__(message)
        self.got_hz = got_hz
        self.expected_hz = expected_hz


class MontageMismatchError(BciError, ValueError):
    """Channels missing, unknown or in another order than a model was trained on."""

    def __init__(self, message: str, *, got: Sequence[str] = (), expected: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.got = tuple(got)
        self.expected = tuple(expected)


# ---- files ---------------------------------------------------------------------------------------------------


class _FileError(BciError):
    def __init__(self, message: str, *, path: str | Path | None = None) -> None:
        super().__init__(message)
        self.path = None if path is None else Path(path)


class RecordingError(_FileError):
    """A recording is missing, foreign, unreadable or cut where it must not be."""


class ModelFileError(_FileError):
    """A model file is damaged, foreign or of another schema."""


class ProfileError(_FileError, ValueError):
    """A user profile or option file holds something that is not allowed; the old one stays in force."""


class ExportError(_FileError):
    """A file of another format cannot be written: it exists, its folder takes nothing, or its format has no room."""


class BenchRecordError(_FileError):
    """A test bench's record of a batch is missing, foreign, damaged or of another schema."""


class SerialNumberError(BciError, ValueError):
    """A board's serial number cannot be used, or was tested already; `serial` is what came."""

    def __init__(self, message: str, *, serial: str) -> None:
        super().__init__(message)
        self.serial = serial


class DiskFullError(_FileError):
    """Too little room for what is about to be recorded; `free_mb` is what there is, `needed_mb` what it takes."""

    def __init__(self, message: str, *, path: str | Path, free_mb: float, needed_mb: float) -> None:
        super().__init__(message, path=path)
        self.free_mb = free_mb
        self.needed_mb = needed_mb


class LimitsError(_FileError, ValueError):
    """A file of limits is missing, damaged, of another schema, or would loosen what it may only tighten."""


# ---- devices -------------------------------------------------------------------------------------------------


class DeviceError(BciError):
    """Something about a port or the board behind it. `port` names it."""

    def __init__(self, message: str, *, port: str) -> None:
        super().__init__(message)
        self.port = port


class DeviceNotFoundError(DeviceError):
    """No such port, or nothing that answers on it."""


class DevicePermissionError(DeviceError, PermissionError):
    """The port exists, but this user may not open it."""


class DeviceBusyError(DeviceError):
    """Another program holds the port."""


class DeviceTimeoutError(DeviceError, TimeoutError):
    """The board did not answer in time."""


class DeviceLostError(DeviceError, ConnectionError):
    """The port vanished or the board fell silent while in use."""


class UnsupportedDeviceError(DeviceError):
    """The board speaks a protocol version this library does not know."""


class PatternMismatchError(DeviceError):
    """The board's test pattern came out as other numbers: its samples cannot be trusted."""


class DeviceRefusedError(DeviceError):
    """The board answered with an error status; `status` is its name in SPEC.md."""

    def __init__(self, message: str, *, port: str, status: str) -> None:
        super().__init__(message, port=port)
        self.status = status


class BudgetError(DeviceError, ValueError):
    """The link cannot carry what was asked for; the message says what would fit."""


# ---- control -------------------------------------------------------------------------------------------------


class NotCertifiedError(BciError):
    """No calibration certificate whose lower bound is above chance: the hand is not armed."""


class ElectrodesError(BciError):
    """Electrodes that the decoder needs are bad, and nobody has answered for going on; `electrodes` names them."""

    def __init__(self, message: str, *, electrodes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.electrodes = tuple(electrodes)


class ArmingRefusedError(BciError):
    """The hand was not armed, for the reason the message gives (no fresh signal, an electrode off, a STOP)."""


class MonitorError(BciError):
    """The safety monitor's process could not be started, does not answer or is gone."""


class PolicyRefusedError(BciError):
    """The training runs cannot give what was asked of a policy; the message says what is missing."""


class PageError(BciError):
    """The live page's server could not be started, or its port is taken. The session can go on without it."""


# ---- many recordings ----------------------------------------------------------------------------------------


class BatchError(BciError):
    """A run over many recordings cannot begin: nothing to work on, no such task, a folder or cluster of no use."""
