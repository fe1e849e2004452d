"""Metrics, filters and generation settings of lm-evaluation-harness in, those of a task of ours out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.interop.lmeval.files import Config, Function
from evalharness.interop.lmeval.refusal import Refused
from evalharness.interop.lmeval.templates import literal

Yaml = dict[str, Any]
_ASIDE = frozenset({"metric", "aggregation", "higher_is_better", "high_is_better", "hf_evaluate", "weight_by_size"})
DEFAULT_METRICS = {
    "multiple_choice": ("acc", "acc_norm"), "generate_until": ("exact_match",), "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
}  # fmt: skip
_OURS: Mapping[str, Mapping[str, str]] = {
    "multiple_choice": {"acc": "acc", "acc_norm": "acc_norm", "acc_bytes": "acc_bytes", "acc_mutual_info": "acc_pmi"},
    "generate_until": {"exact_match": "exact_match", "bleu": "bleu", "chrf": "chrf", "chrf++": "chrf"},
    "loglikelihood": {},
    "loglikelihood_rolling": {name: name for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")},
}
_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_SAMPLING = frozenset({"until", "do_sample", "temperature", "top_p", "top_k", "num_beams", *_TOKENS})
DEFAULT_TOKENS = 256


def metrics(config: Config, output: str, n_choices: int | None, notes: list[str]) -> list[Yaml]:
    """Return the metrics of ours that ``metric_list`` names; those that ours do not have are noted, none left is refused.

    ``n_choices`` is how many choices every row has, where that is known.
    """
    listed = config.data.get("metric_list")
    wanted = [{"metric": name} for name in DEFAULT_METRICS[output]] if listed is None else listed
    if not isinstance(wanted, list) or not all(isinstance(each, dict) and "metric" in each for each in wanted):
        raise Refused("metric_list", "is no list of metrics", place=config.place("metric_list"))
    if output == "loglikelihood":
        notes.append(
            "perplexity and greedy accuracy of the target are not measured here: bits_per_byte is, of the same text"
        )
        return [{"name": "bits_per_byte", "headline": True}]
    found: list[Yaml] = []
    for each in wanted:
        name = each["metric"]
        if isinstance(name, Function) or each.get("hf_evaluate"):
            raise Refused(
                "metric_list",
                "a metric that needs Python",
                getattr(name, "name", str(name)),
                config.place("metric_list"),
            )
        ours = _OURS[output].get(str(name))
        if ours is None:
            notes.append(f"metric {name} is not measured here")
        elif not any(metric["name"] == ours for metric in found):
            found.append(_metric(ours, str(name), each, n_choices, config))
    if not found:
        names = ", ".join(str(each["metric"]) for each in wanted)
        raise Refused("metric_list", "no metric that is offered here", names, config.place("metric_list"))
    found[0]["headline"] = True
    return found


def _metric(ours: str, theirs: str, said: Mapping[str, Any], n_choices: int | None, config: Config) -> Yaml:
    metric: Yaml = {"name": ours}
    given = {key: value for key, value in said.items() if key not in _ASIDE}
    if ours.startswith("acc") and n_choices:
        metric["chance"] = round(1 / n_choices, 6)
    if ours == "exact_match":
        metric["chance"] = 0.0
        options: Yaml = {"strip": False}
        for key in ("ignore_case", "ignore_numbers"):
            if given.pop(key, False):
                options[key] = True
        if given.pop("ignore_punctuation", False):
            options["ignore_punctuation"] = "ascii"
        if ignored := given.pop("regexes_to_ignore", None):
            options["regexes_to_ignore"] = ignored if isinstance(ignored, list) else [ignored]
        metric["options"] = options
    if theirs.startswith("chrf"):
        metric["options"] = {"word_order": 2 if theirs == "chrf++" else 0}
    if given:
        raise Refused("metric_list", "a setting of a metric that is not offered here", f"{theirs}: {', '.join(map(str, given))}",
                      config.place("metric_list"))  # fmt: skip
    return metric


def filters(config: Config, output: str) -> list[Yaml]:
    """Return the filters of ours that do what ``filter_list`` says; refuses what needs Python or has no equal."""
    listed = config.data.get("filter_list")
    if listed is None:
        return []
    place = config.place("filter_list")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Refused("filter_list", "is no list of filters", place=place)
    found = []
    for each in listed:
        steps = [step for said in each.get("filter") or [] if (step := _step(said, place)) is not None]
        found.append({"name": str(each.get("name", "none")), "steps": steps})
    if output != "generate_until":
        if any(filter_["steps"] for filter_ in found):
            raise Refused("filter_list", "filters of a task that generates nothing", place=place)
        return []
    return found


def _step(said: Any, place: str) -> Any:
    """Return one step; ``None`` for one that does nothing to a single answer."""
    if not isinstance(said, dict):
        raise Refused("filter_list", "is no list of filters", place=place)
    name, given = said.get("function"), {key: value for key, value in said.items() if key != "function"}
    if isinstance(name, Function):
        raise Refused("filter_list", "a filter that needs Python", name.name, place)
    fallback = given.pop("fallback", None)
    if fallback not in (None, "[invalid]"):
        raise Refused("filter_list", "a regex filter with a fallback of its own", str(fallback), place)
    if name == "take_first" and not given:
        return None
    if name == "take_first_k" and set(given) == {"k"}:
        return {"first": given["k"]}
    if name in (
        words := {"remove_whitespace": "strip", "lowercase": "lower", "uppercase": "upper", "majority_vote": "majority"}
    ):
        if not given:
            return words[name]
    elif name == "regex" and set(given) <= {"regex_pattern", "group_select"}:
        pattern = str(given.get("regex_pattern", r"#### (\-?[0-9\.\,]+)"))
        return {"regex": literal(pattern), "take": int(given.get("group_select", 0))}
    elif name == "map" and set(given) <= {"mapping_dict", "default_value"}:
        mapped = {str(key): str(value) for key, value in (given.get("mapping_dict") or {}).items()}
        default = given.get("default_value")
        return {"map": mapped} | ({} if default is None else {"default": str(default)})
    raise Refused(
        "filter_list", "a filter that is not offered here", f"{name} {', '.join(map(str, given))}".strip(), place
    )


def sampling(config: Config, delimiter: str, notes: list[str]) -> Yaml:
    """Return ``generate``: greedy and 256 tokens unless it is said otherwise, up to ``until``, without it to ``delimiter``."""
    said = config.data.get("generation_kwargs")
    place = config.place("generation_kwargs")
    if said is not None and not isinstance(said, dict):
        raise Refused("generation_kwargs", "is no mapping", place=place)
    said = said or {}
    if unknown := sorted(str(key) for key in set(said) - _SAMPLING):
        raise Refused("generation_kwargs", "a setting that is not offered here", ", ".join(unknown), place)
    if said.get("num_beams", 1) not in (None, 1):
        raise Refused("generation_kwargs", "a setting that is not offered here", "num_beams", place)
    temperature = float(said.get("temperature") or 0.0)
    if said.get("do_sample") is True and temperature == 0.0 and "temperature" not in said:
        temperature = 1.0
        notes.append("do_sample without a temperature is sampled at temperature 1")
    until = said.get("until", [delimiter])
    stops = [str(stop) for stop in (until if isinstance(until, list) else [until]) if stop is not None]
    if not all(stops):
        notes.append("an empty stop string is left out")
    tokens = next((said[key] for key in _TOKENS if said.get(key) is not None), DEFAULT_TOKENS)
    generate: Yaml = {"temperature": 0.0 if said.get("do_sample") is False else temperature, "max_tokens": int(tokens)}
    generate |= {key: said[key] for key in ("top_p", "top_k") if said.get(key) is not None}
    return generate | {"stop": [stop for stop in stops if stop]}
