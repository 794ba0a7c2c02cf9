"""Fuzz the codec, the kernel and the reference device with atheris (Linux: pip install atheris).

    python -m tests.fuzz raw -runs=1000000          one of: raw, sealed, device, recording
    python -m tests.fuzz --seeds                    write the seed corpus anew from the golden vectors

Words behind the target go on to libFuzzer; what it finds is added to a folder of its own, and the seeds stay as they
are. tests/fuzz/test_fuzz.py runs all targets on the seeds and on random bytes wherever atheris is not.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

#: What Numba compiles must stay as it is, it knows no instrumented Python. The others have no ways to be found.
PLAIN = [
    f"firmware_protocol.{name}"
    for name in (
        "_kernels",
        "_simd",
        "_scanner",
        "_kernels_tables",
        "batch",
        "bulk",
        "codes",
        "layout",
        "limits",
    )
]


def main(argv: list[str]) -> int:
    if argv == ["--seeds"]:
        from tests.fuzz.seeds import write_seeds

        write_seeds()
        return 0
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris (Linux only)", file=sys.stderr)
        return 2
    # nothing of the package may be loaded before
    with atheris.instrument_imports(include=["firmware_protocol"], exclude=PLAIN):
        from tests.fuzz.targets import TARGETS
    corpus = Path(__file__).with_name("corpus")
    if not argv or argv[0] not in TARGETS:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as found:
        options = [sys.argv[0], found, str(corpus / argv[0]), "-max_len=2000", *argv[1:]]
        atheris.Setup(options, TARGETS[argv[0]])
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
