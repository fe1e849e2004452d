"""Data sets give clean rows or a message that names the file, the line and the mend; what was read once is held to."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalharness.data import Beside, Source, content_hash, load, local_rows, read_rows
from evalharness.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"id": "1", "text": "Größe\nzwei \u2028 \u202eabc"},
    {"id": "2", "text": "NA"},
    {"id": "3", "text": "=cmd() \"quoted\", 'and' , comma"},
    {"id": "4", "text": "Vie\u0323\u0302t \U0001f469\u200d\U0001f467 " + "x" * 5000},
]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write ``rows`` in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    text = io.StringIO(newline="")
    if name.endswith(".csv"):
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    elif name.endswith(".json"):
        json.dump(rows, text, ensure_ascii=False)
    else:
        text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data = text.getvalue().encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def local(folder: Path, file: str) -> Source:
    return Source("json", None, "train", data_files=file, folder=folder)


HUB = Source("org/set", "de", "test")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror that holds the data set ``HUB``."""
    root = tmp_path / "mirror"
    write_rows(root / "org" / "set" / "de" / "test.jsonl", ROWS)
    monkeypatch.setenv("EVALHARNESS_DATA", str(root))
    return root


# --- files ---

FORMATS = ["rows.jsonl", "rows.jsonl.gz", "rows.json", "rows.json.gz", "rows.csv", "rows.csv.gz", "rows.parquet"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / name, ROWS)
    rows, use = load(local(tmp_path, name), tmp_path / "lock.json")
    assert rows == ROWS
    assert (use.rows, use.sha256, use.origin, use.pinned, use.revision) == (4, content_hash(ROWS), "file", True, None)
    assert not (tmp_path / "lock.json").exists(), "the file beside the YAML is its own pin"


def test_a_file_of_another_tool_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n\r\n  {"id": 2}  \r\n{"id": 3}')
    assert [row["id"] for row in read_rows(path)] == [1, 2, 3]
    table = tmp_path / "r.csv"
    table.write_bytes(b'\xef\xbb\xbfid,text\r\n1,"a\r\nb"\r\n')
    assert list(read_rows(table)) == [{"id": "1", "text": "a\r\nb"}]


def test_rows_are_clean_plain_data(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(
        '{"a": "x\\u0000y\\ud800", "b": NaN, "c": 1e999, "d": [Infinity, null, true], "e": {"f": 1}}\n',
        encoding="utf-8",
    )
    assert list(read_rows(path)) == [{"a": "xy\ufffd", "b": None, "c": None, "d": [None, None, True], "e": {"f": 1}}]


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    for name in ("r.jsonl", "r.csv"):
        (tmp_path / name).write_bytes(b"")
        assert list(read_rows(tmp_path / name)) == []


GOOD = b'{"id": 1}\n'
# file name, bytes, what the message says after the path
BROKEN: list[tuple[str, bytes, str]] = [
    ("r.jsonl", GOOD * 2 + b"{oops}\n" + GOOD, ":3: is not JSON: "),
    (
        "r.jsonl",
        GOOD * 3 + b'{"id": "cut of',
        ":4: is not JSON: Unterminated string starting at at column 8 (the file's last line: it may be cut off)",
    ),
    ("r.jsonl", GOOD + b"\n" + b"[1]\n", ":3: must be an object with the columns as keys"),
    ("r.jsonl", GOOD + b"\xff\xfe\n", ":2: is not UTF-8; save the file as UTF-8"),
    ("r.jsonl", GOOD + b'{"id": ' + b"9" * 5000 + b"}\n", ":2: is not JSON: "),
    ("r.jsonl", GOOD + b'{"id": ' + b"[" * 100_000 + b"\n", ":2: is nested too deeply"),
    ("r.jsonl", b'{"id": ' + b"[" * 600 + b"]" * 600 + b"}\n", ": a row is nested too deeply"),
    ("r.jsonl.gz", GOOD, ": is not gzip, or cut off: "),
    ("r.jsonl.gz", gzip.compress(GOOD * 1000)[:-20], ": is not gzip, or cut off: "),
    ("r.jsonl.gz", gzip.compress(GOOD + b"oops\n"), ":2: is not JSON: "),
    ("r.json", b'[{"id": 1},\n {"id": }]', ":2: is not JSON: Expecting value at column 9"),
    ("r.json", b"", ":1: is not JSON: Expecting value"),
    ("r.json", b'{"id": 1}', ": must be a list of objects; one object a line is .jsonl"),
    ("r.json", b"[1]", ": must be a list of objects"),
    ("r.json", b'[\n{"a": "\xff"}]', ":2: is not UTF-8"),
    ("r.json", b"[" * 100_000, ": a row is nested too deeply"),
    ("r.csv", b"id,text\n1,a\n2\n", ":3: has another number of cells than the header"),
    ("r.csv", b"id,text\n1,a\n2,b,c\n", ":3: has another number of cells than the header"),
    ("r.csv", b'id,text\n1,a\n2,"never closed\n3,c\n', ":3: is not CSV: unexpected end of data"),
    ("r.csv", b"id,text\n" + b"1,a\n" * 2000 + b"2,\xff\n", ":2002: is not UTF-8"),
    ("r.csv", b"id,text,id\n1,a,2\n", ":1: has two columns named 'id'; rename one"),
    ("r.parquet", b"", ": is not Parquet: "),
    ("r.parquet", b"PAR1" + b"x" * 100 + b"PAR1", ": is not Parquet: "),
]


@pytest.mark.parametrize(
    ("name", "data", "message"), BROKEN, ids=[f"{name}{message[:40]}" for name, _, message in BROKEN]
)
def test_a_broken_file_names_its_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as refused:
        list(read_rows(path))
    assert str(refused.value).startswith(f"{path}{message}")


def test_a_parquet_file_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "r.parquet", ROWS * 200)
    data = bytearray(path.read_bytes())
    data[20:400] = b"\xff" * 380
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"r.parquet: (is not Parquet|cannot be read)"):
        list(read_rows(path))


def test_data_files_stay_inside_the_folder_of_their_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    outside = write_rows(tmp_path / "secret.jsonl", ROWS)
    (folder / "link.jsonl").symlink_to(outside)
    for file in ("../secret.jsonl", str(outside), "link.jsonl", "x/../../secret.jsonl"):
        with pytest.raises(
            DataError, match=r"dataset.data_files: '.*' lies outside the task's folder .*; put the file inside it"
        ):
            load(local(folder, file), tmp_path / "lock.json")


def test_a_data_file_that_is_missing_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data file 'x.jsonl' in .*; data_files is relative to the task's YAML"):
        load(local(tmp_path, "x.jsonl"), tmp_path / "lock.json")
    with pytest.raises(DataError, match=r"dataset.path: json needs data_files, the file beside the YAML"):
        load(Source("json", None, "train"), tmp_path / "lock.json")


# --- the mirror and the lock file ---


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv"])
def test_a_mirror_stands_in_for_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setenv("EVALHARNESS_DATA", str(tmp_path / "m"))
    write_rows(tmp_path / "m" / "org" / "set" / "de" / f"test{ending}", ROWS)
    rows, use = load(HUB, tmp_path / "lock.json")
    assert rows == ROWS
    assert (use.origin, use.pinned, use.path, use.name, use.split) == ("mirror", False, "org/set", "de", "test")


def test_a_set_without_configurations_lies_in_its_own_folder(tmp_path: Path, mirror: Path) -> None:
    write_rows(mirror / "org" / "plain" / "test.jsonl", ROWS[:1])
    assert load(Source("org/plain", None, "test"), tmp_path / "lock.json")[0] == ROWS[:1]


def test_what_was_read_first_is_locked_and_checked_ever_after(tmp_path: Path, mirror: Path) -> None:
    lock = tmp_path / "results" / "lock.json"
    _, first = load(HUB, lock)
    written = json.loads(lock.read_text(encoding="utf-8"))
    assert written == {"datasets": {"org/set de test -": {"sha256": first.sha256, "revision": None, "rows": 4}}}
    assert load(HUB, lock) == (ROWS, first)
    before = lock.read_bytes()
    write_rows(mirror / "org" / "set" / "de" / "test.jsonl", [*ROWS[:3], {"id": "4", "text": "changed"}])
    with pytest.raises(
        DataError,
        match=r"data set org/set/de/test is not the one locked in .*lock.json: 4 rows with hash .*, locked were 4",
    ):
        load(HUB, lock)
    assert lock.read_bytes() == before


@pytest.mark.parametrize(
    "changed", [ROWS[:3], ROWS[::-1], [*ROWS, {"id": "5", "text": "new"}], [{**row, "more": 1} for row in ROWS]]
)
def test_rows_that_went_moved_or_grew_are_another_data_set(
    tmp_path: Path, mirror: Path, changed: list[dict[str, Any]]
) -> None:
    load(HUB, tmp_path / "lock.json")
    write_rows(mirror / "org" / "set" / "de" / "test.jsonl", changed)
    with pytest.raises(DataError, match="is not the one locked"):
        load(HUB, tmp_path / "lock.json")


def test_the_same_rows_in_another_format_are_the_same_data_set(tmp_path: Path, mirror: Path) -> None:
    load(HUB, tmp_path / "lock.json")
    (mirror / "org" / "set" / "de" / "test.jsonl").unlink()
    write_rows(mirror / "org" / "set" / "de" / "test.parquet", ROWS)
    assert load(HUB, tmp_path / "lock.json")[0] == ROWS


def test_each_language_and_revision_has_its_own_entry(tmp_path: Path, mirror: Path) -> None:
    write_rows(mirror / "org" / "set" / "fr" / "test.jsonl", ROWS[:2])
    for source in (HUB, Source("org/set", "fr", "test"), Source("org/set", "de", "test", "abc123")):
        load(source, tmp_path / "lock.json")
    locked = json.loads((tmp_path / "lock.json").read_text(encoding="utf-8"))["datasets"]
    assert {key: entry["rows"] for key, entry in locked.items()} == {
        "org/set de test -": 4,
        "org/set de test abc123": 4,
        "org/set fr test -": 2,
    }
    assert load(Source("org/set", "de", "test", "abc123"), tmp_path / "lock.json")[1].pinned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"datasets": 1}',
        '{"datasets": {"org/set de test -": {}}}',
        '{"datasets": {"org/set de test -": 1}}',
        "\xff",
    ],
)
def test_a_broken_lock_file_is_no_licence_to_read_anything(tmp_path: Path, mirror: Path, text: str) -> None:
    lock = tmp_path / "lock.json"
    lock.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        DataError, match=r"lock.json: is not a lock file of data sets; move it away and a new one is written"
    ):
        load(HUB, lock)


ESCAPES = [
    Source("../secret", None, "test"), Source("/etc", None, "test"), Source("org/..", None, "test"),
    Source(".hidden/x", None, "test"),
    Source("org/set", "../../..", "test"), Source("org/set", "de", "../../../../secret"), Source("a/b/c", None, "x"),
]  # fmt: skip


@pytest.mark.parametrize("source", ESCAPES, ids=lambda source: source.shown)
def test_no_yaml_reads_outside_the_mirror_or_the_hub(tmp_path: Path, mirror: Path, source: Source) -> None:
    write_rows(tmp_path / "secret.jsonl", ROWS)
    write_rows(tmp_path / "secret" / "test.jsonl", ROWS)
    with pytest.raises(DataError, match=r"nor a hub id such as org/name|would lie outside EVALHARNESS_DATA"):
        load(source, tmp_path / "lock.json")


def test_a_data_set_that_is_nowhere_says_where_it_looked_and_how_to_bring_it(tmp_path: Path, mirror: Path) -> None:
    """In a process of its own: the hub's library reads its environment when it is imported."""
    program = """
import sys, pathlib
from evalharness.data import Source, load
from evalharness.errors import DataError
try:
    load(Source("org/missing", "de", "test"), pathlib.Path(sys.argv[1]))
except DataError as error:
    print(error)
"""
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "hub"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "lock.json")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout.strip()
    assert done.returncode == 0, done.stderr
    assert said.startswith("no data set org/missing/de/test (configuration de, split test, revision newest)")
    assert f"looked in EVALHARNESS_DATA={mirror} and the local cache of the HF hub (HF_HUB_OFFLINE is set)" in said
    assert "put it at DIR/org/missing/de/test.jsonl and set EVALHARNESS_DATA=DIR" in said
    assert "\n" not in said
    assert not (tmp_path / "lock.json").exists()


ONE_FILE = Source("org/set", None, "test", data_files="data/v1/q.jsonl")


def test_one_file_of_a_data_set_is_read_by_itself(tmp_path: Path, mirror: Path) -> None:
    write_rows(mirror / "org" / "set" / "data" / "v1" / "q.jsonl", ROWS[:2])
    rows, use = load(ONE_FILE, tmp_path / "lock.json")
    assert rows == ROWS[:2] == list(local_rows(ONE_FILE) or ())
    assert (use.origin, use.name) == ("mirror", "data/v1/q.jsonl") and ONE_FILE.shown == "org/set/data/v1/q.jsonl"
    write_rows(mirror / "org" / "set" / "other.jsonl", ROWS[2:])
    other = replace(ONE_FILE, data_files="other.jsonl")
    assert load(other, tmp_path / "lock.json")[0] == ROWS[2:], "each file has a lock of its own"
    with pytest.raises(DataError, match="would lie outside"):
        load(replace(ONE_FILE, data_files="../../../x.jsonl"), tmp_path / "lock.json")


def test_one_file_of_a_data_set_is_found_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    """In a process of its own: the hub's library reads its environment when it is imported."""
    cached = tmp_path / "hub" / "hub" / "datasets--org--set"
    write_rows(cached / "snapshots" / ("a" * 40) / "data" / "v1" / "q.jsonl", ROWS[:2])
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    program = """
import sys, pathlib
from evalharness.data import Source, load, local_rows
from evalharness.errors import DataError
asked = Source("org/set", None, "test", data_files="data/v1/q.jsonl")
rows, use = load(asked, pathlib.Path(sys.argv[1]))
print(len(rows), use.origin, len(list(local_rows(asked))))
missing = Source("org/set", None, "test", data_files="gone.jsonl")
print(local_rows(missing))
try:
    load(missing, pathlib.Path(sys.argv[1]))
except DataError as error:
    print(error)
"""
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    command = [sys.executable, "-c", program, str(tmp_path / "lock.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    first, second, third = done.stdout.strip().splitlines()
    assert (first, second) == ("2 hub 2", "None"), done.stderr
    assert third.startswith("no data set org/set/gone.jsonl") and "put it at DIR/org/set/gone.jsonl and" in third


PAIR = Source("org/pair", "en", "test", beside=Beside("de", "id"))
ENGLISH = [{"id": 1, "text": "one"}, {"id": 2, "text": "two"}]


def test_rows_of_two_configurations_go_together_by_a_column(tmp_path: Path, mirror: Path) -> None:
    german = [{"id": 2, "text": "zwei"}, {"id": 1, "text": "eins"}, {"id": 3, "text": "drei"}]
    write_rows(mirror / "org" / "pair" / "en" / "test.jsonl", ENGLISH)
    assert local_rows(PAIR) is None, "one of both is missing"
    write_rows(mirror / "org" / "pair" / "de" / "test.jsonl", german)
    rows, use = load(PAIR, tmp_path / "lock.json")
    assert [(row["text"], row["beside"]["text"]) for row in rows] == [("one", "eins"), ("two", "zwei")]
    assert rows == list(local_rows(PAIR) or ()) and PAIR.shown == "org/pair/en+de/test"
    assert (use.name, use.rows, use.sha256) == ("en+de", 2, content_hash(rows))
    write_rows(mirror / "org" / "pair" / "de" / "test.jsonl", [*german[1:], {"id": 2, "text": "zwo"}])
    with pytest.raises(DataError, match="is not the one locked"):
        load(PAIR, tmp_path / "lock.json")


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([{"id": 1, "text": "eins"}], r"de has no row with id 2; rows must go together one to one"),
        ([{"id": 1}, {"id": 2}, {"id": 2}], r"de has rows with the same id"),
        ([{"text": "eins"}], r"has rows without a column 'id'"),
    ],
)
def test_rows_that_do_not_go_together_are_an_error(
    tmp_path: Path, mirror: Path, others: list[dict[str, Any]], message: str
) -> None:
    write_rows(mirror / "org" / "pair" / "en" / "test.jsonl", ENGLISH)
    write_rows(mirror / "org" / "pair" / "de" / "test.jsonl", others)
    with pytest.raises(DataError, match=rf"dataset\.beside: data set org/pair/en\+de/test.*{message}"):
        load(PAIR, tmp_path / "lock.json")


def test_a_content_hash_is_over_the_rows_and_not_over_their_spelling() -> None:
    turned: list[Mapping[str, Any]] = [dict(reversed(row.items())) for row in ROWS]
    assert content_hash(turned) == content_hash(ROWS)
    assert len({content_hash(rows) for rows in (ROWS, ROWS[::-1], ROWS[:3], [], [{}])}) == 5


def test_reading_a_file_imports_nothing_heavy(tmp_path: Path) -> None:
    write_rows(tmp_path / "r.jsonl", ROWS)
    program = """
import sys, pathlib
from evalharness.data import Source, load
load(Source("json", None, "train", data_files="r.jsonl", folder=pathlib.Path(sys.argv[1])), pathlib.Path("lock.json"))
print([name for name in ("datasets", "pyarrow", "pandas", "huggingface_hub") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
