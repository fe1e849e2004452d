"""A path and a body in, the JSON of the reply out: one attempt over HTTP, bounded in time and in bytes.

The OpenAI SDK says what to send besides the body; aiohttp sends it, at a fifth of the SDK's cost a request.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import openai

from evalharness.backends.openai.entry import Endpoint
from evalharness.backends.openai.faults import AgainError, ItemError, NoModelError, fault, wait_of
from evalharness.backends.openai.reply import document
from evalharness.backends.openai.scrub import Scrub
from evalharness.errors import EvalHarnessError

CONNECT_SECONDS = 20.0
IDLE_SECONDS = 30.0
PART_BYTES = 1 << 16
_NO_KEY = "none"
_WEIGHTS = ("root", "parent", "max_model_len", "meta")  # of a row of /models: what stays while the same model is served


class Client:
    """The connection to one endpoint; to be used inside one event loop. ``reached`` says whether it has ever replied."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.reached = False
        self.scrub = Scrub(endpoint.key)
        self._headers = _headers(endpoint)
        self._proxy = _proxy(endpoint.base_url)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """Return the reply to ``body`` if it comes within ``seconds``.

        Raises AgainError, ItemError, NoModelError, NoLogprobsError, or an error that ends the run; no text of theirs holds
        the key.
        """
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
        return document(self.scrub.body(await self._reply("POST", path, data, seconds)))

    async def models(self) -> dict[str, dict[str, Any]]:
        """Return the models that the server says it has, by name, with what says which weights they are (vLLM, llama.cpp).

        None if it does not say. Raises AgainError where the connection fails.
        """
        try:
            rows = document(await self._reply("GET", "/models", None, CONNECT_SECONDS)).get("data")
        except AgainError as error:
            if error.broken:
                raise
            return {}
        except (ItemError, NoModelError, EvalHarnessError):
            return {}
        named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return {
            self.scrub.words(row["id"], 100): {key: row[key] for key in _WEIGHTS if row.get(key) is not None}
            for row in named
            if isinstance(row.get("id"), str)
        }

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _connections(self) -> aiohttp.ClientSession:
        """Return the session, made where the loop runs."""
        if self._session is None:
            endpoint = self.endpoint
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=endpoint.concurrency, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(endpoint.timeout / 2, CONNECT_SECONDS), sock_read=endpoint.timeout
                ),
                headers=self._headers,
                auto_decompress=False,  # unpacked here, through a bound
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # aiohttp would look for proxies and a .netrc in a thread at every request
            )
        return self._session

    async def _reply(self, method: str, path: str, data: bytes | None, seconds: float) -> str:
        """Return the text of a good reply."""
        url = self.endpoint.base_url.rstrip("/") + path
        try:
            async with (
                asyncio.timeout(seconds),  # of all of it: a server may send a byte a second
                # a redirected POST would become a GET, and the key might go elsewhere
                self._connections().request(
                    method, url, data=data, allow_redirects=False, proxy=self._proxy
                ) as response,
            ):
                self.reached = True
                text = (await self._body(response)).decode("utf-8", "replace")
        except aiohttp.ConnectionTimeoutError:
            words = f"no connection to {self.endpoint.base_url}"
            raise AgainError("timeout", words, unreachable=True, broken=True) from None
        except TimeoutError:
            raise AgainError("timeout", f"no answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            unreachable = isinstance(error, aiohttp.ClientConnectorError)
            kind = "connection failed" if unreachable else "connection broken"
            words = self.scrub.words(str(error) or type(error).__name__)
            raise AgainError(kind, words, unreachable=unreachable, broken=True) from None
        if not 200 <= response.status < 300:
            wait = wait_of(response.headers, time.time())
            location = self.scrub.words(response.headers.get("location", ""))
            raise fault(self.endpoint, response.status, self.scrub.words(text, 1 << 16), wait, location)
        return text

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body, unpacked where the server packed it unasked; at most ``max_response_bytes`` either way."""
        most = self.endpoint.max_response_bytes
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("identity", "gzip", "deflate"):
            raise _unreadable(f"the server packs its answer as {packed[:20]}, though it was asked not to")
        unpacker = None if packed == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
        body = bytearray()
        async for part in response.content.iter_chunked(PART_BYTES):
            try:
                body += part if unpacker is None else unpacker.decompress(part, most + 1 - len(body))
            except zlib.error as error:
                raise _unreadable(f"the answer is packed wrongly: {error}") from None
            if len(body) > most:
                raise _unreadable(f"the answer is longer than max_response_bytes ({most:,})")
        return bytes(body)


def _unreadable(words: str) -> ItemError:
    return ItemError(words, transient=True)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    """Return the headers of every request: those of the SDK, with the key that belongs to this endpoint and no other."""
    sdk = openai.AsyncOpenAI(api_key=endpoint.key or _NO_KEY, base_url=endpoint.base_url, max_retries=0)
    headers = {name: value for name, value in sdk.default_headers.items() if isinstance(value, str)}
    # The SDK would send the organisation, and an administrator's key, from the environment to any address.
    foreign = () if endpoint.official else ("openai-organization", "openai-project")
    kept = {name: value for name, value in headers.items() if name.lower() not in (*foreign, "authorization")}
    key = {} if endpoint.key is None else {"Authorization": f"Bearer {endpoint.key}"}
    return {**kept, **key, "Accept-Encoding": "identity", "Content-Type": "application/json"}


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for ``url`` (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, …)."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
