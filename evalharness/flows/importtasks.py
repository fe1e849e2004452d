"""Task files of another harness in; task and suite files of ours, and an account of what was refused, out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalharness.battles import UNKNOWN_LANGUAGE
from evalharness.errors import NotInCatalog, UsageError
from evalharness.files import write_text
from evalharness.interop import hf_eval
from evalharness.interop.lmeval import taking
from evalharness.interop.lmeval.refusal import Refusal
from evalharness.interop.lmeval.taking import Taken
from evalharness.interop.lmeval.tasks import Converted, Told
from evalharness.interop.yamltext import written
from evalharness.languages import is_tag
from evalharness.specs.sample import MAX_SHOTS

LM_EVAL, HF_EVAL = "lm-eval", "hf-eval-yaml"
FORMATS = (LM_EVAL, HF_EVAL)
_ORIGIN = {LM_EVAL: "lm-evaluation-harness", HF_EVAL: "the eval.yaml of a hub data set"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What files do not say: the language where no name tells it, how many worked examples, whose eval.yaml it is."""

    language: str = UNKNOWN_LANGUAGE
    shots: int | None = None
    dataset: str | None = None


def read(name: str, paths: Sequence[Path], asked: Asked) -> Taken:
    """Read ``paths`` as the format ``name``; raises UsageError where a path is none or what was asked is not possible."""
    if name not in FORMATS:
        raise NotInCatalog("format", name, FORMATS)
    if not is_tag(asked.language):
        raise UsageError(f"--language {asked.language}: not a language tag such as de or pt-BR")
    if asked.shots is not None and not 0 <= asked.shots <= MAX_SHOTS:
        raise UsageError(f"--shots {asked.shots}: must lie in 0..{MAX_SHOTS}")
    if name == LM_EVAL:
        return taking.take(paths, Told(asked.language, asked.shots))
    if asked.dataset is None:
        raise UsageError("an eval.yaml does not say whose it is; name its data set with --dataset ORG/NAME")
    if len(paths) != 1 or not paths[0].is_file():
        raise UsageError(f"{HF_EVAL} reads one file; name the eval.yaml of {asked.dataset}")
    return hf_eval.take(paths[0], asked.dataset, asked.language)


def write(name: str, taken: Taken, out: Path) -> list[Path]:
    """Write every task to ``out`` and every suite to ``out/suites``; raises UsageError, before anything is written, where
    a file is there already."""
    texts: dict[Path, str] = {}
    for task in taken.tasks:
        texts[out / f"{task.name}.yaml"] = written(task.document, _comments(name, task))
        if task.shot_rows:
            texts[out / f"{task.name}.shots.jsonl"] = _lines(task.shot_rows)
    for suite in taken.suites:
        texts[out / "suites" / f"{suite.name}.yaml"] = written(suite.document, [f"From {_ORIGIN[name]}.", *suite.notes])
    if there := [path for path in texts if path.exists()]:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise UsageError(f"{there[0]}: is there already{more}; nothing is overwritten, name another folder with --out")
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def _comments(name: str, task: Converted) -> list[str]:
    return [
        f"From {_ORIGIN[name]} ({Path(task.file).name}). Not checked against the hub: id, configuration, split and columns.",
        *(f"- {note}." for note in task.notes),
    ]


def _lines(rows: Iterable[Any]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)}\n" for row in rows)


def document(name: str, taken: Taken, wrote: Sequence[Path]) -> dict[str, Any]:
    """Return what ``import --json`` prints: files, tasks by level, suites, and each refusal with its place."""
    notes = Counter(note for task in taken.tasks for note in task.notes)
    return {
        "format": name,
        "files": sum(taken.files.values()),
        "tasks": [task.name for task in taken.tasks],
        "level_0": sum(task.level == 0 for task in taken.tasks),
        "level_1": sum(task.level == 1 for task in taken.tasks),
        "suites": [suite.name for suite in taken.suites],
        "refused": [
            {"task": r.task, "key": r.key, "reason": r.reason, "detail": r.detail, "place": r.place} for r in taken.refused
        ],
        "reasons": dict(Counter(refusal.shown for refusal in taken.refused).most_common()),
        "differences": dict(notes.most_common()),
        "notes": list(taken.notes),
        "folders": _folders(taken),
        "wrote": [str(path) for path in wrote],
    }  # fmt: skip


def _folders(taken: Taken) -> list[dict[str, Any]]:
    """Return the coverage of each folder: its files, its tasks by level, what was refused and why."""
    levels: Counter[tuple[str, int]] = Counter((str(Path(task.file).parent), task.level) for task in taken.tasks)
    refused: dict[str, list[Refusal]] = {}
    for refusal in taken.refused:
        refused.setdefault(refusal.folder, []).append(refusal)
    return [
        {
            "folder": folder, "files": files, "level_0": levels[folder, 0], "level_1": levels[folder, 1],
            "refused": len(refused.get(folder, [])),
            "reasons": dict(Counter(refusal.shown for refusal in refused.get(folder, [])).most_common()),
        }
        for folder, files in sorted(taken.files.items())
    ]  # fmt: skip
