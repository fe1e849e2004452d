"""Shards: the parts of a run, answered apart and merged, are the run that was answered whole."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

TASK = ["--task", "m-arenahard-mini[de,ar]", "--judge", "arena-hard", "--judge-model", "judge"]
RUN = ["run", "--models", "api,second", "--limit", "2", *TASK]  # four samples


def bodies(server: Any) -> list[str]:
    return sorted(json.dumps([entry["path"], entry["body"]], sort_keys=True) for entry in server.log())


def shards(called: Any, *numbers: int, of: int = 3) -> list[str]:
    for number in numbers:
        code, told, said = called(*RUN, "--shard", f"{number}/{of}")
        assert code == 0 and told["summary"] is None and told["page"] is None and f"shard {number}/{of}" in said
    return [f"results/shard-{number}-of-{of}" for number in numbers]


def answers(folder: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(Path(folder) / "evalharness.db") as database:
        return sorted(database.execute("SELECT * FROM results").fetchall())


def test_merged_shards_are_the_run_that_was_asked_whole(served_home: Path, api_server: Any, called: Any) -> None:
    assert called(*RUN, "--results", "whole")[0] == 0
    whole = bodies(api_server)
    api_server.tell("reset")
    folders = shards(called, 1, 2, 3)
    assert bodies(api_server) == whole  # every request once, in one shard
    assert [len(answers(folder)) for folder in folders] == [8, 4, 4]  # of a sample: two answers, two games
    assert not list(Path("results").rglob("index.html"))

    code, told, _ = called("merge", *folders, "--out", "merged")
    assert code == 0 and told["merged"] == {"answers": 16, "new": 16, "conflicts": 0}
    assert told["runs"][0]["missing"] == told["runs"][0]["unfinished"] == []
    assert called("merge", *folders, "--out", "merged")[1]["merged"] == {"answers": 16, "new": 0, "conflicts": 0}

    api_server.tell("reset")
    code, run, _ = called(*RUN, "--results", "merged")
    assert code == 0 and api_server.log() == []
    assert " ".join(RUN[1:3]) in told["runs"][0]["command"] and "--results merged" in told["runs"][0]["command"]
    own, other = (pd.read_parquet(Path(root) / run["run"] / "battles.parquet") for root in ("merged", "whole"))
    pd.testing.assert_frame_equal(own, other)


def test_missing_and_unfinished_shards_are_named_and_come_later(served_home: Path, called: Any) -> None:
    folders = shards(called, 1, 3)
    with sqlite3.connect(f"{folders[1]}/evalharness.db") as database:
        database.execute("UPDATE runs SET finished = NULL")
    code, told, _ = called("merge", *folders, "--out", "merged")
    assert code == 3 and told["runs"][0]["missing"] == [2] and told["runs"][0]["unfinished"] == [3]
    folders = shards(called, 1, 2, 3)
    code, told, _ = called("merge", *folders, "--out", "merged")
    assert code == 0 and told["merged"] == {"answers": 16, "new": 4, "conflicts": 0}


def test_of_two_answers_to_one_request_the_first_stays(served_home: Path, called: Any) -> None:
    (folder,) = shards(called, 1)
    called("merge", folder, "--out", "merged")
    kept = answers("merged")
    with sqlite3.connect(f"{folder}/evalharness.db") as database:
        database.execute("UPDATE results SET text = 'another' WHERE rowid = 1")
        database.execute("UPDATE results SET tokens_out = 99 WHERE rowid = 2")  # the same answer
    code, told, _ = called("merge", folder, "--out", "merged")
    assert code == 3 and told["merged"] == {"answers": 8, "new": 0, "conflicts": 1}
    assert answers("merged") == kept


def test_an_answer_wins_over_a_failure_of_another_folder(served_home: Path, called: Any) -> None:
    first, second = shards(called, 1, 2)
    (identity, *_), *_ = answers(second)
    for folder, key in ((first, identity), (first, b"\1" * 16)):
        with sqlite3.connect(f"{folder}/evalharness.db") as database:
            database.execute("INSERT INTO failures VALUES (?, 'HTTP 500')", (key,))
    called("merge", first, second, "--out", "merged")
    with sqlite3.connect("merged/evalharness.db") as database:
        assert database.execute("SELECT * FROM failures").fetchall() == [(b"\1" * 16, "HTTP 500")]


KILLED = """
import os, signal, sys
from evalharness.store import merge as _, journal
import evalharness.store.merge
from evalharness.cli.main import main
sys.modules["evalharness.store.merge"].SELECTED = 1
read, calls = journal.Journal.results, []
def results(self, identities):
    calls.append(1)
    if len(calls) == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, identities)
journal.Journal.results = results
main(sys.argv[1:])
"""


def test_a_merge_that_is_killed_midway_has_done_nothing_and_can_be_done_again(served_home: Path, called: Any) -> None:
    folders = shards(called, 1, 2, 3)
    called("merge", folders[2], "--out", "merged")
    before = answers("merged")
    words = [sys.executable, "-c", KILLED, "merge", *folders, "--out", "merged"]
    assert subprocess.run(words, env=dict(os.environ), check=False).returncode == -9
    assert answers("merged") == before
    assert called("merge", *folders, "--out", "merged")[1]["merged"] == {"answers": 16, "new": 12, "conflicts": 0}


def test_a_damaged_shard_is_named_and_nothing_is_merged(served_home: Path, called: Any) -> None:
    folders = shards(called, 1, 2)
    journal = Path(folders[1], "evalharness.db")
    with sqlite3.connect(journal) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'results'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = bytearray(journal.read_bytes())
    data[(page - 1) * size : page * size] = b"\xff" * size
    journal.write_bytes(data)
    code, _, said = called("merge", *folders, "--out", "merged")
    assert code == 1 and "evalharness.db: is damaged (" in said and "nothing was merged" in said
    with sqlite3.connect("merged/evalharness.db") as database:
        assert database.execute("SELECT count(*) FROM results").fetchone() == (0,)


def test_a_part_has_no_page_of_its_own_and_goes_on_by_itself(served_home: Path, api_server: Any, called: Any) -> None:
    (folder,) = shards(called, 2)
    run = called(*RUN, "--shard", "2/3")[1]["run"]
    code, _, said = called("report", run, "--results", folder)
    assert code == 2 and "is a part" in said and "evalharness merge" in said
    asked = len(api_server.log())
    assert called("resume", run, "--results", folder)[0] == 0 and len(api_server.log()) == asked


@pytest.mark.parametrize("shard", ["4/3", "0/3", "3", "a/b", "1/0", "-1/3", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(served_home: Path, called: Any, shard: str) -> None:
    code, _, said = called(*RUN, "--shard", shard)
    assert code == 2 and "write i/n" in said and said.count("\n") == 1 and not Path("results").exists()


def test_more_shards_than_samples_are_refused(served_home: Path, called: Any) -> None:
    code, _, said = called(*RUN, "--shard", "5/5")
    assert code == 2 and "there are 4 samples" in said


def test_what_does_not_belong_together_is_not_merged(served_home: Path, called: Any) -> None:
    (folder,) = shards(called, 1)
    called(*RUN, "--results", "whole")
    called(*RUN, "--name", "mine", "--results", "x", "--shard", "1/3")
    called(*[word if word != "2" else "3" for word in RUN], "--name", "mine", "--results", "y", "--shard", "2/3")
    called(*RUN, "--name", "mine", "--results", "z", "--shard", "2/4")
    for words, mend in (
        ([folder, "whole"], "whole: holds no shard of a run"),
        (["x/shard-1-of-3", "y/shard-2-of-3"], "another plan"),
        (["x/shard-1-of-3", "z/shard-2-of-4"], "another number of shards"),
        ([folder, "none"], "no runs in none"),
    ):
        code, _, said = called("merge", *words, "--out", "merged")
        assert code == 2 and mend in said, said
    assert called("merge", folder, "--out", folder)[0] == 2 and not Path("merged").exists()
