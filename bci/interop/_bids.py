"""BIDS: a recording as one run of a data set, laid out by mne-bids, with the signal in a BDF of our own.

Rules
-----
- The BDF is that of `--to bdf`, byte for byte. Sidecars say what mne-bids cannot see in it: the reference, the device,
  the measured rate, impedances.
- Decisions of a session become the derivative data set `derivatives/bci-hand`, its decoder a file of
  `derivatives/bci-hand-decoders`.
- A subject without a code is 01. A data set that exists takes further subjects, sessions and runs; what is there is
  left alone, or replaced where that was asked for.

References
----------
.. [1] Pernet et al., "EEG-BIDS", Sci. Data 6:103, 2019. doi:10.1038/s41597-019-0104-8
"""

from __future__ import annotations

import csv
import json
import math
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mne_bids

from bci import __version__
from bci.errors import ExportError
from bci.files import write_private
from bci.interop import _edfplus
from bci.interop._door import Description, ExportOptions, Progress, Signal
from bci.interop._fhir import visit_beside
from bci.interop._mne import annotations_of, raw_of_bdf
from bci.interop._names import is_ten_five

__all__ = ["merge", "write"]

DERIVATIVES = Path("derivatives") / "bci-hand"
DECODERS = Path("derivatives") / "bci-hand-decoders"
NOT_MEASURED = "Places of a standard head by the names of the electrodes; nobody measured them."
README = """Recorded with an EEG acquisition chip that speaks the BCI frame protocol and exported by bci-hand.

Signals are BDF+ with the converter's own 24-bit codes. Lost samples hold the value before them and are marked
BAD_ACQ_SKIP in events.tsv. No identity of a person is in these files; dates are left out unless they were asked for.
"""


def write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """A data set of one run in the new folder `target`."""
    about = signal.description
    entities = {
        "subject": _label(options.subject or "01", "--subject"),
        "session": _label(options.session, "--session") or None,
        "task": _label(options.task, "--task") or "bci",
    }
    target.mkdir(mode=0o700)
    bdf = target.with_name("signal.bdf")
    losses = _edfplus.write_bdf(signal, bdf, options, progress)
    path = mne_bids.BIDSPath(root=target, datatype="eeg", suffix="eeg", extension=".bdf", **entities)
    raw = raw_of_bdf(bdf, about, keep_date=options.keep_date)
    raw.set_annotations(annotations_of(about, float(about.rate), raw.ch_names), emit_warning=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of standard positions, of what is anonymous
        try:
            mne_bids.write_raw_bids(raw, path, overwrite=True, verbose="ERROR")
            mne_bids.make_dataset_description(
                path=target,
                name=options.task,
                dataset_type="raw",
                authors=["n/a"],
                generated_by=[{"Name": "bci-hand", "Version": __version__}],
                overwrite=True,
                verbose="ERROR",
            )
        except (ValueError, RuntimeError) as err:
            raise ExportError(f"mne-bids refuses this recording: {err}", path=target) from err
    bdf.unlink()
    write_private(target / "README", README)
    _complete(path, about, raw.ch_names)
    _derive(signal, target, path)
    return losses


def _label(text: str, option: str) -> str:
    if text and not text.isalnum():
        raise ExportError(
            f"a BIDS label holds letters and digits only, got {text!r}; choose another {option}"
        )
    if not text.isascii():
        raise ExportError(f"a BIDS label is ASCII, got {text!r}; choose another {option}")
    return text


def _complete(path: Any, about: Description, labels: list[str]) -> None:
    """What mne-bids left open."""
    scalp = [channel.name for channel in about.channels if channel.kind == "eeg"]
    sidecar = Path(path.copy().update(extension=".json").fpath)
    said = json.loads(sidecar.read_text(encoding="utf-8"))
    said |= {
        "EEGReference": about.reference or "n/a",
        "Manufacturer": "n/a",
        "ManufacturersModelName": about.device or "n/a",
        "SoftwareVersions": f"bci-hand {__version__}",
        "SoftwareFilters": "n/a",
        "HardwareFilters": "n/a",
        "EEGGround": "n/a",
        "EEGPlacementScheme": "10-05" if all(map(is_ten_five, scalp)) else "n/a",
        "RecordingType": "continuous",  # gaps are filled, so the file runs through
        "SamplingFrequencyMeasured": about.measured_hz,
        "SamplesLost": sum(n for _, n in about.gaps),
    }
    _write_json(sidecar, said)
    events = Path(path.copy().update(suffix="events", extension=".tsv").fpath)
    if events.exists():  # mne-bids numbers the texts; the recording has codes of its own
        codes = {event.text: str(event.code) for event in about.events if event.code}
        rows = _read_table(events)
        _write_table(events, [{**row, "value": codes.get(row["trial_type"], "n/a")} for row in rows])
    true_names = {label: name for label, name in zip(labels, about.names, strict=True) if label != name}
    if true_names:  # channels.tsv has to call them as the BDF does, in ASCII
        channels = Path(path.copy().update(suffix="channels", extension=".tsv").fpath)
        rows = _read_table(channels)
        _write_table(
            channels,
            [{**row, "description": true_names.get(row["name"], row["description"])} for row in rows],
        )
    ohms = {
        label: c.impedance_kohm
        for label, c in zip(labels, about.channels, strict=True)
        if c.impedance_kohm is not None
    }
    place = {"task": None, "space": "CapTrak", "check": False}
    system = Path(path.copy().update(suffix="coordsystem", extension=".json", **place).fpath)
    if system.exists():
        said = json.loads(system.read_text(encoding="utf-8"))
        said["EEGCoordinateSystemDescription"] = f"{NOT_MEASURED} {said['EEGCoordinateSystemDescription']}"
        _write_json(system, said)
    table = Path(path.copy().update(suffix="electrodes", extension=".tsv", **place).fpath)
    if ohms and table.exists():
        rows = _read_table(table)
        for row in rows:
            row["impedance"] = f"{ohms[row['name']]:g}" if row["name"] in ohms else "n/a"
        _write_table(table, rows)


def _derive(signal: Signal, root: Path, path: Any) -> None:
    """The derivative data set of a session, if the recording lies in the folder of one."""
    about = signal.description
    decisions, model = _decided(signal.path)
    if not decisions.is_file():
        return
    folder = root / DERIVATIVES
    here = folder / Path(path.fpath).parent.relative_to(root)
    here.mkdir(parents=True)
    stem = Path(path.fpath).name.removesuffix("_eeg.bdf")
    _write_json(
        folder / "dataset_description.json",
        {
            "Name": "Decisions of the decoder",
            "BIDSVersion": "1.9.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "bci-hand", "Version": __version__}],
        },
    )
    write_private(
        folder / "README",
        "Decisions of the decoder that ran while the signal was recorded.\n",
    )
    rows = list(_decisions(decisions, about, getattr(signal, "first_number", 0)))
    table = here / f"{stem}_desc-decisions_events.tsv"
    if rows:
        _write_table(table, rows)
        said = {"trial_type": "the most probable class", "valid": "1: no gap and no artefact in the window"}
        said |= {name: f"probability of {name[2:]}" for name in rows[0] if name.startswith("p_")}
        _write_json(table.with_suffix(".json"), {name: {"Description": text} for name, text in said.items()})
    if model.is_file():
        decoders = root / DECODERS  # without a description of a data set: BIDS has no name for such files
        decoders.mkdir()
        shutil.copyfile(model, decoders / f"{stem}_decoder.safetensors")


def _decided(recording: Path) -> tuple[Path, Path]:
    """Where its decisions are, and the decoder that took them; of a visit those of its control."""
    folder, control = recording.parent, (visit_beside(recording) or {}).get("control") or {}
    if control.get("recording") == recording.name:
        number = recording.stem.removeprefix("control")  # of a second control in the visit "-2"
        model = Path(control.get("model") or "model.safetensors").name
        return folder / f"control-decisions{number}.jsonl", folder / model
    return folder / "decisions.jsonl", folder / "model.safetensors"


def _decisions(path: Path, about: Description, first_number: int) -> Iterator[dict[str, str]]:
    """A row for each decision that rests on this signal; `first_number` is the conversion of its first sample."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # a last line that was cut
            return
        sample = said["sample_index"] - first_number
        if not 0 <= sample < about.n_samples:
            continue
        shares = {name: float(p) for name, p in zip(said["classes"], said["probabilities"], strict=True)}
        known = not any(map(math.isnan, shares.values()))
        yield {
            "onset": f"{float(sample / about.rate):.6f}",
            "duration": "0",
            "trial_type": max(shares, key=lambda name: shares[name]) if known else "n/a",
            "valid": str(int(said.get("valid", True))),
            **{f"p_{name}": "n/a" if math.isnan(p) else repr(p) for name, p in shares.items()},
        }


def merge(new: Path, target: Path, *, force: bool) -> None:
    """Put the run in `new` into the data set `target`."""
    if not (target / "dataset_description.json").is_file():
        raise ExportError(
            f"{target} exists already and is no BIDS data set; name another folder", path=target
        )
    files = [path.relative_to(new) for path in sorted(new.rglob("*")) if path.is_file()]
    shared = [file for file in files if not file.name.startswith("sub-")]
    scans = [file for file in files if file.name.endswith("_scans.tsv")]
    own = [file for file in files if file not in shared and file not in scans]
    if not force and (taken := [str(file) for file in own if (target / file).exists()]):
        raise ExportError(
            f"{target} has {taken[0]} already; choose another --subject, --session or --task, "
            "or replace it with --force",
            path=target,
        )
    for file in own:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (new / file).replace(target / file)
    for file in [*scans, Path("participants.tsv")]:
        key = "filename" if file in scans else "participant_id"
        rows = _read_table(target / file) if (target / file).exists() else []
        known = {row[key] for row in rows}
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        _write_table(target / file, rows + [row for row in _read_table(new / file) if row[key] not in known])
    for file in shared:
        if not (target / file).exists():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (new / file).replace(target / file)


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _write_table(path: Path, rows: list[dict[str, str]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(columns)] + ["\t".join(row.get(name, "n/a") for name in columns) for row in rows]
    write_private(path, "\n".join(lines) + "\n")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_private(path, json.dumps(content, ensure_ascii=False, indent=4) + "\n")
