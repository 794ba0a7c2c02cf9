"""What `import` offers: the names that documents promise, found by tab and by `help`."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest

import bci

PACKAGES = [
    "firmware_protocol",
    *(f"bci.{found.name}" for found in pkgutil.iter_modules(bci.__path__) if found.ispkg),
    "bci.acquisition.cyton",
    "bci.acquisition.simulator",
]

#: Names that code of other people rests on; taking one away is a new major version.
PROMISED = {
    "bci.acquisition": "open_source SimulatedBoard Recording RecordingWriter Source",
    "bci.dsp": "SosFilter design_bandpass",
    "bci.decoders": "TangentSpaceDecoder CspDecoder FilterBankDecoder DefaultDecoder",
    "bci.prosthesis": "IntentPolicy SafetyMonitor SimulatedHand Hand Command Reply",
    "bci.pipeline": "OnlinePipeline train evaluate load_model save_model split_runs score_cued",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_is_listed_and_says_what_it_is(package: str) -> None:
    module = import_module(package)
    names = set(getattr(module, "__all__", ()))
    assert names <= set(dir(module)), "tab in a notebook offers what `dir` lists"
    for name in names:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), name


@pytest.mark.parametrize("package", PROMISED)
def test_the_names_that_others_rest_on_stay(package: str) -> None:
    assert set(PROMISED[package].split()) <= set(import_module(package).__all__)


def test_help_on_the_whole_names_every_room_where_work_begins() -> None:
    said = bci.__doc__ or ""
    for room in ("acquisition", "dsp", "decoders", "evaluation", "prosthesis", "pipeline", "interop"):
        assert f"`bci.{room}`" in said
