"""DICOM Routine Scalp Electroencephalogram Waveform: a recording as hospitals' archives keep it, through pydicom.

Rules
-----
- Samples are the converter's own counts, 32 bits signed, in one multiplex group; ChannelSensitivity is µV for one
  count, so µV come back exactly [1]_.
- Events, gaps and what the library found are waveform annotations at their sample (DICOM counts from 1).
- Electrodes have their ISO/IEEE 11073 codes of CID 3030 where it knows them, else a local one; the label is always the
  recording's own word.
- No name, birth date or day is in it; the patient's ID only where one was given.

References
----------
.. [1] DICOM PS3.3, A.34.11 (Routine Scalp EEG Waveform IOD) and C.10.9 (Waveform Module); PS3.16, CID 3030.
.. [2] DICOM PS3.5, 7.5.2, delimitation of the sequence of items.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bci._version import __version__
from bci.errors import ExportError
from bci.files import open_private
from bci.interop._door import Channel, Description, ExportOptions, Progress, Signal, SignalEvent

__all__ = ["write"]

MAX_BYTES = (1 << 32) - 2  # of one element
NO_DATE = datetime(1985, 1, 1)
LOCAL_SCHEME = "99BCIHAND"
#: Units that have a code of UCUM's: code and words.
UCUM = {
    "uV": ("uV", "microvolt"),
    "g": ("[g]", "standard acceleration of free fall"),
    "degC": ("Cel", "degree Celsius"),
    "%": ("%", "percent"),
}
WAVEFORM_DATA = (0x5400, 0x1010)
#: What pydicom ends an item and a sequence of undefined length with [2]_.
ENDS = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
#: Names of 10-10 that the code set has under their older name of 10-20.
_OLDER = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}


def write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """A new file.

    Returns
    -------
    losses : tuple of str
        What did not go in.

    Raises
    ------
    ExportError
        If pydicom is not installed, or the samples do not fit into one element.
    """
    try:
        from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
        from pydicom.sequence import Sequence as Items
        from pydicom.uid import (
            ExplicitVRLittleEndian,
            RoutineScalpElectroencephalogramWaveformStorage,
            generate_uid,
        )
    except ImportError as err:
        raise ExportError("DICOM needs pydicom: pip install 'bci-hand[dicom]'", path=target) from err
    about = signal.description
    n_bytes = 4 * len(about.channels) * about.n_samples
    if n_bytes > MAX_BYTES:
        raise ExportError(
            f"{signal.path} has {n_bytes / 1e9:.1f} GB of samples, one DICOM file holds 4.3; export stretches with "
            "--start and --end",
            path=target,
        )
    whole = hashlib.sha256()
    for samples in _samples(signal):
        whole.update(samples)
    digest = whole.hexdigest()

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RoutineScalpElectroencephalogramWaveformStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[digest, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(target), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[digest, "study"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[digest, "series"])
    ds.SynchronizationFrameOfReferenceUID = generate_uid(entropy_srcs=[digest, "time"])
    ds.AcquisitionTimeSynchronized = "N"
    ds.SynchronizationTrigger = "NO TRIGGER"
    ds.Modality = "EEG"
    ds.PatientName = ds.PatientBirthDate = ds.PatientSex = ""
    ds.PatientID = options.subject
    ds.PatientIdentityRemoved = "NO" if options.subject else "YES"
    if not options.subject:
        ds.DeidentificationMethod = "nothing of the person was recorded or exported"
    started = about.begun if options.keep_date else None
    ds.StudyDate = started.strftime("%Y%m%d") if started else ""
    ds.StudyTime = started.strftime("%H%M%S") if started else ""
    ds.ContentDate = (started or NO_DATE).strftime("%Y%m%d")
    ds.ContentTime = (started or NO_DATE).strftime("%H%M%S")
    ds.AcquisitionDateTime = (started or NO_DATE).strftime("%Y%m%d%H%M%S")
    ds.ReferringPhysicianName = ds.StudyID = ds.AccessionNumber = ""
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    ds.Manufacturer = about.device[:64] or "unknown"
    ds.ManufacturerModelName = about.device[:64] or "unknown"
    ds.DeviceSerialNumber = "unknown"
    ds.SoftwareVersions = f"bci {__version__}"
    ds.AcquisitionContextSequence = Items([])

    group = Dataset()
    group.MultiplexGroupTimeOffset = 0
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = len(about.channels)
    group.NumberOfWaveformSamples = about.n_samples
    group.SamplingFrequency = f"{about.measured_hz:.10g}"
    group.MultiplexGroupLabel = "EEG"
    group.ChannelDefinitionSequence = Items([_channel(c, about.reference) for c in about.channels])
    group.WaveformBitsAllocated = 32
    group.WaveformSampleInterpretation = "SL"
    ds.WaveformSequence = Items([group])
    ds["WaveformSequence"].is_undefined_length = group.is_undefined_length_sequence_item = True
    if about.events:
        ds.WaveformAnnotationSequence = Items(
            [_annotation(k, event, about) for k, event in enumerate(about.events)]
        )
    done = 0
    with open_private(target, "xb") as file:
        ds.save_as(file, enforce_file_format=True)
        # the samples are the last element of the last item, so they can be written as they are read
        file.seek(-len(ENDS), os.SEEK_END)
        file.write(struct.pack("<HH2s2xI", *WAVEFORM_DATA, b"OW", n_bytes))
        for samples in _samples(signal):
            file.write(samples)
            done += len(samples) // (4 * len(about.channels))
            progress(done, about.n_samples)
        file.write(ENDS)
    losses = []
    if about.measured_hz != float(about.rate):
        losses.append("the nominal rate is not in it: SamplingFrequency is the measured one")
    if any(channel.impedance_kohm is not None for channel in about.channels):
        losses.append("impedances are not in it: DICOM asks for their time and frequency")
    return tuple(losses)


def _samples(signal: Signal) -> Iterator[bytes]:
    for piece in signal.pieces():
        yield piece.T.astype("<i4").tobytes()


def _channel(channel: Channel, reference: str) -> Any:
    """Channel definition of one electrode."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    one = Dataset()
    one.ChannelLabel = channel.name[:16]
    one.ChannelSourceSequence = Items([_source(channel.name)])
    one.ChannelSensitivity = _decimal(channel.step)
    unit = Dataset()
    unit.CodeValue, unit.CodeMeaning = UCUM.get(channel.unit, (channel.unit[:16], channel.unit[:64]))
    unit.CodingSchemeDesignator = "UCUM" if channel.unit in UCUM else LOCAL_SCHEME
    one.ChannelSensitivityUnitsSequence = Items([unit])
    one.ChannelSensitivityCorrectionFactor = 1
    one.ChannelBaseline = 0
    one.ChannelSampleSkew = "0"
    one.WaveformBitsStored = 32
    if reference:
        one.ChannelDerivationDescription = f"against {reference}"[:1024]
    return one


def _source(name: str) -> Any:
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    leads = {word.lower(): word for word in codes.cid3030.dir()}
    known = leads.get(_OLDER.get(name, name).lower())
    source = Dataset()
    if known is not None:
        code = getattr(codes.cid3030, known)
        source.CodeValue, source.CodingSchemeDesignator = code.value, code.scheme_designator
        source.CodeMeaning = code.meaning
    else:
        source.CodeValue, source.CodingSchemeDesignator = name[:16], LOCAL_SCHEME
        source.CodeMeaning = name[:64]
    return source


def _annotation(number: int, event: SignalEvent, about: Description) -> Any:
    from pydicom.dataset import Dataset

    note = Dataset()
    note.UnformattedTextValue = event.text or " "
    channels = [about.names.index(name) + 1 for name in event.channels if name in about.names]
    # group 1 and its channels; 0 is all of them
    note.ReferencedWaveformChannels = [x for c in channels or [0] for x in (1, c)]
    note.TemporalRangeType = "SEGMENT" if event.n_samples else "POINT"
    first = min(event.sample + 1, about.n_samples)  # what lies behind the last sample stands at it
    last = min(event.sample + event.n_samples, about.n_samples)
    note.ReferencedSamplePositions = [first, max(first, last)] if event.n_samples else [first]
    note.AnnotationGroupNumber = number
    return note


def _decimal(value: float) -> str:
    """A decimal string of DICOM has 16 characters."""
    return next(text for digits in range(16, 0, -1) if len(text := f"{value:.{digits}g}") <= 16)
