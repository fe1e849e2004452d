"""Plain data in, YAML text out that our reader reads back as the same data: texts quoted as in JSON, small mappings in line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any

WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off"})
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def written(document: Mapping[str, Any], comments: Iterable[str] = ()) -> str:
    """Return ``document`` as YAML below its ``comments``."""
    head = [f"# {line}" for comment in comments for line in wrap(" ".join(comment.split()), WIDTH)]
    return "\n".join([*head, *_block(document, 0)]) + "\n"


def _block(value: Mapping[str, Any], indent: int) -> list[str]:
    lines = []
    for key, item in value.items():
        start = f"{' ' * indent}{scalar(key)}:"
        flow = _flow(item)
        if isinstance(item, Mapping) and item and ((indent == 0 and len(item) > 2) or len(start) + len(flow) >= WIDTH):
            lines += [start, *_block(item, indent + 2)]
        elif isinstance(item, list) and item and len(start) + len(flow) >= WIDTH:
            lines += [start, *(f"{' ' * (indent + 2)}- {_flow(each)}" for each in item)]
        else:
            lines.append(f"{start} {flow}")
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Return a text, number, truth value or null; a text that could be read as anything else is quoted."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
