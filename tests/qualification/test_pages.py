"""Sheet, batch report, guide page and CSV: whole, self-contained, in both languages, and true to what is stored."""

from __future__ import annotations

import csv
import math
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bci.language import use_language
from bci.qualification.batch_report import export_csv, gauge_studies, write_batch_report
from bci.qualification.figures import limits_text, number, reasons_of, rows_of
from bci.qualification.guide import Abort, Go, Guide, Judged, Skip, Stage, TakeDone, begin, plan, step
from bci.qualification.guide_page import write_guide_page
from bci.qualification.limits import shipped_limits
from bci.qualification.measurements import MEASUREMENTS
from bci.qualification.measurements._common import panel
from bci.qualification.pictures import as_svg
from bci.qualification.result import Result
from bci.qualification.sheet import write_sheet
from bci.qualification.store import Batch
from bci.qualification.svg import Plot
from bci.qualification.words import TITLES, UNITS, family, figure_title
from tests.qualification.made_up import NAN, measurement, result
from tests.qualification.test_store import FACTS

FOREIGN = re.compile(
    r"""(?:src|href)\s*=\s*["']?(?!data:)[^"'\s>]+|url\((?!data:)|@import|<script""", re.IGNORECASE
)


def full_board(rng: np.random.Generator, *, bad: str = "") -> dict[str, list[Result]]:
    """Results of every limit for eight channels, all in the middle; those of the figure `bad` fail."""
    found: dict[str, list[Result]] = {}
    for test, limit in shipped_limits().limits.items():
        low, high = limit.low, limit.high
        middle = (
            (low + high) / 2
            if low is not None and high is not None
            else (high or 0.0) * 0.5
            if high is not None
            else low * 1.5
            if low
            else 0.0
        )
        room = abs(limit.room) if math.isfinite(limit.room) else 1.0
        for k in range(8):
            value = middle + 0.05 * room * float(rng.standard_normal())
            verdict = "fail" if test == bad else "pass"
            found.setdefault(test, []).append(
                Result(
                    test,
                    f"ch{k + 1}",
                    value,
                    limit.unit,
                    0.01 * room,
                    low,
                    high,
                    verdict,
                    f"{test} of ch{k + 1} is wrong." if verdict == "fail" else "",
                )  # type: ignore[arg-type]
            )
    return found


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    """Twelve boards, the third with a fault and repeated, all of it twice by two operators for two boards."""
    rng = np.random.default_rng(1)
    with Batch(tmp_path_factory.mktemp("batches") / "line 1", create=True) as made:
        for serial, operator, bad in [
            *((f"SN{k}", "Li <b>", "crosstalk" if k == 3 else "") for k in range(12)),
            ("SN3", "Li <b>", ""),
            *((f"SN{k}", operator, "") for k in range(2) for operator in ("Li <b>", "Wang", "Wang")),
        ]:
            facts = {**FACTS, "operator": operator}
            attempt = made.begin(serial, ["crosstalk", "other"], **facts)
            results = full_board(rng, bad=bad)
            made.keep(attempt, "crosstalk", results.pop("crosstalk"), took_s=1.0)
            made.keep(attempt, "other", [r for found in results.values() for r in found], took_s=1.0)
            made.finish(attempt, at="2026-01-02T05:00:00")
        yield made


@pytest.mark.parametrize("name", ["en", "zh"])
def test_a_sheet_says_the_verdict_and_why_and_needs_nothing_else(batch: Batch, name: str) -> None:
    use_language(name)
    first, second = batch.attempts("SN3")
    path = write_sheet(batch, first, MEASUREMENTS, batch.folder / "sheet.html")
    page = path.read_text(encoding="utf-8")
    assert ">" + {"en": "FAIL", "zh": "不合格"}[name] + "<" in page
    assert "crosstalk of ch5 is wrong." in page
    assert first.limits_sha256 in page
    assert "SN3" in page
    assert "Li &lt;b&gt;" in page
    assert "<b>" not in page
    assert not FOREIGN.search(page)
    assert len(page) < 1_000_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    repeat = write_sheet(batch, second, MEASUREMENTS, batch.folder / "sheet2.html").read_text(
        encoding="utf-8"
    )
    assert {"en": "repeat, test number 2", "zh": "重复测试，第 2 次"}[name] in repeat
    assert {"en": "first verdict FAIL", "zh": "首次判定：不合格"}[name] in repeat


def test_a_sheet_says_what_was_no_part_of_the_test(batch: Batch) -> None:
    page = write_sheet(batch, batch.attempts("SN1")[0], MEASUREMENTS, batch.folder / "s.html").read_text()
    assert "Not part of this test:" in page
    assert "Common-mode rejection" in page


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
@pytest.mark.parametrize("name", ["en", "zh"])
@pytest.mark.parametrize("bad", ["", "crosstalk"])
def test_a_sheet_prints_on_one_page(batch: Batch, tmp_path: Path, name: str, bad: str) -> None:
    use_language(name)
    path = write_sheet(batch, batch.attempts("SN3")[0 if bad else 1], MEASUREMENTS, tmp_path / "s.html")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/c",
        "--no-pdf-header-footer",
    ]
    command = ["chromium", *options, f"--print-to-pdf={tmp_path}/s.pdf", path.as_uri()]
    subprocess.run(command, check=True, capture_output=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", (tmp_path / "s.pdf").read_bytes())) == 1


@pytest.mark.parametrize("name", ["en", "zh"])
def test_a_batch_report_holds_yield_causes_capability_and_gauge_study(batch: Batch, name: str) -> None:
    use_language(name)
    page = write_batch_report(batch).read_text(encoding="utf-8")
    assert "91.7 %" in page  # 11 of 12 at the first test
    assert "100.0 %" in page  # with the repeat
    assert {"en": "12 boards are too few", "zh": "12 块采集板太少"}[name] in page
    assert "Bissell" in page
    assert "8 × 2" in page or "16 × 2" in page  # parts × operators
    assert not FOREIGN.search(page)
    assert len(page) < 1_000_000
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawing)  # well-formed


def test_capability_rests_on_first_figures_alone(batch: Batch) -> None:
    rows = re.findall(
        r"<td>crosstalk</td><td>(\w+)</td><td class=\"n\">(\d+)</td>", write_batch_report(batch).read_text()
    )
    assert [int(n) for _channel, n in rows] == [12]


def test_gauge_studies_take_a_channel_of_a_board_as_a_part(batch: Batch) -> None:
    studies = {test: study for test, _unit, study in gauge_studies(batch)}
    study = studies["crosstalk"]
    assert (study.n_parts, study.n_operators, study.n_repeats) == (16, 2, 2)
    assert study.reproducibility is not None
    assert list(dict.fromkeys(test for test, *_ in gauge_studies(batch, "offset"))) == ["offset"]


def test_csv_holds_every_figure_as_it_was_measured(batch: Batch, tmp_path: Path) -> None:
    n = export_csv(batch, tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    values = batch.values()
    assert n == len(rows) == len(values)
    assert [float(row["value"]) for row in rows] == [v.value for v in values]
    assert {row["attempt"] for row in rows} == {"1", "2", "3", "4"}
    assert stat.S_IMODE((tmp_path / "all.csv").stat().st_mode) == 0o600


def test_an_empty_batch_has_a_report(tmp_path: Path) -> None:
    with Batch(tmp_path, create=True) as empty:
        assert "no board was tested whole" in write_batch_report(empty).read_text()


# ---- words and figures ---------------------------------------------------------------------------------------


def test_every_limit_has_a_title_and_no_title_outlived_its_limit() -> None:
    assert {family(test)[0] for test in shipped_limits().limits} == set(TITLES)
    assert figure_title("noise-rms-gain-24") == "noise, rms, gain 24"
    assert figure_title("cmrr-50") != "cmrr-50"


def test_units_that_are_words_are_translated() -> None:
    units = {limit.unit for limit in shipped_limits().limits.values()}
    assert {unit for unit in units if len(unit) > 6 and unit.isascii()} <= set(UNITS)


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (1.23456, 0.012, "1.235"), (-62.8012, 0.017, "−62.801"), (99.96650634, 9e-6, "99.9665"), (0.0, 0.0, "0"),
        (5321.7, 120.0, "5320"), (NAN, 1.0, "–"), (None, 1.0, "–"), (0.14, NAN, "0.14"),
    ],
)  # fmt: skip
def test_figures_have_the_digits_that_their_uncertainty_allows(
    value: float | None, uncertainty: float, text: str
) -> None:
    assert number(value, uncertainty) == text


def test_limits_are_written_as_people_write_them() -> None:
    assert limits_text(-1.0, 1.0) == "−1 … 1"
    assert limits_text(None, -90.0) == "≤ −90"
    assert limits_text(100.0, None) == "≥ 100"


def test_a_row_shows_the_worst_channel_and_a_family_is_one_row() -> None:
    good = [result(channel=f"ch{k}", value=v) for k, v in ((1, 0.1), (2, -1.9), (3, 1.0))]
    (row,) = rows_of(good)
    assert (row.channels, row.worst.value) == ("ch2", -1.9)
    gains = [
        result(f"gain-error-{g}", "ch1", float(g), "fail" if g > 2 else "pass", reason=f"{g} off")
        for g in (1, 4, 24)
    ]
    passed, failed = rows_of(gains)
    assert (passed.of, failed.of, failed.worst.value) == ("1/3", "2/3", 24.0)
    assert reasons_of(gains, "fail") == ["24 off"]


def test_the_guide_page_shows_the_present_instruction_and_its_drawing(tmp_path: Path) -> None:
    guide = begin(plan([m for m in MEASUREMENTS if m.name == "leads"], 8))
    write_guide_page(tmp_path / "guide.html", guide)
    page = (tmp_path / "guide.html").read_text(encoding="utf-8")
    assert "5.1 kΩ" in page
    assert "<svg" in page
    assert 'http-equiv="refresh"' in page
    write_guide_page(tmp_path / "guide.html", step(guide, Go()))
    assert [path.name for path in tmp_path.iterdir()] == ["guide.html"]
    assert "Measuring …" in (tmp_path / "guide.html").read_text(encoding="utf-8")


def test_the_guide_page_says_what_is_wrong_shows_what_belongs_there_and_waits_for_the_next_board(
    tmp_path: Path,
) -> None:
    def page(guide: Guide) -> str:
        write_guide_page(tmp_path / "guide.html", guide)
        text = (tmp_path / "guide.html").read_text(encoding="utf-8")
        assert 'http-equiv="refresh"' in text  # a screen that stands there shows the next board, too
        return text

    judging = begin(plan([m for m in MEASUREMENTS if m.name in ("offset", "leads")], 8))
    assert "leave everything as it is" in page(judging)
    judging = step(step(step(judging, TakeDone()), Judged("pass")), Go())
    while judging.stage == Stage.MEASURE:
        judging = step(judging, TakeDone())
    asking = step(judging, Judged("not measured", "These are 10 kΩ."))
    asked = page(asking)
    assert "These are 10 kΩ." in asked
    assert "Put 5.1 kΩ" in asked
    assert "<svg" in asked
    stopped = page(step(asking, Abort()))
    assert "Stopped." in stopped
    assert "<svg" not in stopped
    assert "The board is done; take it off." in page(step(asking, Skip()))


@pytest.mark.parametrize("font", ["DejaVu Sans", "DejaVu Sans Mono", "STIXGeneral"])
def test_no_letter_of_a_picture_leaves_its_edge(font: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Chinese letter is as wide as its font is high, whatever fonts are here: counted in the SVG itself."""
    monkeypatch.setattr("bci.qualification.pictures.FONTS", [font])
    title = "相对其他通道的增益与信号发生器测得的增益之差及其扩展不确定度"
    figure = panel(lambda axes: axes.plot([0, 1]), x="频率（Hz）", y="输入通道", title=title)
    svg = as_svg(replace(measurement("m"), picture=lambda takens, results: figure), [], [])
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    found = {}
    for size, x, angle, text in re.findall(
        r'font-size: ([\d.]+)px[^>]* x="([\d.]+)"[^>]*rotate\((-\d+)[^>]*>([^<]+)</text>', svg
    ):
        if any(ord(letter) > 0x2E80 for letter in text):
            found[text] = (float(size), float(x), angle)
    assert set(found) == {title, "频率（Hz）", "输入通道"}
    size, x, angle = found["输入通道"]
    assert angle == "-90"
    assert x - 0.9 * size > 0  # ink above the baseline
    size, x, _angle = found[title]
    assert x - size * len(title) / 2 > 0
    assert x + size * len(title) / 2 < width


def test_a_plot_keeps_spikes_gaps_and_foreign_letters() -> None:
    x = np.arange(20_000, dtype=np.float64)
    y = np.zeros(20_000)
    y[777], y[5000:6000] = 1.0, np.nan
    plot = Plot((0, 20_000), (0, 1), title="<噪声>")
    plot.line(x, y)
    text = plot.svg()
    ElementTree.fromstring(text)
    lines = re.findall(r'points="([^"]+)"', text)
    assert len(lines) == 2  # interrupted by the gap
    assert min(float(point.split(",")[1]) for point in lines[0].split()) == 18.0  # the spike reaches the top
    assert len(text) < 20_000
    assert "&lt;噪声&gt;" in text
