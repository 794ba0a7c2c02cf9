"""Every sentence that people in a clinic meet is said in Chinese and English, on any console."""

from __future__ import annotations

import ast
import os
import re
import string
import subprocess
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bci.cli._console import INSTEAD
from bci.cli._language import CLINIC, spoken_in
from bci.errors import BciError, DesignError, FlatSignalError, NonFiniteError, RankDeficientError, ShapeError
from bci.language import (
    LANGUAGES,
    _,
    language,
    ngettext,
    preferred_language,
    speaking,
    thing_word,
    use_language,
)
from bci.locale.__main__ import said_everywhere
from bci.locale._catalogue import compiled, entries, mo_path
from bci.locale._sentences import fields, in_page, in_python, in_template

ROOT = Path(__file__).resolve().parents[1]
OTHERS = LANGUAGES[1:]

#: Rooms whose errors a clinician can meet; `bci.dsp`, decoders and evaluation speak to those who program.
CLINIC_ROOMS = ("acquisition", "pipeline", "prosthesis", "report", "sessions", "web", "qualification")
#: Parts of them for people who program or evaluate recordings.
NOT_CLINIC = (
    "bci/acquisition/simulator/_",
    "bci/sessions/offline.py",
    "bci/sessions/own_recording.py",
    "bci/sessions/evaluating.py",
)
#: Misuse by a program, never by a person: these stay English.
FOR_PROGRAMMERS = (ShapeError, NonFiniteError, FlatSignalError, RankDeficientError, DesignError)
#: `.po` files whose sentences stand in a library, not here.
OF_LIBRARIES = {"click.po"}


# ---- nothing untranslated, nothing stale ---------------------------------------------------------------------


@pytest.mark.parametrize("name", OTHERS)
def test_every_sentence_of_code_templates_and_pages_is_translated(name: str) -> None:
    known = {entry.sentences: entry for entry in entries(name)}
    missing = [
        f"{places[0]}: {forms[0]}" for forms, places in said_everywhere(ROOT).items() if forms not in known
    ]
    assert missing == [], "python -m bci.locale --missing prints them ready to translate"


@pytest.mark.parametrize("name", OTHERS)
def test_translations_are_whole_and_keep_the_names_in_braces(name: str) -> None:
    wrong = []
    for entry in entries(name):
        where = f"{entry.file}:{entry.line}"
        if entry.fuzzy or not all(entry.said):
            wrong.append(f"{where}: {entry.sentences[0]!r} is not translated")
        allowed = set().union(*map(fields, entry.sentences))
        wrong += [f"{where}: {said!r} has other names" for said in entry.said if fields(said) - allowed]
        if len(entry.sentences) == 1 and fields(entry.said[0]) != allowed:
            wrong.append(f"{where}: {entry.said[0]!r} lacks names of {entry.sentences[0]!r}")
        for said in (*entry.sentences, *entry.said):
            list(string.Formatter().parse(said))  # raises on a brace that is not closed
    assert wrong == []


@pytest.mark.parametrize("name", OTHERS)
def test_no_translation_outlived_its_sentence(name: str) -> None:
    said = set(said_everywhere(ROOT))
    stale = [
        f"{entry.file}:{entry.line}: {entry.sentences[0]}"
        for entry in entries(name)
        if entry.file not in OF_LIBRARIES and entry.sentences not in said
    ]
    assert stale == []


@pytest.mark.parametrize("name", OTHERS)
def test_the_compiled_catalogue_is_in_step_byte_for_byte(name: str) -> None:
    assert mo_path(name).read_bytes() == compiled(name), "run python -m bci.locale"


#: What Chinese sentences are not to hold, and what stands there instead.
NOT_CHINESE = {
    r"[\u4e00-\u9fff] ?[,;:!?](?!秒）)": "，；：！？ of full width",
    r"[，。：；] ": "no blank behind full-width punctuation",
    r"[\d}] %": "% without a blank",
    r" …$": "…… without a blank",
    r"假手|计算机|电缆|判决": "假肢手, 电脑, 连接线, 判定: one word for one thing, as YY/T 1987 has it",
}


def test_chinese_sentences_have_chinese_punctuation_and_one_word_for_each_thing() -> None:
    wrong = [
        f"{entry.file}:{entry.line}: {said!r}: {instead}"
        for entry in entries("zh")
        for said in entry.said
        for sign, instead in NOT_CHINESE.items()
        if re.search(sign, said)
    ]
    assert wrong == []


# ---- nothing escapes translation -----------------------------------------------------------------------------


def clinic_errors() -> set[str]:
    def below(kind: type) -> Iterator[type]:
        for sub in kind.__subclasses__():
            yield sub
            yield from below(sub)

    import bci.errors

    own = [kind for kind in below(BciError) if kind.__module__ == bci.errors.__name__]
    return {kind.__name__ for kind in own if not issubclass(kind, FOR_PROGRAMMERS)}


def plain_text(node: ast.expr) -> bool:
    """Whether the expression is English text that never went through `_`."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(v, ast.Constant) and any(map(str.isalpha, str(v.value))) for v in node.values)
    if isinstance(node, ast.BinOp):
        return plain_text(node.left) or plain_text(node.right)
    return False


def escaping(source: str, errors: set[str]) -> list[int]:
    """Lines that build an error of `errors` from a literal, at once or by a name that was given one."""
    lines = []
    tree = ast.parse(source)
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            continue
        named = (
            {
                target.id
                for node in ast.walk(scope)
                if isinstance(node, ast.Assign) and plain_text(node.value)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            if not isinstance(scope, ast.Module)
            else set()
        )
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            first = node.args[0]
            if called in errors and (
                plain_text(first) or (isinstance(first, ast.Name) and first.id in named)
            ):
                lines.append(node.lineno)
    return sorted(set(lines))


@pytest.mark.parametrize("room", CLINIC_ROOMS)
def test_errors_that_a_clinician_can_meet_are_said_through_the_catalogue(room: str) -> None:
    errors = clinic_errors()
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "bci" / room).rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(NOT_CLINIC)
        for line in escaping(path.read_text(encoding="utf-8"), errors)
    ]
    assert found == []


#: What a clinician reads in a terminal.
SCREENS = (*CLINIC, "_clinic", "_live_view", "_qualify_view", "_view")
PRINTING = (
    "echo",
    "secho",
    "print",
    "note",
    "say",
    "stage",
    "tell",
    "confirm",
    "prompt",
    "Text",
    "add_column",
)
#: Words, but those that stay in every language: the name of the program, of the button, of measures of a gauge.
WORDS = re.compile(r"\b(?!STOP\b|bci\b|GRR\b|ndc\b)[A-Za-z]{3,}")


def unsaid(source: str) -> list[int]:
    """Lines that print English words which never went through `_`."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        texts = [
            part.value
            for part in (
                [node.args[0]]
                if isinstance(node.args[0], ast.Constant)
                else getattr(node.args[0], "values", ())
            )
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        if called in PRINTING and any(WORDS.search(text) for text in texts):
            lines.append(node.lineno)
    return lines


def test_what_the_clinics_commands_print_goes_through_the_catalogue() -> None:
    assert unsaid('echo(f"{n} samples lost")\necho(_("fine"))\nprint(f"{x:>8}  {y}")') == [1]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "bci" / "cli").glob("*.py"))
        if path.stem.startswith(SCREENS)
        for line in unsaid(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_rule_finds_a_literal_an_f_string_and_a_name() -> None:
    source = """
def f(port):
    reason = f"nobody at {port}"
    raise DeviceError(reason)
def g(port):
    raise DeviceError(f"nobody at {port}", port=port)
def h(port, reason):
    raise DeviceError(_("nobody at {port}").format(port=port)) if port else DeviceError(reason)
"""
    assert escaping(source, {"DeviceError"}) == [4, 6]


def speechless(source: str) -> list[int]:
    """Lines of functions that throw values away as `_` and call it, too: the call would meet the value."""

    def below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        for child in table.get_children():
            yield child
            yield from below(child)

    return [
        scope.get_lineno()
        for scope in below(symtable.symtable(source, "source", "exec"))
        if scope.get_type() == "function"
        and "_" in scope.get_identifiers()
        and (name := scope.lookup("_")).is_local()
        and name.is_referenced()
    ]


def test_no_function_throws_values_away_by_the_name_it_speaks_with() -> None:
    assert speechless("def f(x):\n    a, _ = x\n    return _('b')\ndef g(x):\n    a, _ = x") == [1]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "bci").rglob("*.py"))
        if "bci.language import" in (source := path.read_text(encoding="utf-8"))
        for line in speechless(source)
    ]
    assert wrong == []


def test_sentences_are_found_in_python_templates_and_pages() -> None:
    found = list(in_python('_("one {a}").format(a=1)\nngettext("x", "xs", 2)\nN_("later")', "f"))
    assert {s.forms for s in found} == {("one {a}",), ("x", "xs"), ("later",)}
    found = list(in_template('<p>{{ _("Who") }} {{ ngettext("a", "b", n) }} {{ f("no") }}</p>', "f"))
    assert {s.forms for s in found} == {("Who",), ("a", "b")}
    found = list(in_page('<b data-say="Stop now"></b><script>t("Say \\"it\\"")</script>', "f"))
    assert {s.forms for s in found} == {("Stop now",), ('Say "it"',)}


def test_an_f_string_inside_the_call_is_refused_because_nobody_could_translate_it() -> None:
    with pytest.raises(ValueError, match=r"f\.py:1: an f-string"):
        list(in_python('_(f"no board on {port}")', "f.py"))


# ---- choosing a language -------------------------------------------------------------------------------------


def test_a_sentence_is_said_in_the_language_chosen() -> None:
    use_language("zh")
    assert _("no fresh signal") == "没有新的信号"
    assert ngettext("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})", 1)
    use_language("en")
    assert (_("no fresh signal"), language()) == ("no fresh signal", "en")


def test_a_language_nobody_speaks_here_is_refused() -> None:
    with pytest.raises(ValueError, match="no language 'fr'; there are en, zh"):
        use_language("fr")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "BCI_LANG": "en"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "zh_TW"}, "zh"),
        ({"LANG": "Chinese (Simplified)_China.936"}, "zh"),
    ],
)
def test_the_system_says_which_language_its_user_reads(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BCI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert preferred_language() == expected


@pytest.mark.parametrize(
    ("argv", "named", "rest"),
    [
        (["demo", "--lang", "zh", "--json"], "zh", ["demo", "--json"]),
        (["--lang=en", "demo"], "en", ["demo"]),
        (["demo"], None, ["demo"]),
        (["demo", "--lang", "fr"], None, ["--lang", "fr", "demo"]),
        (["record", "--", "--lang", "zh"], None, ["record", "--", "--lang", "zh"]),
    ],
)
def test_the_language_may_stand_anywhere_in_the_line(
    argv: list[str], named: str | None, rest: list[str]
) -> None:
    assert spoken_in(argv) == (named, rest)


# ---- consoles ------------------------------------------------------------------------------------------------


def on_a_console(encoding: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run(
        [sys.executable, "-m", "bci.cli", *argv], capture_output=True, env=environment, timeout=60, cwd=ROOT
    )


@pytest.mark.parametrize("encoding", ["gbk", "cp936"])
def test_a_chinese_console_shows_chinese(encoding: str) -> None:
    done = on_a_console(encoding, "demo", "--help", "--lang", "zh")
    assert done.returncode == 0
    assert "半分钟走完全程" in done.stdout.decode(encoding)


@pytest.mark.parametrize("encoding", ["gbk", "cp936:strict", "cp437", "latin-1", "ascii"])
def test_no_sign_crashes_a_console_or_becomes_a_question_mark(encoding: str) -> None:
    said = "10 µV² – 3 kΩ → 5 % ± 2 ✓ ≤ 4 … ⣿ █▁"
    script = (
        "from bci.cli._console import prepare_console; import click; prepare_console(); prepare_console(); "
        f"print({said!r}); click.echo({said!r})"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    printed, echoed = done.stdout.decode(encoding.partition(":")[0]).splitlines()
    assert printed == echoed
    assert "?" not in printed
    assert "10 uV2" in printed or "10 µV" in printed  # GBK has neither µ nor ²


def test_a_console_without_chinese_signs_is_spoken_to_in_english() -> None:
    done = on_a_console("latin-1", "--lang", "zh", "--help")
    assert done.returncode == 0
    assert "Commands" in done.stdout.decode("latin-1")


def test_what_stands_for_a_sign_is_plain() -> None:
    assert all(plain.isascii() for plain in INSTEAD.values())


def test_a_thing_that_names_itself_is_named_in_the_language_spoken_with_its_version() -> None:
    assert thing_word("simulated board 1.0") == "simulated board 1.0"
    with speaking("zh"):
        assert [thing_word(name) for name in ("simulated board 1.0", "simulated hand", "Cyton 3", "")] == [
            "模拟采集板 1.0", "模拟假肢手", "Cyton 3", ""
        ]  # fmt: skip
