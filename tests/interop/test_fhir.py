"""FHIR R4 bundles, validated with fhir.resources' R4B models, of recordings and of visits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bci.errors import RecordingError
from bci.interop import ExportOptions, export_signal
from bci.interop._fhir import CODES, MEASURES, bundle_of
from bci.report.visit import (
    CalibrationPart,
    CheckPart,
    ControlPart,
    ElectrodeState,
    Equipment,
    Override,
    Stop,
    Visit,
)
from tests.interop.test_dicom import a_signal

pytest.importorskip("fhir.resources")

VISIT = Visit(
    session="2024-02-29-a",
    user="Li Lei",
    started_s=1_709_209_800.0,
    equipment=Equipment("bci 0.9.0", "board 42", "SN-0042", "1.4.2", ("C3", "FCz"), 250.0, "simulated hand", True),
    who="Dr. Han Meimei",
    before=CheckPart(
        1_709_209_900.0,
        (ElectrodeState("C3", "good", (), 4.2), ElectrodeState("FCz", "bad", ("mains", "flat"), 80.0)),
        Override("Dr. Han Meimei", 1_709_209_950.0, ("FCz",)),
    ),
    calibration=CalibrationPart(
        1_709_210_000.0, "recording.bfp", ("rest", "right"), "intended", {"rest": 38, "right": 40}, (), 400.0,
        100_000, 25,
        {"balanced_accuracy": 0.81, "interval_95": [0.71, 0.88], "chance": 0.5, "chance_threshold": 0.6},
        asynchronous={"hit_rate": 0.7, "blind_hit_rate": 0.2, "false_movements": 3, "idle_minutes": 6.0},
        ready=True,
    ),
    control=ControlPart(
        1_709_211_000.0, "recording.bfp", "events.jsonl", 300.0, 75_000, 0,
        {"hit_rate": 0.6, "blind_hit_rate": 0.1, "false_movements": 2, "idle_minutes": 4.0},
        stops=(Stop(12.0, "stop pressed", True),), latency_ms={"median": 41.0, "p99": 66.0},
    ),
    notes=("Li Lei was tired",),
)  # fmt: skip


def plain(visit: Visit = VISIT) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(visit))


def validated(bundle: dict[str, Any]) -> list[Any]:
    """The resources, as the models of R4B read them; every reference points at an entry."""
    from fhir.resources.R4B.bundle import Bundle

    model = Bundle.model_validate(json.loads(json.dumps(bundle, allow_nan=False)))
    urls = {entry.fullUrl for entry in model.entry}
    assert len(urls) == len(model.entry)

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["reference"]] if "reference" in value else []
            return own + [r for v in value.values() for r in references(v)]
        return [r for v in value for r in references(v)] if isinstance(value, list) else []

    assert set(references(bundle)) <= urls
    return [entry.resource for entry in model.entry]


def of_kind(resources: list[Any], kind: str) -> list[Any]:
    return [r for r in resources if r.get_resource_type() == kind]


def test_a_recording_alone_is_devices_observations_and_a_report(tmp_path: Path) -> None:
    signal = a_signal()
    (tmp_path / "r").mkdir()
    beside = tmp_path / "r" / "x.bfp"
    beside.write_bytes(b"a recording's first bytes")
    object.__setattr__(signal, "path", beside)
    made = export_signal(signal, tmp_path / "x.fhir.json", to="fhir")
    assert "signal itself" in made.losses[0]
    resources = validated(json.loads((tmp_path / "x.fhir.json").read_text(encoding="utf-8")))
    values = {
        o.code.coding[0].code: (float(o.valueQuantity.value), o.valueQuantity.code)
        for o in of_kind(resources, "Observation")
    }
    assert values == {
        "recording-duration": (20.0, "s"),
        "sampling-rate": (249.5, "Hz"),
        "samples-lost": (0.5, "%"),
    }
    (report,) = of_kind(resources, "DiagnosticReport")
    assert (report.code.coding[0].system, report.code.coding[0].code) == ("http://loinc.org", "11523-8")
    assert len(report.result) == 3
    assert "no diagnosis" in report.conclusion
    assert of_kind(resources, "Patient") == []


def test_a_visit_gives_figures_with_intervals_and_chance_cued_and_control_apart() -> None:
    resources = validated(bundle_of(a_signal().description, visit=plain(), seed="s"))
    observations = {}
    for one in of_kind(resources, "Observation"):
        observations.setdefault(one.code.coding[0].code, []).append(one)
        assert one.code.coding[0].system == CODES
        assert one.code.coding[0].display == MEASURES[one.code.coding[0].code][0]
    (cued,) = observations["cued-balanced-accuracy"]
    assert float(cued.valueQuantity.value) == 0.81
    parts = {c.code.text: float(c.valueQuantity.value) for c in cued.component}
    assert parts["Lower bound of the 95 % interval"] == 0.71
    assert parts["What guessing reaches on average"] == 0.5
    assert parts["trials kept: right"] == 40
    rates = [
        (float(o.valueQuantity.value), o.valueQuantity.code) for o in observations["false-movement-rate"]
    ]
    assert rates == [(0.5, "/min"), (0.5, "/min")]
    (impedance,) = observations["electrode-impedance"]
    assert [
        (c.code.text, float(c.valueQuantity.value), c.valueQuantity.code) for c in impedance.component
    ] == [
        ("C3", 4.2, "kOhm"),
        ("FCz", 80.0, "kOhm"),
    ]
    (quality,) = observations["electrode-quality"]
    assert quality.component[1].valueCodeableConcept.text == "bad mains flat"
    assert float(observations["decision-latency"][0].valueQuantity.value) == 41.0
    devices = of_kind(resources, "Device")
    assert [d.type.text for d in devices] == ["EEG acquisition board", "Software", "Prosthetic hand"]
    assert devices[0].version[0].value == "1.4.2"


def test_no_name_and_no_date_leave_unless_they_were_asked_for() -> None:
    text = json.dumps(bundle_of(a_signal().description, visit=plain(), seed="s"), ensure_ascii=False)
    for secret in ("Li Lei", "Han Meimei", "2024", "tired", "2024-02-29-a"):
        assert secret not in text
    options = ExportOptions(subject="K-017", keep_date=True)
    resources = validated(bundle_of(a_signal().description, visit=plain(), options=options, seed="s"))
    (patient,) = of_kind(resources, "Patient")
    assert patient.identifier[0].value == "K-017"
    about = [r for r in resources if r.get_resource_type() in ("Observation", "DiagnosticReport")]
    assert len({r.subject.reference for r in about}) == 1
    (report,) = of_kind(resources, "DiagnosticReport")
    assert report.effectiveDateTime.isoformat() == "2024-02-29T12:30:00+00:00"


def test_a_time_without_a_zone_is_given_as_the_day_alone() -> None:
    about = a_signal(started="2019-05-04T23:59:01").description
    bundle = bundle_of(about, options=ExportOptions(keep_date=True))
    validated(bundle)
    dates = {
        e["resource"]["effectiveDateTime"] for e in bundle["entry"] if "effectiveDateTime" in e["resource"]
    }
    assert dates == {"2019-05-04"}


def test_the_same_visit_has_the_same_ids_and_another_one_others() -> None:
    first, again, other = (bundle_of(a_signal().description, visit=plain(), seed=s) for s in ("a", "a", "b"))
    assert first == again
    assert {e["fullUrl"] for e in first["entry"]} & {e["fullUrl"] for e in other["entry"]} == set()


def test_a_damaged_session_file_is_said_and_another_programs_is_left_alone(tmp_path: Path) -> None:
    signal = a_signal()
    beside = tmp_path / "s" / "recording.bfp"
    beside.parent.mkdir()
    beside.write_bytes(b"x")
    object.__setattr__(signal, "path", beside)
    (beside.parent / "session.json").write_text('{"schema": "other/1"}')
    export_signal(signal, tmp_path / "a.fhir.json", to="fhir")
    (beside.parent / "session.json").write_text('{"schema": ')
    with pytest.raises(RecordingError, match="damaged"):
        export_signal(signal, tmp_path / "b.fhir.json", to="fhir")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fhir.json", "s"]
