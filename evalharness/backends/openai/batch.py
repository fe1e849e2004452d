"""Requests in, lines of OpenAI's batch format out, and the lines of its output files back to results. Pure.

The format is that of https://platform.openai.com/docs/guides/batch; ``vllm run-batch`` reads and writes it too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evalharness.backends.openai import reply
from evalharness.backends.openai.body import compose
from evalharness.backends.openai.entry import Endpoint
from evalharness.backends.openai.faults import AgainError, ItemError, NoLogprobsError, NoModelError, fault, said
from evalharness.errors import EvalHarnessError
from evalharness.types import Request, Result

MOST_REQUESTS = 50_000  # a file, by OpenAI's limits
MOST_BYTES = 200_000_000


def line(endpoint: Endpoint, request: Request) -> bytes:
    """Return the line that asks ``request``, with its line end. Raises what ``compose`` raises."""
    path, body = compose(endpoint, request)
    asked = {"custom_id": request.id, "method": "POST", "url": f"/v1{path}", "body": body}
    return json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def result(endpoint: Endpoint, request: Request, answer: Mapping[str, Any]) -> Result:
    """Return the result of ``request`` that ``answer``, a line of an output or error file, holds.

    A reply is read as one that came over the network. What failed is a fault that may pass, since asking directly settles
    whether it does; but a prompt that is filtered or too long is the model's own failure, as it is there.
    """
    response = answer.get("response")
    response = response if isinstance(response, Mapping) else {}
    status, body = response.get("status_code"), response.get("body")
    try:
        if status == 200 and isinstance(body, Mapping):
            return reply.result(request, body)
        raise _fault(endpoint, status, json.dumps(body or answer.get("error")))
    except NoLogprobsError:
        return _failed(request, "the answer has no log-probabilities")
    except ItemError as error:
        found = error.result(request.id)
        return found if found.error is None else _failed(request, str(error))
    except (AgainError, NoModelError, EvalHarnessError) as error:
        return _failed(request, str(error))


def _fault(endpoint: Endpoint, status: Any, text: str) -> Exception:
    if not isinstance(status, int) or status < 300:  # never asked (expired, cancelled), or a reply without a body
        return ItemError(said(text).words if text != "null" else "the line holds neither an answer nor an error")
    found = fault(endpoint, status, text, None)
    if isinstance(found, NoLogprobsError) or getattr(found, "room", None) is not None:  # fits where less is asked for
        return ItemError(str(found))
    return found


def _failed(request: Request, words: str) -> Result:
    return Result(request.id, finish="error", error=words, transient=True)
