"""A request in, the path and the JSON body that ask it out. Pure; what an endpoint cannot be asked is an item's error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalharness.backends.openai.entry import Endpoint
from evalharness.backends.openai.faults import ItemError
from evalharness.errors import ModelError
from evalharness.identity import is_greedy, seed_of
from evalharness.types import Request

CHAT = "/chat/completions"
COMPLETIONS = "/completions"
BYTES_A_TOKEN = 3  # as `estimate` counts
_SEEDS = 1 << 31  # some servers read 32 bits


def compose(endpoint: Endpoint, request: Request) -> tuple[str, dict[str, Any]]:
    """Return (path, body). Raises ItemError for a request that cannot be asked, ModelError where none of its kind can."""
    if request.messages is None:
        return COMPLETIONS, {**_common(endpoint, request), **_text_part(endpoint, request), **_extra(endpoint)}
    if request.kind == "loglikelihood":
        raise ItemError("the log-likelihood of a text is asked in raw format; a chat endpoint cannot tell it")
    if endpoint.api == "completions":
        raise ModelError(
            f"model {endpoint.model} is asked through {COMPLETIONS} and this task or judge sends messages; take "
            "api: completions out of its entry, or use a task with format: raw"
        )
    return CHAT, {**_common(endpoint, request), **_chat_part(endpoint, request), **_extra(endpoint)}


def _common(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Return the fields of every request; a greedy one has no top_p, top_k or seed."""
    sampling = request.sampling
    body: dict[str, Any] = {"model": endpoint.model, "temperature": 0}
    if request.kind != "generate":
        return body
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if is_greedy(sampling):
        return body
    body |= {"temperature": sampling.temperature, "seed": seed_of(request.id, sampling.seed) % _SEEDS}
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.top_k:
        body["top_k"] = sampling.top_k
    return body


def _chat_part(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    messages = request.messages or ()
    body: dict[str, Any] = {"messages": [{"role": m.role, "content": m.content} for m in messages]}
    if messages and messages[-1].role == "assistant":
        if not endpoint.continue_final_message:
            raise ItemError(
                "the conversation ends with the beginning of the answer, which this endpoint may not go on with; if its "
                "server can (vLLM), write engine: {continue_final_message: true} in the model's entry"
            )
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if endpoint.chat_template_kwargs:
        body["chat_template_kwargs"] = dict(endpoint.chat_template_kwargs)
    if request.kind == "label_logprobs":
        return {**body, endpoint.max_tokens_field: 1, "logprobs": True, "top_logprobs": endpoint.top_logprobs}
    return {**body, endpoint.max_tokens_field: request.sampling.max_tokens}


def _text_part(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    text = request.text or ""
    if request.kind == "generate":
        return {"prompt": text, "max_tokens": request.sampling.max_tokens}
    if request.kind == "label_logprobs":
        return {"prompt": text, "max_tokens": 1, "logprobs": endpoint.top_logprobs}
    # One new token, which is cut off again: not every server takes 0.
    prompts = [text + continuation for continuation in request.continuations]
    return {"prompt": prompts, "max_tokens": 1, "logprobs": 1, "echo": True}


def tokens(body: Mapping[str, Any]) -> int:
    """Return about how many tokens ``body`` takes: its texts at BYTES_A_TOKEN, and the new tokens it asks for."""
    prompts = body.get("prompt", "")
    texts = [prompts] if isinstance(prompts, str) else prompts
    texts = [*texts, *(message["content"] for message in body.get("messages", ()))]
    new = body.get("max_tokens") or body.get("max_completion_tokens") or 0
    return sum(len(text.encode("utf-8", "replace")) for text in texts) // BYTES_A_TOKEN + new


def _extra(endpoint: Endpoint) -> dict[str, Any]:
    return dict(endpoint.extra_body or {})
