from __future__ import annotations

import subprocess
import sys

import pytest

import firmware_protocol


def test_every_public_name_exists() -> None:
    for name in firmware_protocol.__all__:
        assert getattr(firmware_protocol, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = firmware_protocol.nothing


def test_importing_a_decoder_loads_neither_device_nor_recordings() -> None:
    code = (
        "import sys, firmware_protocol; print(*(m for m in sys.modules if m.startswith('firmware_protocol')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "firmware_protocol.codec" in loaded
    assert not {"firmware_protocol.device", "firmware_protocol.host"} & set(loaded)
