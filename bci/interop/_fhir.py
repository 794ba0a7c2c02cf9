"""HL7 FHIR R4: a recording or a visit as a Bundle of Device, Observation and DiagnosticReport. Plain JSON, no library.

Rules
-----
- Nothing names a person. A Patient is in it only where a code was given; then everything refers to it.
- Dates only where they were asked for.
- Codes are LOINC's and UCUM's where these have one; the others are of the code system `CODES`, listed in `MEASURES`
  and docs/interop.md, each with words beside it.
- Cued accuracy and control over whole runs are Observations of their own, each with the chance level beside it. The
  report says that it is no diagnosis.

References
----------
.. [1] HL7 FHIR R4 (4.0.1): hl7.org/fhir/R4/observation.html, diagnosticreport.html, device.html.
.. [2] LOINC 11523-8, EEG study. UCUM, unitsofmeasure.org.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bci._version import __version__
from bci.errors import RecordingError
from bci.files import open_private
from bci.interop._door import Description, ExportOptions, Progress, Signal

__all__ = ["CODES", "MEASURES", "bundle_of", "visit_beside", "write"]

#: The project's own code system; its codes are the keys of `MEASURES`.
CODES = "urn:uuid:7c0f3a52-6f0e-5d0a-9c1b-4b1e2f6d8a10"
PEOPLE = "urn:uuid:2d9b7f6e-0a3c-5b7d-8e4f-1c5a9d3b6e20"  # codes of people that this project was given
UCUM = "http://unitsofmeasure.org"
VISIT_SCHEMA = "bci-visit/1"

#: Code -> words, UCUM unit.
MEASURES = {
    "recording-duration": ("Duration of EEG recording", "s"),
    "sampling-rate": ("Measured sampling rate", "Hz"),
    "samples-lost": ("Share of samples lost", "%"),
    "electrode-impedance": ("Impedance of electrode", "kOhm"),
    "electrode-quality": ("Signal quality of electrode", ""),
    "cued-balanced-accuracy": ("Balanced accuracy, cued trials of runs not trained on", "1"),
    "chance-level": ("What guessing reaches on average", "1"),
    "chance-threshold": ("What guessing reaches in one of 20 such sets of trials", "1"),
    "interval-low": ("Lower bound of the 95 % interval", "1"),
    "interval-high": ("Upper bound of the 95 % interval", "1"),
    "trials-kept": ("Trials of this class", "{count}"),
    "movement-hit-rate": ("Share of cued movements that were found", "1"),
    "movement-blind-rate": ("Share that firing blindly as often would find", "1"),
    "false-movement-rate": ("Movements that nobody asked for", "/min"),
    "decision-latency": ("Last byte to command, median", "ms"),
    "stops": ("Holds and stops of the hand", "{count}"),
}


def write(signal: Signal, target: Path, options: ExportOptions, progress: Progress) -> tuple[str, ...]:
    """The Bundle of a recording, and of the visit it belongs to where `session.json` lies beside it.

    Raises
    ------
    RecordingError
        If that file is damaged.
    """
    visit = visit_beside(signal.path)
    bundle = bundle_of(signal.description, visit=visit, options=options, seed=_seed(signal.path))
    with open_private(target, "x") as file:
        json.dump(bundle, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.write("\n")
    progress(signal.description.n_samples, signal.description.n_samples)
    return ("the signal itself is not in a FHIR bundle; export it as BDF+ or DICOM",)


def bundle_of(
    about: Description,
    *,
    visit: Mapping[str, Any] | None = None,
    options: ExportOptions | None = None,
    seed: str = "",
) -> dict[str, Any]:
    """A Bundle of type collection, as plain values for JSON.

    Parameters
    ----------
    about : Description
        Of the recording.
    visit : mapping, optional
        What `session.json` of the session's folder holds.
    options : ExportOptions
        `subject` and `keep_date`.
    seed : str
        What the resources' ids come from: the same seed gives the same ids.
    """
    return _Builder(about, visit or {}, options or ExportOptions(), seed).bundle()


class _Builder:
    def __init__(
        self, about: Description, visit: Mapping[str, Any], options: ExportOptions, seed: str
    ) -> None:
        self._about, self._visit, self._options = about, visit, options
        self._space = uuid.uuid5(uuid.NAMESPACE_OID, seed or f"{about.device} {about.n_samples}")
        self._entries: list[dict[str, Any]] = []
        self._results: list[dict[str, str]] = []
        self._patient: dict[str, str] | None = None
        self._board: dict[str, str] = {}

    def bundle(self) -> dict[str, Any]:
        if self._options.subject:
            self._patient = self._add(
                {
                    "resourceType": "Patient",
                    "identifier": [{"system": PEOPLE, "value": self._options.subject}],
                }
            )
        self._board = self._devices()
        self._recording()
        for name in ("before", "after"):
            self._check(name)
        self._calibration()
        self._control()
        self._report()
        return {"resourceType": "Bundle", "type": "collection", "entry": self._entries}

    # ---- what it was done with ----

    def _devices(self) -> dict[str, str]:
        equipment = self._visit.get("equipment") or {}
        board = self._device(
            "EEG acquisition board",
            equipment.get("device") or self._about.device or "unknown board",
            equipment.get("firmware", ""),
            simulated=bool(equipment.get("simulated")),
        )
        software = equipment.get("software") or f"bci {__version__}"
        name, _, version = software.rpartition(" ")
        self._device("Software", name or software, version)
        if equipment.get("hand"):
            self._device("Prosthetic hand", equipment["hand"], "", simulated=bool(equipment.get("simulated")))
        return board

    def _device(self, kind: str, name: str, version: str, *, simulated: bool = False) -> dict[str, str]:
        device: dict[str, Any] = {
            "resourceType": "Device",
            "status": "active",
            "deviceName": [{"name": name, "type": "user-friendly-name"}],
            "type": {"text": kind},
        }
        if version:
            device["version"] = [{"value": version}]
        if simulated:
            device["note"] = [{"text": "simulated: no such apparatus was connected"}]
        return self._add(device)

    # ---- what was measured ----

    def _recording(self) -> None:
        about = self._about
        lost = sum(n for _, n in about.gaps)
        self._observe("recording-duration", about.duration_s, at=about.started)
        self._observe("sampling-rate", about.measured_hz, at=about.started)
        self._observe("samples-lost", 100.0 * lost / max(1, about.n_samples), at=about.started)
        measured = [(c.name, c.impedance_kohm) for c in about.channels if c.impedance_kohm is not None]
        if measured:
            self._impedances(measured, about.started)

    def _check(self, which: str) -> None:
        """A look at all electrodes, before calibration or after control."""
        part = self._visit.get(which)
        if not part:
            return
        at = self._time(part.get("at_s"))
        components = [
            {
                "code": {"text": electrode["name"]},
                "valueCodeableConcept": {
                    "text": " ".join([electrode["level"], *electrode.get("findings", ())]),
                },
            }
            for electrode in part["electrodes"]
        ]
        if components:
            self._observe("electrode-quality", None, at=at, components=components, note=f"{which} control")
        measured = [
            (e["name"], e["impedance_kohm"])
            for e in part["electrodes"]
            if e.get("impedance_kohm") is not None
        ]
        if measured:
            self._impedances(measured, at)

    def _impedances(self, measured: Sequence[tuple[str, float]], at: str) -> None:
        components = [
            {"code": {"text": name}, "valueQuantity": _quantity(kohm, "kOhm")} for name, kohm in measured
        ]
        self._observe("electrode-impedance", None, at=at, components=components)

    def _calibration(self) -> None:
        part = self._visit.get("calibration")
        if not part:
            return
        at = self._time(part.get("at_s"))
        cued = part.get("cued") or {}
        low, high = cued.get("interval_95") or (None, None)
        rows = [
            ("interval-low", low),
            ("interval-high", high),
            ("chance-level", cued.get("chance")),
            ("chance-threshold", cued.get("chance_threshold")),
        ]
        components = [*_components(rows)]
        for name, n in (part.get("trials_kept") or {}).items():
            (one,) = _components([("trials-kept", n)])
            one["code"]["text"] = f"trials kept: {name}"
            components.append(one)
        self._observe(
            "cued-balanced-accuracy", cued.get("balanced_accuracy"), at=at, components=components,
            note=f"{part.get('movement', '')} movement of {', '.join(part.get('classes', ()))}".strip(),
        )  # fmt: skip
        self._movements(part.get("asynchronous") or {}, at, "calibration, runs left out")

    def _control(self) -> None:
        part = self._visit.get("control")
        if not part:
            return
        at = self._time(part.get("at_s"))
        self._movements(part.get("movements") or {}, at, "control of the hand")
        self._observe("stops", len(part.get("stops") or ()), at=at)
        if (median := (part.get("latency_ms") or {}).get("median")) is not None:
            self._observe("decision-latency", median, at=at)

    def _movements(self, figures: Mapping[str, Any], at: str, note: str) -> None:
        """Hits and false movements of the asynchronous decoder; never mixed with cued accuracy."""
        if figures.get("hit_rate") is not None:
            rows = [("movement-blind-rate", figures.get("blind_hit_rate"))]
            self._observe(
                "movement-hit-rate", figures["hit_rate"], at=at, components=[*_components(rows)], note=note
            )
        minutes = figures.get("idle_minutes")
        if minutes:
            self._observe(
                "false-movement-rate", figures.get("false_movements", 0) / minutes, at=at, note=note
            )

    def _report(self) -> None:
        visit = self._visit
        report: dict[str, Any] = {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0074",
                            "code": "EN",
                            "display": "Electroneuro (EEG, EMG,EP,PSG)",
                        }
                    ]
                }
            ],
            "code": {
                "coding": [{"system": "http://loinc.org", "code": "11523-8", "display": "EEG study"}],
                "text": "EEG for control of a prosthetic hand",
            },
            "result": self._results,
            "conclusion": _conclusion(visit),
        }
        if when := self._when(self._time(visit.get("started_s")) or self._about.started):
            report["effectiveDateTime"] = when
        self._add(self._about_person(report))

    # ---- how ----

    def _observe(
        self,
        code: str,
        value: float | None,
        *,
        at: str,
        components: Sequence[Mapping[str, Any]] = (),
        note: str = "",
    ) -> None:
        words, unit = MEASURES[code]
        if value is None and not components:
            return
        observation: dict[str, Any] = {
            "resourceType": "Observation",
            "status": "final",
            "category": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                            "code": "procedure",
                            "display": "Procedure",
                        }
                    ]
                }
            ],
            "code": {"coding": [{"system": CODES, "code": code, "display": words}], "text": words},
            "device": self._board,
        }
        if value is not None:
            observation["valueQuantity"] = _quantity(value, unit)
        if components:
            observation["component"] = list(components)
        if note:
            observation["note"] = [{"text": note}]
        if when := self._when(at):
            observation["effectiveDateTime"] = when
        self._results.append(self._add(self._about_person(observation)))

    def _about_person(self, resource: dict[str, Any]) -> dict[str, Any]:
        if self._patient is not None:
            resource["subject"] = self._patient
        return resource

    def _add(self, resource: dict[str, Any]) -> dict[str, str]:
        """One more entry; gives the reference to it."""
        url = f"urn:uuid:{uuid.uuid5(self._space, str(len(self._entries)))}"
        self._entries.append({"fullUrl": url, "resource": resource})
        return {"reference": url}

    def _time(self, seconds: float | None) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""

    def _when(self, text: str) -> str:
        """A dateTime of FHIR, where dates were asked for: the day alone where the zone of the time is not known."""
        if not (self._options.keep_date and text):
            return ""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return ""
        return moment.isoformat(timespec="seconds") if moment.tzinfo else moment.date().isoformat()


def _components(rows: Sequence[tuple[str, float | None]]) -> Iterator[dict[str, Any]]:
    for code, value in rows:
        if value is not None:
            words, unit = MEASURES[code]
            yield {
                "code": {"coding": [{"system": CODES, "code": code, "display": words}], "text": words},
                "valueQuantity": _quantity(value, unit),
            }


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(float(value), 6), "unit": unit, "system": UCUM, "code": unit}


def _conclusion(visit: Mapping[str, Any]) -> str:
    calibration = visit.get("calibration") or {}
    parts = ["Figures of a brain–computer interface, made by research software; no diagnosis."]
    if calibration:
        parts.append(
            "The decoder was ready for control." if calibration.get("ready") else "The decoder was not ready."
        )
        if calibration.get("refusal"):
            parts.append(str(calibration["refusal"]))
    return " ".join(parts)


def visit_beside(path: Path) -> dict[str, Any] | None:
    """`session.json` of the session's folder; None where there is none, or one of another program."""
    beside = path.parent / "session.json"
    if not beside.is_file():
        return None
    try:
        visit = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise RecordingError(
            f"{beside} is damaged: {err}; move it away to export the recording alone", path=beside
        ) from err
    known = isinstance(visit, dict) and visit.get("schema") == VISIT_SCHEMA
    return visit if known else None


def _seed(path: Path) -> str:
    """Of the recording's first bytes, where its random number stands."""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(1 << 16)).hexdigest()
