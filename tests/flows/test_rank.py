"""From a file to the document that ``evalharness rank --json`` prints."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalharness import battlefile, battles
from evalharness.cli.main import main
from evalharness.errors import DataError, NotInCatalog, UsageError
from evalharness.flows.rank import document, rank, read_and_rank
from evalharness.stats.rank import Ranking

# The keys that other programs rely on.
DOCUMENT = ("method", "baseline", "level", "rounds", "seed", "cluster", "by", "average", "ratings")
RATING = (
    "model", "group", "win_rate", "ci_low", "ci_high", "interval", "reason", "wins", "losses", "ties", "prompt_wins",
    "prompt_losses", "prompt_ties", "inconsistent", "n_prompts", "n_games", "n_unparsed", "n_unpaired",
    "missing_languages", "size_b", "size_class", "rating", "rating_low", "rating_high", "rank_low", "rank_high",
)  # fmt: skip


PAIR = ("model_a", "model_b", "group", "difference", "ci_low", "ci_high", "p", "p_adjusted", "n_prompts")


def games(judge: str = "j", task: str = "t", prompts: int = 6) -> list[dict[str, Any]]:
    return [
        {"prompt_id": str(at), "language": language, "model_a": "a", "model_b": "b", "order": order, "judge": judge,
         "task": task, "score": score}
        for at in range(prompts)
        for language in ("de", "fr")
        for order, score in (("ab", 1.0 if at % 3 else 0.0), ("ba", 0.5 if at else None))
    ]  # fmt: skip


def ranked_file(path: Path, **options: Any) -> Ranking:
    return read_and_rank(path, **options)[1]


def stored(path: Path, rows: list[dict[str, Any]]) -> Path:
    battlefile.write(battles.frame(rows), path)
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_the_document_has_the_promised_shape_in_every_format(tmp_path: Path, suffix: str) -> None:
    path = stored(tmp_path / f"battles.{suffix}", games())
    found = document(ranked_file(path, by=("language", "size"), rounds=50, seed=3, baseline="b"))
    assert tuple(found)[: len(DOCUMENT)] == DOCUMENT
    assert all(tuple(row)[: len(RATING)] == RATING for row in found["ratings"])
    assert all(tuple(pair)[: len(PAIR)] == PAIR for pair in found["pairs"])
    assert {(pair["by"], pair["group"]) for pair in found["pairs"]} == {
        ("all", "all"), ("language", "de"), ("language", "fr"), ("size", "unknown"),
    }  # fmt: skip
    assert found["pairs_rule"] == "complete"
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    top = found["ratings"][0]
    assert (top["model"], top["group"], top["win_rate"]) == (
        "a",
        "all",
        (4 * 1 + 1 * 0 + 5 * 0.5) / 10,
    )
    assert (top["n_games"], top["n_unparsed"], top["n_unpaired"], top["n_prompts"]) == (24, 2, 2, 5)
    assert top["missing_languages"] == []
    assert {row["group"] for row in found["ratings"]} == {"all", "de", "fr", "unknown"}
    assert (found["by"], found["seed"], found["cluster"]) == (["language", "size"], 3, "task, task_version, prompt_id")


def test_numbers_are_not_rounded_and_unknown_ones_are_null(tmp_path: Path) -> None:
    found = document(ranked_file(stored(tmp_path / "x.jsonl", games(prompts=3)), rounds=10))
    row = found["ratings"][0]
    assert row["win_rate"] == pytest.approx((1 + 0.5 + 1 + 0.5) / 4)
    assert (row["ci_low"], row["reason"], row["rank_low"]) == (None, "too_few_prompts", None)


def test_mixed_judges_and_tasks_are_refused_unless_asked_for(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.csv", games("j") + games("k"))
    with pytest.raises(DataError, match=r"x\.csv: 2 judges in one table \(j, k\)"):
        ranked_file(path)
    pooled = ranked_file(path, pool=["judge"], rounds=10)
    assert pooled.pooled == ("judge",)
    apart = ranked_file(path, by=["judge"], rounds=10)
    assert {row.group for row in apart.ratings} == {"all", "j", "k"}
    by_itself = ranked_file(stored(tmp_path / "y.csv", games("j")), rounds=10)
    own = next(row for row in apart.ratings if (row.model, row.group) == ("a", "j"))
    assert own.win_rate == by_itself.ratings[0].win_rate
    with pytest.raises(DataError, match="--pool task"):
        ranked_file(stored(tmp_path / "z.csv", games(task="t") + games(task="u")))
    with pytest.raises(UsageError, match=r"--pool jugde: .* 'judge'"):
        ranked_file(path, pool=["jugde"])


def test_a_prompt_id_of_two_tasks_is_two_clusters(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.csv", games(task="t") + games(task="u"))
    assert ranked_file(path, pool=["task"], rounds=10).ratings[0].n_prompts == 10


def test_what_the_file_was_relieved_of_is_noted(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("prompt_id,model_a,model_b,score,winner\n1,a,b,1,a\n", encoding="utf-8")
    assert document(ranked_file(tmp_path / "x.csv"))["notes"] == [
        f"{tmp_path / 'x.csv'}: columns left out, as battles have none of that name: winner"
    ]


def test_unknown_baselines_empty_files_and_cascades_are_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.jsonl", games())
    with pytest.raises(NotInCatalog, match="no model named 'c'"):
        ranked_file(path, baseline="c")
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"empty\.jsonl: no battles"):
        ranked_file(tmp_path / "empty.jsonl")
    cascade = stored(tmp_path / "c.jsonl", [{**row, "audit_p": 0.1} for row in games()])
    with pytest.raises(DataError, match=r"c\.jsonl: games of a judge cascade"):
        ranked_file(cascade)


def test_a_frame_is_ranked_as_its_file_is(tmp_path: Path) -> None:
    rows = games()
    path = stored(tmp_path / "x.parquet", rows)
    assert rank(pd.DataFrame(rows), rounds=20) == ranked_file(path, rounds=20)
    with pytest.raises(DataError, match="battles: row 1: score"):
        rank(pd.DataFrame(rows).assign(score=2.0))


def test_duplicated_games_of_merged_files_count_once(tmp_path: Path) -> None:
    rows = [{**row, "game_id": f"g{at}"} for at, row in enumerate(games())]
    once = ranked_file(stored(tmp_path / "x.jsonl", rows), rounds=20)
    (tmp_path / "y.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 2), encoding="utf-8")
    assert ranked_file(tmp_path / "y.jsonl", rounds=20) == once


def test_a_thousand_rounds_over_twenty_models_take_no_time() -> None:
    rng = np.random.default_rng(0)
    models, prompts = 20, 500
    count = models * prompts * 2
    frame = pd.DataFrame(
        {
            "prompt_id": np.tile(np.repeat(np.arange(prompts), 2), models).astype(str),
            "model_a": np.repeat([f"m{at}" for at in range(models)], prompts * 2),
            "model_b": "base",
            "score": rng.choice([0.0, 0.5, 1.0], count),
            "order": np.tile(["ab", "ba"], models * prompts),
            "judge": "j",
        }
    )
    begun = time.process_time()  # of this process: other work on the machine does not count
    ranking = rank(frame, baseline="base")
    assert time.process_time() - begun < 1.5
    assert len(ranking.ratings) == models + 1


def test_families_are_ranked_and_their_languages_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"prompt_id": str(p), "language": code, "model_a": "a", "model_b": "b", "order": "ab", "judge": "j",
         "score": float(p % 2)}
        for p in range(6) for code in ("de", "fr", "ar")
    ]  # fmt: skip
    path = tmp_path / "games.parquet"
    battlefile.write(battles.frame(rows), path)
    for words, shown in (((), "Indo-European: German, French"), (("--json",), '"Indo-European": ["de", "fr"]')):
        with pytest.raises(SystemExit) as ended:
            main(["rank", str(path), "--by", "family,resource", "--rounds", "100", *words])
        assert ended.value.code == 0 and shown in capsys.readouterr().out
