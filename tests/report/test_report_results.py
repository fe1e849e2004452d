"""Scored tasks as people see them: every value with its interval, prompts and missing share, ways of asking kept apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evalharness.report import terminal
from evalharness.report.leaderboard import contestants
from evalharness.report.page import write_site
from evalharness.report.results import suite_boards, task_boards

PAYLOAD = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def site(made: Any, folder: Path, **changes: Any) -> Path:
    return write_site(folder / "site", {**made.summary, **changes}, made.manifest, made.samples)


def text(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def section(html: str, anchor: str) -> str:
    return html.partition(f'<section class="judge" id="{anchor}')[2].partition("</section>")[0]


def test_every_value_stands_with_interval_prompts_and_missing_share(measured_run, tmp_path) -> None:
    found = section(site(measured_run, tmp_path).read_text("utf-8"), "t-xcopa")
    for row in measured_run.summary["results"]:
        if row["task"] == "xcopa" and row["by"] in ("all", "language"):
            assert f'<data value="{row["value"]!r}">{100 * row["value"]:.1f}</data>' in found
            assert f"{100 * row['ci_low']:.1f}–{100 * row['ci_high']:.1f}" in found
    assert '<data value="0.025">2.5\u00a0%</data>' in found  # one answer of 40 is missing
    assert "Guessing scores 50.0%" in text(found) and "5 worked examples" in text(found)
    assert "Indo-European" in text(found)


def test_likelihoods_and_written_answers_stand_in_columns_of_their_own(measured_run) -> None:
    models = contestants(measured_run.summary)
    board, bits = task_boards(measured_run.summary, models)
    assert [column.name for column in board.columns] == ["acc", "letter (generated)"]
    for model, lines in board.rows:
        assert sum(line is not None for line in lines) == 1, model.name
    assert bits.columns[0].scale.share(1.25) is None and bits.rows[0][1][0].shown == "1.25"


def test_a_suite_shows_its_categories_side_by_side_and_what_a_model_lacks(measured_run, tmp_path) -> None:
    (suite,) = suite_boards(measured_run.summary, contestants(measured_run.summary))
    assert [category["category"] for category in suite.categories] == ["reasoning", "win-rate"]
    found = text(section(site(measured_run, tmp_path).read_text("utf-8"), "u-to-code"))
    assert "62.0" in found and "57.0–67.0" in found and "without piqa" in found


def test_the_page_says_what_was_not_checked_and_names_no_judge(measured_run, tmp_path) -> None:
    page = site(measured_run, tmp_path).read_text("utf-8")
    html = text(page)
    assert "The files of xcopa say of their data sets what was not checked against the hub" in html
    assert 'href="#j-' not in page


def test_an_answer_page_shows_what_is_right_how_likely_and_how_it_scored(measured_run, tmp_path) -> None:
    page = site(measured_run, tmp_path).parent / "games" / "ar.html"
    html = text(page.read_text("utf-8"))
    assert "log-probabilities (natural)" in html and "-3.50" in html and "right" in html and "acc 1" in html
    assert "No game was played" not in html


def test_hostile_names_of_metrics_and_groups_stay_names(measured_run, tmp_path) -> None:
    rows = [{**row, "metric": PAYLOAD, "group": PAYLOAD} if row["by"] == "family" else row
            for row in measured_run.summary["results"]]  # fmt: skip
    html = site(measured_run, tmp_path, results=rows).read_text("utf-8")
    assert PAYLOAD not in html and "<script>alert" not in html


def test_the_terminal_fits_and_says_the_same(measured_run) -> None:
    for width in (60, 100, 160):
        said = terminal.render(measured_run.summary, width=width, color=False)
        assert max(map(len, said.splitlines())) <= width
        assert "xcopa" in said and "bits_per_byte" in said and "suite to-code" in said
    assert "without piqa" in terminal.render(measured_run.summary, width=160, color=False)
