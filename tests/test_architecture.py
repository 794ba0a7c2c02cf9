"""The house: imports run one way, heavy libraries stay behind their doors, files keep their size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEAVES = {
    f"bci.{leaf}"
    for leaf in ("chunks", "decisions", "errors", "files", "jit", "language", "processes", "_version")
}

#: Each room and what it may import besides itself and the leaves; docs/dataflow.md draws the same.
ARROWS: dict[str, set[str]] = {
    "firmware_protocol": set(),
    "bci.acquisition": {"firmware_protocol"},
    "bci.dsp": set(),
    "bci.decoders": {"bci.dsp"},
    "bci.evaluation": set(),
    "bci.prosthesis": {"bci.evaluation"},
    "bci.pipeline": {"bci.acquisition", "bci.dsp", "bci.decoders", "bci.evaluation", "bci.prosthesis"},
    "bci.interop": {"firmware_protocol", "bci.acquisition", "bci.dsp"},
}
BELOW = set(ARROWS)
ARROWS["bci.report"] = set(BELOW)
ARROWS["bci.web"] = {"bci.acquisition", "bci.dsp", "bci.prosthesis"}
ARROWS["bci.qualification"] = {"firmware_protocol", "bci.acquisition", "bci.dsp", "bci.evaluation"}
ARROWS["bci.sessions"] = BELOW | {"bci.report", "bci.web"}
ARROWS["bci.batch"] = BELOW | {"bci.report", "bci.sessions"}
ARROWS["bci.selftest"] = BELOW | {"bci.qualification"}
ARROWS["bci.cli"] = set(ARROWS) - {"bci.cli"}
# for people who work on the project: finds what is said, compiles translations
ARROWS["bci.locale"] = {"bci.cli"}

#: A method that people look for on a lower room's object and that a room above carries out, imported when called.
HANDED_ON = {
    ("bci.acquisition.recording", "bci.interop"),
    ("bci.acquisition.recording", "bci.interop.to_mne"),
}

#: Libraries that one file of each of the two packages may import; the validator opens ports without `bci`.
ONE_DOOR = ("serial", "pylsl", "starlette")
#: What neither `import bci` nor a `--help` may load.
HEAVY = ("scipy.signal", "mne", "sklearn", "numba", "matplotlib")


def sources() -> list[Path]:
    return sorted([*ROOT.joinpath("bci").rglob("*.py"), *ROOT.joinpath("firmware_protocol").rglob("*.py")])


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Every module that the file imports, at top level or inside a function."""

    def walk() -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import; this project names modules whole"
                yield node.module or ""
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    return tuple(walk())


def room_of(module: str) -> str | None:
    """The room that a module of this project lies in; None for leaves and foreign modules."""
    return next((room for room in ARROWS if module == room or module.startswith(room + ".")), None)


def is_leaf(module: str) -> bool:
    return any(module == leaf or module.startswith(leaf + ".") for leaf in LEAVES)


def test_every_file_of_the_package_lies_in_a_known_room() -> None:
    homeless = [
        m for m in map(module_name, sources()) if m != "bci" and not is_leaf(m) and room_of(m) is None
    ]
    assert homeless == []


def test_imports_run_only_along_the_arrows() -> None:
    wrong = []
    for path in sources():
        here = module_name(path)
        room = room_of(here)
        for target in imports_of(path):
            there = room_of(target)
            if there is None or there == room or (here, target) in HANDED_ON:
                continue
            if room is None or there not in ARROWS[room]:
                wrong.append(f"{here} imports {target}")
    assert wrong == []


def test_leaves_import_nothing_of_the_project_but_leaves() -> None:
    wrong = [
        f"{module_name(path)} imports {target}"
        for path in sources()
        if is_leaf(module_name(path))
        for target in imports_of(path)
        if target.startswith("bci.") and not is_leaf(target)
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONE_DOOR)
def test_one_file_of_each_package_imports(library: str) -> None:
    doors = [module_name(p) for p in sources() if any(t.split(".")[0] == library for t in imports_of(p))]
    packages = [door.split(".")[0] for door in doors]
    assert len(packages) == len(set(packages)), doors


def test_in_each_room_one_file_imports_mne() -> None:
    doors: dict[str | None, list[str]] = {}
    for path in sources():
        if any(target.split(".")[0] == "mne" for target in imports_of(path)):
            doors.setdefault(room_of(module_name(path)), []).append(module_name(path))
    assert {room: files for room, files in doors.items() if len(files) > 1} == {}


def loaded_by(*args: str) -> set[str]:
    """Names of all modules in memory after a fresh interpreter ran `args`."""
    listing = "import sys; print('\\n'.join(sys.modules))"
    code = args[0] + "\n" + listing
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines())


@pytest.mark.parametrize(
    "code",
    [
        "import bci",
        "import bci.acquisition, bci.dsp, bci.decoders, bci.prosthesis, bci.pipeline, bci.interop, bci.evaluation",
        "import bci.cli\ntry: bci.cli.main(['--help'])\nexcept SystemExit: pass",
        "import bci.cli\ntry: bci.cli.main(['demo', '--help'])\nexcept SystemExit: pass",
        "import firmware_protocol, firmware_protocol.cli",
    ],
)
def test_importing_and_asking_for_help_load_no_heavy_library(code: str) -> None:
    assert loaded_by(code) & set(HEAVY) == set()


def test_the_protocol_package_needs_only_the_standard_library_at_import() -> None:
    assert loaded_by("import firmware_protocol, firmware_protocol.cli") & {"numpy", "numba", "bci"} == set()


def test_no_file_is_named_like_a_module_of_python_or_of_a_dependency() -> None:
    foreign = set(sys.stdlib_module_names) | {
        "numpy",
        "scipy",
        "numba",
        "mne",
        "serial",
        "sklearn",
        "rich",
        "click",
    }
    taken = [str(p.relative_to(ROOT)) for p in sources() if p.stem in foreign and not p.stem.startswith("__")]
    assert taken == []


def test_no_source_file_outgrows_one_idea() -> None:
    """STYLE: 100 to 400 lines. The bound leaves room for a table of causes or kernels that share one cache file."""
    lines = {module_name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    assert {name: n for name, n in lines.items() if n > 650} == {}


def test_nothing_evaluates_or_unpickles_foreign_content() -> None:
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("eval", "exec")
            ):
                wrong.append(f"{module_name(path)}:{node.lineno} {node.func.id}")
            if (
                isinstance(node, ast.keyword)
                and node.arg == "allow_pickle"
                and getattr(node.value, "value", 0) is True
            ):
                wrong.append(f"{module_name(path)}:{node.lineno} allow_pickle=True")
        wrong += [
            f"{module_name(path)} imports {t}"
            for t in imports_of(path)
            if t in ("pickle", "dill", "joblib.load")
        ]
    assert wrong == []
