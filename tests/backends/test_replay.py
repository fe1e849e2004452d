"""Files of completions: what is read, what is refused with its line, and what a prompt gets for an answer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evalharness.backends import BACKENDS, opened, resolve
from evalharness.backends.replay import Recorded, Recording, read
from evalharness.errors import DataError, NotInCatalog
from evalharness.specs.model import ModelSpec
from evalharness.types import Backend, Request

ROW = {"prompt_id": "p1", "language": "de", "model": "m", "text": "Guten Tag"}


def write(path: Path, *rows: Any) -> Path:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def about(task: str, language: str, prompt_id: str) -> Request:
    return Request("request", "generate", None, "x", about=(task, language, prompt_id))


def test_models_of_several_files_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROW, {**ROW, "model": "n", "text": "Hallo"})
    write(tmp_path / "b.jsonl.gz", {**ROW, "prompt_id": "p2"}, "", ROW)
    found = read(str(tmp_path / "*.jsonl*"))
    assert list(found) == ["m", "n"]
    assert sorted(found["m"].entries) == [(None, "de", "p1", 0, 1), (None, "de", "p2", 0, 1)]
    assert list(read(f"{tmp_path}/*.jsonl*#n")) == ["n"]


def test_optional_fields_are_kept_and_unknown_ones_left_alone(tmp_path: Path) -> None:
    more = {
        "task": "t", "task_version": "1", "prompt_sha256": "ab", "thinking": "hm", "tokens": 3, "finish": "length",
        "generate": {"temperature": 0}, "size_b": 7, "mood": ["any"],
    }  # fmt: skip
    (recording,) = read(str(write(tmp_path / "a.jsonl", {**ROW, **more, "text": "a\x00b\ud800"}))).values()
    (recorded,) = recording.entries.values()
    del more["mood"]
    place = f"{tmp_path / 'a.jsonl'}:1"
    assert recorded == Recorded("p1", "de", "m", "ab\ufffd", place, **more)  # type: ignore[arg-type]
    assert recording.size_b == 7


def test_a_completion_is_found_for_its_task_first_and_for_any_task_else(tmp_path: Path) -> None:
    rows = ({**ROW, "text": "any"}, {**ROW, "task": "t", "text": "of t", "finish": "length", "tokens": 9})
    (recording,) = read(str(write(tmp_path / "a.jsonl", *rows))).values()
    assert recording.answer(about("t", "de", "p1")).text == "of t"
    assert recording.answer(about("t", "de", "p1")).finish == "length"
    assert recording.answer(about("t", "de", "p1")).tokens_out == 9
    assert recording.answer(about("u", "de", "p1")).text == "any"
    missing = recording.answer(about("t", "fr", "p1"))
    assert missing.text is None and not missing.transient and missing.finish == "error"
    assert missing.error is not None and all(word in missing.error for word in ("m ", "p1", "fr", "task t"))
    assert recording.answer(Request("r", "generate", None, "x")).error is not None


GOOD = json.dumps(ROW)
BAD = {
    "not JSON": ([GOOD, "{not json"], "2: not JSON"),
    "no object": ([GOOD, "[1]"], "2: a completion is an object"),
    "a field is missing": ([{k: v for k, v in ROW.items() if k != "model"}], "1: model is missing"),
    "a null": ([{**ROW, "text": None}], "1: text is missing"),
    "a number for a text": ([{**ROW, "text": 3}], "1: text must be a string, not 3"),
    "a number for an id": ([{**ROW, "prompt_id": 12}], "1: prompt_id must be a string, not 12"),
    "a text for a number": ([{**ROW, "tokens": "9"}], "1: tokens must be a whole number"),
    "true for a number": ([{**ROW, "tokens": True}], "1: tokens must be a whole number"),
    "a negative number": ([{**ROW, "tokens": -1}], "1: tokens is negative"),
    "a text for a size": ([{**ROW, "size_b": "7B"}], "1: size_b must be a number"),
    "a list for sampling": ([{**ROW, "generate": []}], "1: generate must be an object"),
    "an unknown finish": ([{**ROW, "finish": "done"}], "1: finish 'done' is none of stop"),
    "no language": ([{**ROW, "language": "German!"}], "1: language 'German!'"),
    "another text": ([ROW, "", {**ROW, "text": "Hallo"}], "3: another completion of m for prompt p1 in de than in "),
    "two sizes": ([{**ROW, "size_b": 1}, {**ROW, "prompt_id": "p2", "size_b": 2}], "more than one size_b: 1, 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_file_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    rows, words = BAD[case]
    file = write(tmp_path / "a.jsonl", *rows)
    with pytest.raises(DataError) as caught:
        read(str(file))
    assert words in str(caught.value)
    if words[0].isdigit():
        assert str(caught.value).startswith(f"{file}:{words}")


def test_a_last_line_that_is_cut_off_is_named_so(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(GOOD + "\n" + GOOD[:-8])
    with pytest.raises(DataError, match=r"a.jsonl:2: not JSON \(the last line is cut off\)"):
        read(str(file))
    file.write_text(GOOD + "\n" + GOOD)  # whole, only without the line's end
    assert list(read(str(file))) == ["m"]


def test_a_compressed_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.jsonl.gz", *({**ROW, "prompt_id": str(i)} for i in range(2000)))
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"a.jsonl.gz:\d+: cannot be read on"):
        read(str(whole))
    whole.write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"a.jsonl.gz:1"):
        read(str(whole))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(GOOD.encode() + b"\n" + GOOD.encode().replace(b"Guten", b"\xff\xfe"))
    with pytest.raises(DataError, match=r"a.jsonl:2: not JSON"):
        read(str(file))


def test_a_name_that_nothing_has_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ROW)
    with pytest.raises(DataError, match="no such file"):
        read(str(tmp_path / "b*.jsonl"))
    with pytest.raises(NotInCatalog, match="no model named 'mm'"):
        read(f"{file}#mm")


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    assert list(read(str(write(tmp_path / "a[1]#b.jsonl", ROW)))) == ["m"]


def test_the_hash_is_of_the_contents(tmp_path: Path) -> None:
    rows = [{**ROW, "prompt_id": str(i)} for i in range(5)]
    other = {**ROW, "model": "n"}

    def digest(name: str, *rows: Any) -> str:
        return read(str(write(tmp_path / name, *rows)))["m"].sha256

    first = digest("a.jsonl", *rows)
    assert digest("b.jsonl.gz", *reversed(rows), other, rows[0]) == first
    assert digest("c.jsonl", *rows[:-1]) != first
    assert digest("d.jsonl", *rows[:-1], {**rows[-1], "text": "x"}) != first
    assert digest("e.jsonl", *rows[:-1], {**rows[-1], "finish": "length"}) != first


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ROW)
    before = read(str(file))["m"].sha256
    write(file, {**ROW, "text": "Hallo zusammen"})
    assert read(str(file))["m"].sha256 != before


def test_replay_is_a_backend(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ROW, {**ROW, "model": "n", "text": "Hallo", "size_b": 7})
    m, n = BACKENDS["replay"].models(ModelSpec(str(file), "replay", str(file)))
    assert (m.name, m.path, n.name, n.size_b) == ("m", f"{file}#m", "n", 7)
    assert BACKENDS["replay"].models(n) == [n]
    (named,) = BACKENDS["replay"].models(ModelSpec("mine", "replay", f"{file}#n"))
    assert named.name == "mine"
    engine = resolve(n)
    assert engine.weights == read(str(file))["n"].sha256 and engine.size_b == 7 and engine.template_sha is None
    backend = opened(engine, tmp_path)
    assert isinstance(backend, Backend) and backend.capabilities == {"generate"}
    assert [result.text for result in backend.submit([about("t", "de", "p1")] * 2)] == ["Hallo", "Hallo"]
    backend.stop()
    assert list(backend.submit([about("t", "de", "p1")])) == []
    backend.close()
    write(file, ROW, {**ROW, "model": "n", "text": "anders"})
    with pytest.raises(DataError, match="changed since"):
        opened(engine, tmp_path)


def test_many_completions_are_read(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    with open(file, "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps({**ROW, "prompt_id": str(i)}) + "\n" for i in range(20_000))
    (recording,) = read(str(file)).values()
    assert isinstance(recording, Recording) and len(recording.entries) == 20_000
