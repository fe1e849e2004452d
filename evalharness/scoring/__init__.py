"""An item (what a model answered or how likely it finds texts) in, its measure in a metric out.

A metric is one entry of a module's ``METRICS`` in this folder, named in NAMES.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from evalharness.scoring.kind import Metric

NAMES = {
    "acc": "choice", "acc_norm": "choice", "acc_bytes": "choice", "acc_pmi": "choice", "macro_f1": "choice",
    "bits_per_byte": "likelihood", "byte_perplexity": "likelihood", "word_perplexity": "likelihood",
    "exact_match": "text", "f1": "text", "number": "reading", "letter": "reading",
    "chrf": "translation", "bleu": "translation", "pass_at_k": "code",
}  # fmt: skip

EXTRAS = {"chrf": "translation", "bleu": "translation"}  # metrics that need an extra of this package


class _Metrics(Mapping[str, Metric]):
    """Every metric by its name; a module is imported when one of its metrics is first asked for.

    Raises KeyError for an unknown name, ModuleNotFoundError where the package of its extra is missing.
    """

    def __getitem__(self, name: str) -> Metric:
        metrics: Mapping[str, Metric] = import_module(f"{__name__}.{NAMES[name]}").METRICS
        return metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


METRICS: Mapping[str, Metric] = _Metrics()
