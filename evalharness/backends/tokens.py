"""A request in, token ids out, and back to text: BOS, chat templates, context length, where a continuation begins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from jinja2 import TemplateError

from evalharness.text import clean_text
from evalharness.types import Request

Rendering = tuple[tuple[str, Any], ...]

_BOS_FAMILIES = ("gemma",)  # trained with BOS before every text; without it they babble


class UnanswerableError(Exception):
    """A request this model cannot answer, whoever asks again: ``finish`` as in Result, and why."""

    def __init__(self, message: str, finish: str = "error") -> None:
        super().__init__(message)
        self.finish = finish


class Codec:
    """The tokenizer with what ``rendering`` says about BOS, chat template and context length.

    ``most`` is the context that the engine was loaded with, where it can be smaller than the model's.
    """

    def __init__(
        self, tokenizer: Any, config: Any, generation_config: Any, rendering: Rendering, most: int | None = None
    ) -> None:
        settings = dict(rendering)
        self._tokenizer = tokenizer
        text_config = config.get_text_config()
        context = settings.get("max_length") or getattr(text_config, "max_position_embeddings", None)
        self.context: int | None = min((size for size in (context, most) if size is not None), default=None)
        self.eos = frozenset(_ids(generation_config, config, text_config, tokenizer))
        self.pad: int = next((i for i in (tokenizer.pad_token_id, *sorted(self.eos)) if i is not None), 0)
        self._own_template: str | None = settings.get("chat_template")
        self._template_words = dict(settings.get("chat_template_kwargs") or ())
        self._tags: tuple[str, ...] = tuple(settings.get("thinking") or ())
        self._kept = frozenset(_special_ids(tokenizer, self._tags))
        self._bos = _bos(tokenizer, text_config.model_type, settings.get("add_bos"))

    def prompt(self, request: Request) -> list[int]:
        """Return the token ids of the request's prompt; raises UnanswerableError without a template or a token."""
        ids = self._encode(*self._rendered(request))
        if not ids:
            raise UnanswerableError("the prompt is empty")
        return ids

    def room(self, prompt: Sequence[int], wanted: int) -> int:
        """Return how many of ``wanted`` new tokens fit; raises UnanswerableError where not even one does."""
        if self.context is None:
            return wanted
        if len(prompt) >= self.context:
            raise UnanswerableError(_too_long(len(prompt), self.context), "context")
        return min(wanted, self.context - len(prompt))

    def pairs(self, request: Request) -> list[tuple[list[int], list[int]]]:
        """Return (context, continuation) as token ids for every continuation of the request.

        Spaces that end the prompt go to the continuation, as in lm-eval, since tokens carry their space in front. Both
        are read as one text; where a token would span both, the continuation is read alone.
        """
        prompt, special = self._rendered(request)
        shown = prompt.rstrip(" ")
        spaces = prompt[len(shown) :]
        context = self._encode(shown, special)
        start: list[int] = [] if context else self._start()
        if not request.continuations:
            raise UnanswerableError("no continuation is given")
        out = []
        for text in request.continuations:
            whole = self._encode(shown + spaces + text, special)
            joined = whole[: len(context)] == context
            continuation = whole[len(context) :] if joined else self._tokens(spaces + text)
            if not continuation:
                raise UnanswerableError(f"the continuation {text!r} has no token")
            before = start + context
            if self.context is not None and len(before) + len(continuation) > self.context:
                raise UnanswerableError(_too_long(len(before) + len(continuation), self.context), "context")
            out.append((before, continuation))
        return out

    def _start(self) -> list[int]:
        """Return the token that a text without a prompt follows, as in lm-eval: BOS, or else the end of another text."""
        first = (
            self._tokenizer.bos_token_id if self._tokenizer.bos_token_id is not None else self._tokenizer.eos_token_id
        )
        if first is None:
            raise UnanswerableError("the prompt is empty, and the model has neither BOS nor EOS to begin with")
        return [first]

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of generated token ids, without special tokens; the tags of a thought stay."""
        pieces: list[str] = []
        for kept, group in groupby(ids, key=self._kept.__contains__):
            decoded = self._tokenizer.decode(
                list(group), skip_special_tokens=not kept, clean_up_tokenization_spaces=False
            )
            pieces.append(decoded)
        return clean_text("".join(pieces))

    def opened(self, request: Request) -> str:
        """Return the tag of a thought that the request's prompt ends with (a chat template wrote it), else nothing."""
        if not self._tags or request.messages is None:
            return ""
        return self._tags[0] if self._rendered(request)[0].rstrip().endswith(self._tags[0]) else ""

    def _rendered(self, request: Request) -> tuple[str, bool]:
        """Return the prompt as text, and whether BOS is still to be added: a chat template writes its own."""
        if request.messages is None:
            return request.text or "", self._bos is not None
        if self._own_template is None and not self._tokenizer.chat_template:
            raise UnanswerableError("the model has no chat template; ask in the raw format or set chat_template")
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        goes_on = bool(messages) and messages[-1]["role"] == "assistant"
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._own_template,
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
                tokenize=False,
                **self._template_words,
            )
        except (TemplateError, ValueError) as error:  # ValueError: several templates, none of them the default
            raise UnanswerableError(f"the chat template refuses the messages: {error}") from error
        return text, False

    def _encode(self, text: str, add_bos: bool) -> list[int]:
        ids = self._tokens(text)
        if not add_bos or self._bos is None or ids[:1] == [self._bos]:
            return ids
        return [self._bos, *ids]

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def cut(text: str, stops: Sequence[str]) -> int | None:
    """Return where the first of ``stops`` begins in ``text``, ``None`` if none is there."""
    return min((place for stop in stops if (place := text.find(stop)) >= 0), default=None)


def _ids(*sources: Any) -> list[int]:
    """Return every end-of-text id that any of ``sources`` names."""
    found = [getattr(source, "eos_token_id", None) for source in sources]
    return [i for ids in found if ids is not None for i in (ids if isinstance(ids, (list, tuple)) else [ids])]


def _special_ids(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Return the ids of those ``texts`` that are special tokens, which decoding would leave out."""
    special = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return [special[text] for text in texts if text in special]


def _bos(tokenizer: Any, family: str, wanted: bool | None) -> int | None:
    """Return the id to put before raw text; the settings, the tokenizer's own habit or the family's need say so."""
    bos: int | None = tokenizer.bos_token_id
    if bos is None or wanted is False:
        return None
    itself = tokenizer("a")["input_ids"][:1] == [bos]
    return bos if wanted or itself or family.startswith(_BOS_FAMILIES) else None


def _too_long(tokens: int, context: int) -> str:
    return f"the prompt has {tokens} tokens, the model's context {context}"
