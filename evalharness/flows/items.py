"""A run and a prompt's id in, all there is about that prompt out: what was asked, what is right, answers, scores, games."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from evalharness.errors import NotInCatalog
from evalharness.stages.derive import played, sample_documents, score_documents, stored
from evalharness.stages.measure import measured
from evalharness.stages.scores import review_documents, reviewed
from evalharness.store import Journal
from evalharness.text import sha256


def items(name: str, prompt_id: str, root: Path, language: str | None = None) -> list[dict[str, Any]]:
    """Return the prompt ``prompt_id`` of the run ``name``, in ``language`` or in each: the documents of ``samples.jsonl.gz``
    with the SHA-256 of the prompt. Raises NotInCatalog where the run has no such prompt."""
    with Journal.reading(root) as journal:
        whole = stored(journal, name)
        own = [sample for sample in whole.samples if sample.prompt_id == prompt_id]
        if not own:
            raise NotInCatalog(
                "item", prompt_id, list(dict.fromkeys(s.prompt_id for s in whole.samples)), f"run {name}"
            )
        wanted = [sample for sample in own if language in (None, sample.language)]
        if not wanted:
            raise NotInCatalog("language", language or "", [s.language for s in own], f"item {prompt_id} of run {name}")
        places = {sample.position for sample in wanted}
        run = replace(
            whole,
            samples=tuple(wanted),
            games=tuple(row for row in whole.games if row.sample in places),
            reviews=tuple(row for row in whole.reviews if row.sample in places),
        )
        reviews = review_documents(reviewed(journal, run))
        scores = score_documents(list(measured(journal, run)))
        documents = list(sample_documents(run, played(journal, run), reviews, scores))
    return [{**document, "prompt_sha256": sha256(document["prompt"])} for document in documents]
