"""A model entry in, its engine out, and back to what a request needs to know: address, settings, limits. Asks nobody."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from evalharness.errors import BackendError, ModelError, suggestion
from evalharness.specs.model import ModelSpec
from evalharness.text import canonical, one_line
from evalharness.types import Engine

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
CHAT_TEMPLATE = "the server's own chat template"

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,60}")
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model behind an address, or behind several. ``key_env`` names the environment variable of the key; ``None``: no key
    is sent.

    ``timeout`` is seconds for one attempt, ``deadline`` seconds for a request with all its attempts and waits;
    ``concurrency`` is the most requests at once at each address, ``requests_per_minute`` the most that are begun in a
    minute, ``tokens_per_minute`` the most tokens that those may take. ``max_retries`` counts the attempts after the first
    that failed (being told to wait is no failure).
    """

    model: str
    base_url: str
    more_urls: tuple[str, ...] = ()
    key_env: str | None = None
    api: str = "chat"
    max_tokens_field: str = "max_tokens"
    top_logprobs: int = 20
    continue_final_message: bool = False
    extra_body: Mapping[str, Any] | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    concurrency: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout: float = 600.0
    max_retries: int = 6
    deadline: float = 1800.0
    max_response_bytes: int = 8 << 20

    @property
    def addresses(self) -> tuple[Endpoint, ...]:
        """The same model behind each of its addresses alone."""
        return tuple(replace(self, base_url=url, more_urls=()) for url in (self.base_url, *self.more_urls))

    @property
    def official(self) -> bool:
        """Whether this is OpenAI's own service."""
        return _is_openai(self.base_url)

    @property
    def key(self) -> str | None:
        """The key, read from the environment and kept nowhere else."""
        return (os.environ.get(self.key_env) or "").strip() or None if self.key_env else None


def _one_of(*offered: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in offered, f"must be one of {', '.join(offered)}"


def _whole(least: int, most: int) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most,
        f"must be a whole number from {least} to {most}",
    )


_SECONDS: tuple[Callable[[Any], bool], str] = (
    lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e7,
    "must be a number of seconds above 0",
)

# What changes the output, and what does not: each with its test and what to say where it fails.
SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "api": _one_of("chat", "completions"),
    "max_tokens_field": _one_of("max_tokens", "max_completion_tokens"),
    "top_logprobs": _whole(1, 1000),
    "continue_final_message": (lambda value: isinstance(value, bool), "must be true or false"),
    "extra_body": (lambda value: isinstance(value, Mapping), "must hold keys and values"),
}
OPTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "concurrency": _whole(1, 10_000),
    "requests_per_minute": _whole(1, 10_000_000),
    "tokens_per_minute": _whole(1, 10_000_000_000),
    "timeout": _SECONDS,
    "max_retries": _whole(0, 1000),
    "deadline": _SECONDS,
    "max_response_bytes": _whole(1024, 1 << 30),
}


def resolve(spec: ModelSpec) -> Engine:
    """Return the engine that answers for ``spec``, without a network call.

    Raises ModelError for a wrong entry, BackendError where the key is missing. ``weights`` is the address (of several the
    first: the others are more of the same), the model and the revision: all that can be known of them.
    ``template_sha`` is a fixed word for models that are asked in chat: the template is the server's and cannot be read, but
    there is one, and so ``format: auto`` means chat.
    """
    try:
        return _engine(spec)
    except ModelError as error:
        raise ModelError(f"model '{spec.name}': {error}") from None
    except BackendError as error:
        raise BackendError(f"model '{spec.name}': {error}") from None


def _engine(spec: ModelSpec) -> Engine:
    _refuse_foreign(spec)
    _check(spec.engine)
    url, *more = _addresses(spec)
    key_env = _key_env(spec, url)
    # `openai:NAME@x` on the command line is a name as the server has it; an entry's revision says what the server runs.
    written = spec.revision is not None and spec.name == f"{spec.path}@{spec.revision}"
    model = spec.name if written else spec.path
    revision = "" if written or spec.revision is None else f"@{spec.revision}"
    default = "max_completion_tokens" if _is_openai(url) else "max_tokens"
    settings = {"api": "chat", "max_tokens_field": default} | {k: spec.engine[k] for k in SETTINGS if k in spec.engine}
    if spec.chat_template_kwargs:
        settings["chat_template_kwargs"] = spec.chat_template_kwargs
    options = {key: spec.engine[key] for key in OPTIONS if key in spec.engine}
    return Engine(
        backend="openai",
        path=model,
        weights=f"{url} {model}{revision}",
        settings=tuple((key, _flat(value)) for key, value in sorted(settings.items())),
        template_sha=CHAT_TEMPLATE if settings["api"] == "chat" else None,
        size_b=spec.size_b,
        versions=(("openai", version("openai")),),
        options=(
            ("base_url", url),
            *((("more_urls", tuple(more)),) if more else ()),
            ("key_env", key_env),
            *sorted(options.items()),
        ),
    )


def endpoint(engine: Engine) -> Endpoint:
    """Return what ``resolve`` put into ``engine``."""
    said = dict(engine.settings) | dict(engine.options)
    for key in ("extra_body", "chat_template_kwargs"):
        if key in said:
            said[key] = json.loads(said[key])
    known = {field.name for field in fields(Endpoint)}
    return Endpoint(model=engine.path, **{key: value for key, value in said.items() if key in known})


def apart(engine: Engine) -> list[Engine]:
    """Return an engine for each address of ``engine`` alone, to look at them one by one; their identity is the same."""
    options = dict(engine.options)
    more = options.pop("more_urls", ())
    return [
        replace(engine, options=tuple({**options, "base_url": url}.items())) for url in (options["base_url"], *more)
    ]


def _flat(value: Any) -> Any:
    """Return a mapping as canonical JSON, so that it can be hashed and read back."""
    return canonical(value).decode("ascii") if isinstance(value, Mapping) else value


def _refuse_foreign(spec: ModelSpec) -> None:
    """Refuse what only an engine that is loaded here can do."""
    for name in ("adapter", "chat_template", "add_bos"):
        if getattr(spec, name) is not None:
            raise ModelError(f"{name} is for models that are loaded here; start the server with it and leave it out")


def _check(settings: Mapping[str, Any]) -> None:
    known = SETTINGS | OPTIONS
    for key, value in settings.items():
        if key not in known:
            raise ModelError(f"unknown setting '{key}' in engine; {suggestion(key, known)}")
        valid, what = known[key]
        if not valid(value):
            raise ModelError(f"engine: {key} {what}, not '{one_line(str(value), 40)}'")


def _addresses(spec: ModelSpec) -> list[str]:
    """Return the addresses of an entry, at least one."""
    said = spec.base_url if isinstance(spec.base_url, tuple) else (spec.base_url,)
    if not said:
        raise ModelError("base_url is an empty list; write an address such as https://host/v1, or leave it out")
    urls = [_normalised(url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL) for url in said]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise ModelError(f"base_url names {twice} twice; name each address once")
    if len({_is_openai(url) for url in urls}) > 1:
        raise ModelError("base_url names OpenAI and other addresses, which are not one model; make an entry of each")
    return urls


def _normalised(url: str) -> str:
    """Return an address as it is compared and shown: scheme and host in small letters, no default port, no last slash."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ModelError("base_url is no address; write it as https://host/v1") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ModelError("base_url must be an http or https address such as https://host/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # Not shown: what stands there may be a secret.
        raise ModelError(
            "base_url must be a plain address such as https://host/v1, without user name, password or query; put a key "
            "into an environment variable and name that in api_key_env"
        )
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    tail = "" if port is None or (scheme, port) in (("http", 80), ("https", 443)) else f":{port}"
    return f"{scheme}://{host}{tail}{parts.path.rstrip('/')}"


def _is_openai(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def _key_env(spec: ModelSpec, url: str) -> str | None:
    """Return the variable that holds the key; raises BackendError where one is needed and not set.

    OPENAI_API_KEY goes to OpenAI and to OPENAI_BASE_URL; another address gets the key its entry names, or none.
    """
    name = spec.api_key_env
    if name is not None and not (_VARIABLE.fullmatch(name) or name in os.environ):
        raise ModelError(  # the value is not shown: it may be a key
            "api_key_env must be the name of an environment variable, such as MY_API_KEY, and never a key itself; "
            "put the key into a variable and name that"
        )
    needed = name is not None or _is_openai(url)
    if name is None and (needed or spec.base_url is None):
        name = OPENAI_KEY
    key = (os.environ.get(name) or "").strip() if name else ""
    if needed and not key:
        raise BackendError(f"the environment variable {name} is not set; set it to the API key for {url}")
    if key and not _KEY.fullmatch(key):
        raise BackendError(f"the environment variable {name} holds no API key: it has spaces or other odd characters")
    return name if key else None
