"""The files of a run: numbers in full, safe to open, equal bytes for equal input, and equal to the page."""

from __future__ import annotations

import csv
import gzip
import json
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from evalharness import report
from evalharness.report import artefacts

FORMULAS = ("=cmd|'/C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rating_rows(run) -> list[dict[str, Any]]:
    axes = run.summary["ratings"]["pairwise-logprob/gemma-3-270m"]
    return [row for by in sorted(axes) for row in axes[by]]


def test_ratings_are_the_numbers_of_the_summary(run, tmp_path) -> None:
    artefacts.write_ratings(tmp_path / "ratings.csv", run.summary)
    rows = read_csv(tmp_path / "ratings.csv")
    assert tuple(rows[0]) == artefacts.RATING_COLUMNS
    counted = [row for row in rows if row["candidate_failure"] == "loss"]
    for row, rating in zip(counted, rating_rows(run), strict=True):
        assert float(row["win_rate"]) == rating["win_rate"]
        assert (row["model"], row["group"], int(row["n_games"])) == (
            rating["model"],
            rating["group"],
            rating["n_games"],
        )
        assert row["rank_low"] == ""
    dropped = [row for row in rows if row["candidate_failure"] == "drop"]
    assert [row["model"] for row in dropped] == [model["name"] for model in run.summary["models"]]
    assert {row["by"] for row in rows} == {"all", "language", "category", "size"}


def test_ratings_name_the_rule_of_the_tables(run, tmp_path) -> None:
    summary = {**run.summary, "statistics": {**run.summary["statistics"], "candidate_failure": "drop"}}
    artefacts.write_ratings(tmp_path / "ratings.csv", summary)
    rows = read_csv(tmp_path / "ratings.csv")
    assert sum(row["candidate_failure"] == "drop" for row in rows) == len(rating_rows(run))


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_is_a_formula(run, tmp_path, name) -> None:
    summary = deepcopy(run.summary)
    for row in summary["ratings"]["pairwise-logprob/gemma-3-270m"]["all"]:
        row["model"] = name
    artefacts.write_ratings(tmp_path / "ratings.csv", summary)
    assert "'" + name in {row["model"] for row in read_csv(tmp_path / "ratings.csv")}
    negative = [row["rating"] for row in read_csv(tmp_path / "ratings.csv") if row["rating"].startswith("-")]
    assert negative
    assert all(math.isfinite(float(number)) for number in negative)


def test_text_that_looks_like_a_missing_value_stays_text(run, tmp_path) -> None:
    summary = deepcopy(run.summary)
    summary["ratings"]["pairwise-logprob/gemma-3-270m"]["all"][0]["model"] = "NA"
    summary["ratings"]["pairwise-logprob/gemma-3-270m"]["all"][0]["missing_languages"] = ["he", "fa"]
    artefacts.write_ratings(tmp_path / "ratings.csv", summary)
    row = next(row for row in read_csv(tmp_path / "ratings.csv") if row["model"] == "NA")
    assert row["missing_languages"] == "he fa"


def test_json_is_readable_sorted_and_without_nan(tmp_path) -> None:
    path = tmp_path / "summary.json"
    artefacts.write_json(path, {"b": "सिंह \ud800", "a": [1, 2.5, None]})
    assert path.read_text("utf-8") == '{\n "a": [\n  1,\n  2.5,\n  null\n ],\n "b": "सिंह \ufffd"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        artefacts.write_json(path, {"a": math.nan})
    assert json.loads(path.read_text("utf-8"))["a"] == [1, 2.5, None]
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_samples_come_back_as_they_were(run, tmp_path) -> None:
    path = tmp_path / "samples.jsonl.gz"
    sample = deepcopy(run.samples[0])
    sample["prompt"] = "one\u2028two\u2029three\x85four\r\nfive\x0bsix \U0001f469\u200d\U0001f52c"
    assert artefacts.write_samples(path, iter([sample, *run.samples])) == len(run.samples) + 1
    assert list(artefacts.read_samples(path)) == [sample, *run.samples]
    assert len(gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()) == len(run.samples) + 1


def test_equal_input_gives_equal_bytes(run, tmp_path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        report.write(folder, run.summary, run.manifest, lambda: run.samples[:4])
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in folders
    )
    assert one == two
    assert {"ratings.csv", "results.csv", "scores.parquet", "samples.jsonl.gz", "summary.json", "manifest.json"} <= {
        str(p) for p in one
    }


def test_the_page_shows_the_numbers_of_the_files(run, tmp_path) -> None:
    index = report.write(tmp_path, run.summary, run.manifest, lambda: iter(run.samples[:4]))
    assert index == tmp_path / "site" / "index.html"
    html = index.read_text("utf-8")
    for row in read_csv(tmp_path / "ratings.csv"):
        assert f'<data value="{row["win_rate"]}">{100 * float(row["win_rate"]):.1f}\u00a0%</data>' in html
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == run.summary


def test_empty_results_and_scores_have_their_columns(tmp_path) -> None:
    artefacts.write_results(tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_text("utf-8").strip().split(",") == list(artefacts.RESULT_COLUMNS)
    artefacts.write_scores(tmp_path / "scores.parquet")
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.num_rows == 0
    assert table.schema.names == [
        "task", "task_version", "prompt_id", "language", "target_language", "category", "model", "repeat", "metric", "filter",
        "value", "chance", "status", "parts", "answer",
    ]  # fmt: skip


def test_scores_keep_what_is_unknown(tmp_path) -> None:
    artefacts.write_scores(
        tmp_path / "scores.parquet", [{"task": "t", "model": "NA", "repeat": 0, "value": None}, {"value": 0.5}]
    )
    assert pq.read_table(tmp_path / "scores.parquet").select(["model", "value"]).to_pylist() == [
        {"model": "NA", "value": None},
        {"model": None, "value": 0.5},
    ]
