"""The fuzz targets on their seeds and on what hypothesis makes of them. `python -m tests.fuzz` goes on from there."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_protocol import Fault
from firmware_protocol.codec import Decoder
from tests.fuzz import targets
from tests.fuzz.seeds import FOLDER, seeds
from tests.fuzz.targets import TARGETS

SEEDS = {folder.name: [path.read_bytes() for path in sorted(folder.iterdir())] for folder in FOLDER.iterdir()}


def test_seed_corpus_is_the_one_that_the_golden_vectors_make() -> None:
    """If this fails: python -m tests.fuzz --seeds"""
    assert {name: set(inputs) for name, inputs in seeds().items()} == {n: set(s) for n, s in SEEDS.items()}


def test_seed_corpus_is_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) < 200
    assert sum(path.stat().st_size for path in files) < 20_000


@pytest.mark.parametrize("name", TARGETS)
def test_target_takes_every_seed(name: str) -> None:
    for data in SEEDS[name]:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_target_takes_what_becomes_of_seeds(name: str) -> None:
    """Bytes changed, cut out, doubled, joined: what a fuzzer does, without looking for coverage."""
    rng = random.Random(31)
    for _ in range(400):
        data = bytearray(rng.choice(SEEDS[name]))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(4):
                case 0 if at < len(data):
                    data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
                case 1:
                    del data[at : at + rng.randrange(1, 9)]
                case 2:
                    data[at:at] = rng.choice(SEEDS[name])
                case _:
                    data[at:at] = data[at : at + rng.randrange(40)]
        TARGETS[name](bytes(data))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=800))
def test_target_takes_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_a_decoder_that_errs_would_be_seen() -> None:
    class Forgetful(Decoder):
        def finish(self) -> list:  # type: ignore[type-arg]
            return [event for event in super().finish() if not isinstance(event, Fault)]

    pair = targets._Pair(Forgetful(), targets.BulkDecoder())
    with pytest.raises(AssertionError):
        pair.events(b"\x05\x11\x22", piece=1, middle=0)


def test_without_atheris_the_command_says_so() -> None:
    code = "import sys; sys.modules['atheris'] = None; from tests.fuzz.__main__ import main; sys.exit(main(['raw']))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "atheris is not installed: pip install atheris (Linux only)\n",
    )
