"""The report of a visit says everything that was done and what was not, in both languages, in one file."""

from __future__ import annotations

import base64
import html
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bci.cli import main
from bci.language import language
from bci.report import fonts, read_visit, write_mne_visit_report, write_visit_report
from bci.report.visit import Visit
from tests.report.visits import full_visit, make_visit

LIMIT_BYTES = 2_000_000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Visit]:
    """A folder with `session.json`, the recording, and the report in both languages."""
    folder = tmp_path_factory.mktemp("visit")
    visit = make_visit(folder, n_trials=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib's "Glyph … missing from font(s)"
        for name in ("en", "zh"):
            write_visit_report(folder / f"{name}.html", visit, folder, language=name)
    return folder, visit


class Reader(HTMLParser):
    """Text that people see, and addresses that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.unclosed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


# ---- one file, at home anywhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["en", "zh"])
def test_the_report_is_one_small_private_file_that_fetches_nothing(
    written: tuple[Path, Visit], name: str
) -> None:
    path = written[0] / f"{name}.html"
    reader = read(path)
    assert path.stat().st_size <= LIMIT_BYTES
    assert path.stat().st_mode & 0o077 == 0
    assert reader.fetched
    assert all(address.startswith("data:image/svg+xml;base64,") for address in reader.fetched)
    assert "http" not in re.sub(r"data:[^\"]*", "", path.read_text(encoding="utf-8"))
    assert (reader.open, reader.unclosed) == ([], []), "every element is closed"


def test_a_report_of_64_channels_stays_below_the_limit(tmp_path: Path) -> None:
    from bci.report import visit_pictures
    from bci.report.responses import Responses

    rng = np.random.default_rng(0)
    names = "Fp1 Fpz Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 T7 C5 C3 C1"
    names += " Cz C2 C4 C6 T8 TP7 "
    names += "CP5 CP3 CP1 CPz CP2 CP4 CP6 TP8 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"
    channels = tuple(names.split())
    change = {name: 40 * rng.standard_normal((len(channels), 25, 150)) for name in ("rest", "left", "right")}
    found = Responses(change, np.linspace(-1.5, 4.5, 150), np.arange(6.0, 31.0), channels, {}, 0, 4.0, True)
    drawn = [visit_pictures.time_frequency(found), visit_pictures.scalp_maps(found, ("right", "left"))]
    assert sum(len(picture or "") for picture in drawn) < 1_500_000


def test_figures_stand_in_the_report_as_the_visit_holds_them(written: tuple[Path, Visit]) -> None:
    text = read(written[0] / "en.html").text
    for fact in (
        "u-7k3f9q", "left-handed, second week", "EEG board SIM-1 0.3", "simulated signal, of nobody", "bci-hand 1.0",
        "9f" * 32, "0.81", "95 % interval 0.71 to 0.89", "chance 0.50", "below 0.59", "40 × rest", "38 × right hand",
        "2 trials were not used: 1 × artefact (muscle), 1 × samples lost; 1 was repeated at the end.",
        "3 in 5.0 min without a task; 95 % interval 0.12 to 1.75 (Poisson)", "median 1.4 s, nine of ten within 2.3 s",
        "16 of 20", "STOP was pressed", "3:21.0", "an electrode is off; too many samples were lost",
        "19000 × hold, 31 × power grip, 30 × open", "The signal has moved away from the calibration since minute 5.",
        "Dr. Li decided so at", "O2 bad (flat, electrode off) 500 kΩ", "10 of 11 electrodes good",
        "The cap was wetted twice.", "calibration.bfp", "control.bfp",
    ):  # fmt: skip
        assert fact in text, fact
    assert "Not done in this session" not in text


def test_measured_checks_are_drawn_as_a_trend_and_one_alone_says_how_to_get_it(tmp_path: Path) -> None:
    visit = full_visit()
    assert visit.control is not None
    alone = msgspec.structs.replace(visit.control, per_run=visit.control.per_run[:1])
    for name, control, pictures in (("two", visit.control, 2), ("one", alone, 0)):
        write_visit_report(
            tmp_path / name, msgspec.structs.replace(visit, control=control), tmp_path, language="en"
        )
        source = (tmp_path / name).read_text(encoding="utf-8")
        section = source.split("<h2>Control of the hand</h2>")[1].split("<h2>")[0]
        assert section.count("<img") == pictures
        assert ("adds a point" in section) == (name == "one")


def test_who_answered_for_electrodes_stands_there_also_after_another_look(tmp_path: Path) -> None:
    visit = full_visit()
    assert visit.before is not None
    assert visit.calibration is not None
    calibration = msgspec.structs.replace(visit.calibration, left_out=("O2",), override=visit.before.override)
    later = msgspec.structs.replace(visit.before, override=None)
    for before in (visit.before, later):
        both = msgspec.structs.replace(visit, before=before, calibration=calibration)
        write_visit_report(tmp_path / "x.html", both, tmp_path, language="en")
        text = read(tmp_path / "x.html").text
        assert text.count("Dr. Li decided so") == 1
        assert "The decoder leaves out O2." in text


def test_cued_and_asynchronous_figures_stand_apart(written: tuple[Path, Visit]) -> None:
    source = (written[0] / "en.html").read_text(encoding="utf-8")
    expected_of_control = source.split("What to expect of control")[1].split("<h2>")[0]
    assert "0.90 a minute" in expected_of_control
    assert "0.81" not in expected_of_control, "cued accuracy is no figure of control"
    control = source.split("<h2>Control of the hand</h2>")[1].split("<h2>")[0]
    assert "0.81" not in re.sub(r"data:[^\"]*", "", control)


def test_the_chinese_report_says_the_same_in_chinese(written: tuple[Path, Visit]) -> None:
    folder, visit = written
    text = read(folder / "zh.html").text
    for words in (
        "就诊报告",
        "平衡正确率",
        "运动想象",
        "电极",
        "阻抗",
        "混淆矩阵",
        "误动作",
        "已按下急停（STOP）",
        "伪迹",
        "静息",
    ):
        assert words in text or words in (folder / "zh.html").read_text(encoding="utf-8"), words
    drift = visit.control.drift if visit.control else ()
    own = f"{visit.who} {visit.notes} {drift} {visit.equipment} Dr. Li Pfurtscheller Lopes da Silva"
    english = [
        word
        for word in re.findall(r"[A-Za-z]{4,}", text)
        if word not in own and word not in ("calibration", "control", "model", "safetensors", "STOP")
    ]
    assert english == [], "words that escaped translation"
    assert '<html lang="zh-Hans">' in (folder / "zh.html").read_text(encoding="utf-8")


def test_the_language_spoken_otherwise_stays(written: tuple[Path, Visit], tmp_path: Path) -> None:
    write_visit_report(tmp_path / "r.html", bare(), written[0], language="zh")
    assert language() == "en"
    with pytest.raises(ValueError, match="no language 'fr'"):
        write_visit_report(tmp_path / "r.html", bare(), written[0], language="fr")


# ---- what was not done ---------------------------------------------------------------------------------------


def bare() -> Visit:
    return msgspec.structs.replace(full_visit(), before=None, calibration=None, control=None, after=None)


def test_what_was_not_done_is_said(tmp_path: Path) -> None:
    write_visit_report(tmp_path / "r.html", bare(), tmp_path, language="en")
    text = read(tmp_path / "r.html").text
    assert (
        "Not done in this session: electrodes before, calibration, control of the hand, electrodes after."
        in text
    )


def test_a_calibration_that_is_not_ready_comes_with_its_reason_and_advice(tmp_path: Path) -> None:
    visit = msgspec.structs.replace(full_visit(ready=False), control=None)
    write_visit_report(tmp_path / "r.html", visit, tmp_path, language="en")
    text = read(tmp_path / "r.html").text
    assert "The calibration is not good enough for control" in text
    assert "chance is 0.50" in text
    assert "Try hand against rest before left against right." in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_calibration_that_was_ended_before_a_decoder_could_be_judged_has_a_report_without_figures(
    tmp_path: Path, language: str
) -> None:
    visit = full_visit(ready=False)
    assert visit.calibration is not None
    part = msgspec.structs.replace(
        visit.calibration, cued={}, per_run=(), reliability=(), asynchronous={}, ended="Ended by nobody."
    )
    write_visit_report(
        tmp_path / "r.html",
        msgspec.structs.replace(visit, calibration=part, control=None),
        tmp_path,
        language=language,
    )
    text = read(tmp_path / "r.html").text
    assert "Ended by nobody." in text
    assert {"en": "No decoder was judged", "zh": "没有评估任何解码器"}[language] in text
    assert {"en": "balanced accuracy, cued", "zh": "平衡正确率"}[language] not in text


def test_without_the_recording_the_report_says_so_and_stands(tmp_path: Path) -> None:
    write_visit_report(tmp_path / "r.html", full_visit(), tmp_path, language="en")
    assert "Nothing can be said of the rhythms: there is no file" in read(tmp_path / "r.html").text


def test_free_control_has_no_hits_and_no_false_movements(tmp_path: Path) -> None:
    visit = full_visit()
    assert visit.control is not None
    visit = msgspec.structs.replace(visit, control=msgspec.structs.replace(visit.control, movements=None))
    write_visit_report(tmp_path / "r.html", visit, tmp_path, language="en")
    assert "neither hits nor false movements can be counted" in read(tmp_path / "r.html").text


def test_the_line_of_good_contact_is_the_one_that_electrodes_are_judged_by() -> None:
    from bci.report.visit_pictures import GOOD_KOHM
    from bci.sessions.electrodes import FAIR_KOHM

    assert GOOD_KOHM == FAIR_KOHM


def test_what_somebody_typed_is_no_markup(tmp_path: Path) -> None:
    visit = msgspec.structs.replace(bare(), who="<script>alert(1)</script>", notes=("a < b & c",))
    write_visit_report(tmp_path / "r.html", visit, tmp_path, language="en")
    source = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>" not in source
    assert html.escape("<script>alert(1)</script>") in source
    assert "a &lt; b &amp; c" in source


def test_a_picture_draws_chinese_with_a_font_that_has_it(written: tuple[Path, Visit]) -> None:
    if fonts.chinese_font() is None:
        pytest.skip("no font with Chinese signs here (Debian: fonts-noto-cjk)")
    addresses = read(written[0] / "zh.html").fetched
    drawn = [base64.b64decode(a.split(",")[1]).decode() for a in addresses]
    # words are outlines; the text stands beside
    with_words = [svg for svg in drawn if "<!-- 随机水平 -->" in svg]
    assert with_words
    for svg in with_words:
        glyphs = re.findall(r'id="(\w+(?:-\w+)*)-([0-9a-f]+)"', svg)
        assert {font.split("-")[0] for font, _index in glyphs} - {"DejaVuSans"}, "another font draws them"
        assert "0" not in {index for _font, index in glyphs}, "glyph 0 is the box for a sign that is missing"


def test_without_such_a_font_pictures_keep_english_words_and_a_note_says_so(
    written: tuple[Path, Visit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "chinese_font", lambda: None)
    visit = msgspec.structs.replace(written[1], control=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        write_visit_report(tmp_path / "r.html", visit, tmp_path, language="zh")
    assert "这台电脑没有中文字体，图中文字为英文。" in read(tmp_path / "r.html").text


# ---- command and MNE -----------------------------------------------------------------------------------------


def test_the_same_sections_make_an_mne_report(written: tuple[Path, Visit], tmp_path: Path) -> None:
    _folder, visit = written
    write_mne_visit_report(tmp_path / "m.html", visit, tmp_path, language="en")
    source = (tmp_path / "m.html").read_text(encoding="utf-8")
    for words in (
        "Summary",
        "Electrodes",
        "Calibration: cued trials",
        "Where the difference lies",
        "9f" * 32,
    ):
        assert words in source
    with pytest.raises(FileExistsError):
        write_mne_visit_report(tmp_path / "m.html", bare(), tmp_path, language="en")


def test_the_command_writes_the_report_into_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "visit"
    folder.mkdir()
    from bci.report import write_visit

    write_visit(folder / "session.json", bare())
    assert main(["report", str(folder), "--lang", "zh"]) == 0
    assert capsys.readouterr().out == f"报告  {folder / 'report.html'}\n"
    assert "就诊报告" in (folder / "report.html").read_text(encoding="utf-8")
    assert read_visit(folder / "session.json") == bare()


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("u-234567", "There is no session in"),
        ("", "holds no visit"),
        ("empty", "cannot be read (No such file or directory); name a session's folder"),
    ],
)
def test_the_command_says_what_is_missing(
    argument: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BCI_SESSIONS", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "session.json").write_text('{"user": 3}')
    assert main(["report", argument or str(tmp_path)]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "none").exists(), "asking makes no folder"
