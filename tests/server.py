"""An OpenAI-compatible server that does what a model's name says: `python tests/server.py [PORT [ROOT]]` prints its address.

It answers the same every time, over real HTTP/1.1, and can do everything that goes wrong: see ``FAULTS``. ``GET /log``
lists what it was asked, ``POST /reset`` forgets it, ``POST /teach`` makes models known that are not (``{"models": […]}``),
has every answer wait (``{"delay": SECONDS}``) or be a fault (``{"broken": true}``). ROOT is the weights that ``/models`` tells.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOCK = threading.Lock()
CROWD = threading.Lock()
LOG: list[dict[str, Any]] = []
ASKED: Counter[tuple[str, str]] = Counter()
STATE: dict[str, Any] = {"in_flight": 0, "most": 0, "resets": 0, "crowd": 0, "delay": 0.0, "broken": False}
TAUGHT: set[str] = set()
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}


def digest(text: str) -> int:
    return int(hashlib.sha256(text.encode("utf-8")).hexdigest()[:8], 16)


def prompt_of(body: dict[str, Any]) -> str:
    return json.dumps(body.get("messages") or body.get("prompt"), ensure_ascii=False)


def words(body: dict[str, Any]) -> str:
    """What a model says: the same for the same prompt; a judge gives a label."""
    number = digest(body["model"] + prompt_of(body))
    if body["model"].startswith("judge"):
        return f"My own answer. [[{['A>>B', 'A>B', 'A=B', 'B>A', 'B>>A'][number % 5]}]]"
    return f"{body['model']} says {number}"


def label_logprobs(body: dict[str, Any]) -> list[tuple[str, float]]:
    """Alternatives for the first token; ``labels-rare`` hides one label, ``labels-far`` all but for a remainder."""
    share = 0.2 + 0.6 * (digest(prompt_of(body)) % 100) / 100
    if body["model"] == "labels-rare":
        return [("A", math.log(0.998)), ("The", math.log(0.001)), (" A", math.log(0.0005))]
    if body["model"] == "labels-far":
        return [("Sure", math.log(0.9)), ("A", math.log(0.01)), ("I", math.log(0.01))]
    if body["model"] == "labels-none":
        return [("Sure", math.log(0.9)), ("I", math.log(0.05))]
    return [("A", math.log(share)), (" B", math.log(0.98 - share)), ("B", math.log(0.01)), ("The", math.log(0.005))]


def chat(body: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A chat's reply; ``changed`` replaces fields of the message, or of the choice where it has them."""
    if "messages" not in body:
        return completion(body)
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": words(body)},
        "finish_reason": "stop",
    }
    if body.get("logprobs") and body["model"] != "mute":
        top = [{"token": t, "logprob": lp, "bytes": list(t.encode())} for t, lp in label_logprobs(body)]
        choice["message"]["content"], choice["finish_reason"] = top[0]["token"], "length"
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top[: body["top_logprobs"]]}]}
    for name, value in changed.items():
        (choice if name in choice else choice["message"])[name] = value
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": USAGE,
    }


def completion(body: dict[str, Any]) -> dict[str, Any]:
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    choices = [completion_choice(body, number, prompt) for number, prompt in enumerate(prompts)]
    return {"id": "x", "object": "text_completion", "model": body["model"], "choices": choices[::-1], "usage": USAGE}


def completion_choice(body: dict[str, Any], number: int, prompt: str) -> dict[str, Any]:
    """A completion; echoed prompts are cut into tokens of three characters, each with minus its length as log-probability."""
    choice: dict[str, Any] = {"index": number, "text": words(body), "finish_reason": "length", "logprobs": None}
    if "logprobs" not in body or body["model"] == "mute":
        return choice
    if not body.get("echo"):
        pairs = label_logprobs(body)
        return {**choice, "text": pairs[0][0], "logprobs": {"tokens": [pairs[0][0]], "top_logprobs": [dict(pairs)]}}
    tokens = [prompt[i : i + 3] for i in range(0, len(prompt), 3)]
    if body["model"] == "misspelt":
        tokens = ["\ufffd" for _ in tokens]
    values = [None, *(-float(len(token)) for token in tokens[1:])]
    return {**choice, "text": prompt + "!", "logprobs": {"tokens": [*tokens, "!"], "token_logprobs": [*values, -1.0]}}


def error(
    message: str, code: str | None = None, kind: str = "invalid_request_error", param: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


Reply = Callable[["Handler", dict[str, Any], int], None]


def status(number: int, body: Any, times: int = 1 << 30, **headers: str) -> Reply:
    """Reply with ``number`` the first ``times`` times that a prompt is asked, then answer."""

    def reply(handler: Handler, asked: dict[str, Any], count: int) -> None:
        if count < times:
            handler.send(number, body, {name.replace("_", "-"): value for name, value in headers.items()})
        else:
            handler.send(200, chat(asked))

    return reply


def ok(**changed: Any) -> Reply:
    return lambda handler, asked, count: handler.send(200, chat(asked, **changed))


def raw(body: bytes, kind: str = "application/json", **headers: str) -> Reply:
    return lambda handler, asked, count: handler.send_bytes(200, body, {"Content-Type": kind, **headers})


def stall(handler: Handler, asked: dict[str, Any], count: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    time.sleep(30)


def drip(handler: Handler, asked: dict[str, Any], count: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(300):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def reset(times: int) -> Reply:
    def reply(handler: Handler, asked: dict[str, Any], count: int) -> None:
        if count >= times:
            return handler.send(200, chat(asked))
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        handler.connection.close()
        handler.close_connection = True
        return None

    return reply


def without(field: str, message: str, code: str | None = "unsupported_parameter") -> Reply:
    """A model that does not take ``field``."""

    def reply(handler: Handler, asked: dict[str, Any], count: int) -> None:
        if field in asked:
            handler.send(400, error(message, code, param=field))
        else:
            handler.send(200, chat(asked))

    return reply


def small_context(handler: Handler, asked: dict[str, Any], count: int) -> None:
    """A context of 100 tokens, of which the prompt takes 90."""
    if asked["max_tokens"] > 10:
        message = (
            f"'max_tokens' is too large: {asked['max_tokens']}. This model's maximum context length is 100 tokens and your "
            "request has 90 input tokens."
        )
        return handler.send(400, error(message, kind="BadRequestError"))
    return handler.send(200, chat(asked, finish_reason="length"))


def credit(handler: Handler, asked: dict[str, Any], count: int) -> None:
    """An account that pays for three answers, until it is taught to pay."""
    with LOCK:
        number = sum(entry["body"]["model"] == "credit" for entry in LOG)
    if number > 3 and "credit" not in TAUGHT:
        handler.send(429, error("You exceeded your current quota", "insufficient_quota"), {"Retry-After": "0"})
    else:
        handler.send(200, chat(asked))


def echo_key(number: int) -> Reply:
    def reply(handler: Handler, asked: dict[str, Any], count: int) -> None:
        key = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        if number == 200:
            return handler.send(
                200, chat(asked, content=f"your key is {key}", reasoning=f"Authorization: Bearer {key}")
            )
        body = error(f"bad {handler.headers.get('Authorization')} {key[:14]}*** http://u:{key}@host/", "x")
        return handler.send(number, body, {"x-key": key})

    return reply


def crowded(handler: Handler, asked: dict[str, Any], count: int) -> None:
    """Serve four at once and tell all others to wait."""
    with CROWD:
        STATE["crowd"] += 1
        full = STATE["crowd"] > 4
    try:
        if full:
            return handler.send(429, error("too many requests at once"))
        time.sleep(0.06)
        return handler.send(200, chat(asked))
    finally:
        with CROWD:
            STATE["crowd"] -= 1


STORM_SECONDS = 1.0
RATE, BURST = 100.0, 10.0  # a second, and at once, of a server that has a limit
STORMS: dict[str, dict[str, Any]] = {}


def refused_by(name: str, limit: bool) -> bool:
    """Say whether a storm refuses now: what is above its rate, or nine in ten during the first STORM_SECONDS."""
    now = time.monotonic()
    new = {"began": now, "filled": now, "bucket": BURST, "calls": 0, "late": 0, "refused": 0}
    state = STORMS.setdefault(name, new)
    state["calls"] += 1
    if limit:
        state["bucket"] = min(BURST, state["bucket"] + (now - state["filled"]) * RATE)
        state["filled"] = now
        refused = state["bucket"] < 1
        state["bucket"] -= not refused
    else:
        refused = now < state["began"] + STORM_SECONDS and state["calls"] % 10 != 0
    state["late"] += now >= state["began"] + STORM_SECONDS
    state["refused"] += refused
    return refused


def storm(limit: bool, number: int = 429, **headers: str) -> Reply:
    """A server that refuses most, in one of the ways that servers do."""

    def reply(handler: Handler, asked: dict[str, Any], count: int) -> None:
        with CROWD:
            refused = refused_by(asked["model"], limit)
        if refused:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            return handler.send(number, error("slow down"), given)
        time.sleep(0.01)
        return handler.send(200, chat(asked))

    return reply


def cut_off(handler: Handler, asked: dict[str, Any], count: int) -> None:
    """Break the connection in the middle of a body."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.connection.close()
    handler.close_connection = True


def swapped(handler: Handler, asked: dict[str, Any], count: int) -> None:
    """A model whose replies have another one's name from the fourth on."""
    with LOCK:
        number = sum(entry["body"]["model"] == "swapped" for entry in LOG)
    handler.send(200, {**chat(asked), "model": "swapped-2025" if number > 3 else "swapped-2024"})


def gzip_bomb(megabytes: int) -> bytes:
    """A gzip stream of as many megabytes of spaces, made of one block over and over."""
    packer = zlib.compressobj(9, wbits=31)
    first = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * (megabytes - 1)


def zipped(handler: Handler, asked: dict[str, Any], count: int) -> None:
    handler.send_bytes(200, gzip.compress(json.dumps(chat(asked)).encode()), {"Content-Encoding": "gzip"})


BOMB = gzip_bomb(1024)
LATER = "HTTP-date"  # filled in when it is sent
FAULTS: dict[str, Reply] = {
    "429-seconds": status(429, error("slow down"), 2, Retry_After="0.2"),
    "429-round": status(429, error("slow down"), 1, Retry_After="0.2"),
    "429-date": status(429, error("slow down"), 1, Retry_After=LATER),
    "429-ms": status(429, error("slow down"), 9, Retry_After_Ms="20"),
    "429-bare": status(429, error("slow down"), 1),
    "429-ms-always": status(429, error("slow down"), Retry_After_Ms="20"),
    "429-long": status(429, error("slow down"), Retry_After="86400"),
    "500-once": status(500, error("oops"), 1),
    "503-once": status(503, error("loading"), 1),
    "529-once": status(529, error("overloaded"), 1),
    "408-once": status(408, error("late"), 1),
    "409-once": status(409, error("conflict"), 1),
    "500-always": status(500, "<html>Bad Gateway</html>"),
    "stall": stall,
    "drip": drip,
    "reset-once": reset(1),
    "reset-always": reset(1 << 30),
    "html": raw(b"<html><body>welcome</body></html>", "text/html"),
    "cut": raw(b'{"choices": [{"index": 0, "mess'),
    "nothing": raw(b""),
    "a-list": raw(b"[]"),
    "nan": raw(b'{"choices": NaN}'),
    "deep": raw(b'{"choices":' + b"[" * 200_000),
    "no-choices": raw(b'{"object": "chat.completion"}'),
    "empty-choices": raw(b'{"choices": []}'),
    "wrong-choices": raw(b'{"choices": "none"}'),
    "no-message": raw(b'{"choices": [{"finish_reason": "stop"}]}'),
    "null-content": ok(content=None),
    "list-content": ok(content=[{"type": "text", "text": "x"}]),
    "no-finish": ok(finish_reason=None),
    "tools": ok(finish_reason="tool_calls"),
    "odd-usage": raw(
        b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],'
        b' "usage": {"completion_tokens": 1e400, "prompt_tokens": "many"}}'
    ),
    "bomb": raw(BOMB, Content_Encoding="gzip"),
    "zipped": zipped,
    "brotli": raw(b"\x00", Content_Encoding="br"),
    "huge": lambda handler, asked, count: handler.send(200, chat(asked, content="x" * (1 << 20))),
    "huge-error": status(400, error("x" * (1 << 20))),
    "length": ok(finish_reason="length"),
    "filter": ok(content=None, finish_reason="content_filter"),
    "filter-400": status(400, error("The response was filtered due to Azure's content management policy", "content_filter")),
    "refusal": ok(content=None, refusal="I cannot help with that."),
    "thinker": ok(reasoning_content="Hm. So."),
    "thinker-2": ok(reasoning="Hm. So."),
    "thinker-cut": ok(content=None, reasoning_content="Hm", finish_reason="length"),
    "context": status(400, error("maximum context length is 10 tokens, you sent 99", "context_length_exceeded")),
    "context-room": small_context,
    "bad": status(400, error("messages: must alternate")),
    "bad-422": status(422, {"detail": [{"msg": "wrong"}]}),
    "forbidden": status(403, error("your country is not served")),
    "quota": status(429, error("You exceeded your current quota", "insufficient_quota", "insufficient_quota")),
    "payment": status(402, error("Insufficient Balance")),
    "no-temperature": without("temperature", "'temperature' does not support 0 with this model.", "unsupported_value"),
    "no-stop": without("stop", "Unsupported parameter: 'stop' is not supported with this model."),
    "no-max-tokens": without("max_tokens", "'max_tokens' is not supported with this model. Use 'max_completion_tokens'."),
    "no-logprobs": without("logprobs", "You are not allowed to request logprobs from this model", None),
    "redirect": status(307, "", Location="http://elsewhere.invalid/v1"),
    "echo-400": echo_key(400),
    "echo-401": echo_key(401),
    "echo-500": echo_key(500),
    "echo-200": echo_key(200),
    "credit": credit,
    "crowded": crowded,
    "storm": storm(False), "storm-seconds": storm(False, Retry_After="1"), "storm-date": storm(False, Retry_After=LATER),
    "storm-503": storm(False, 503), "storm-529": storm(False, 529),
    "limit": storm(True), "limit-seconds": storm(True, Retry_After="0.1"), "limit-date": storm(True, Retry_After=LATER),
    "limit-503": storm(True, 503), "limit-529": storm(True, 529),
    "cut-off": cut_off,
    "one-choice": lambda handler, asked, count: handler.send(200, {**chat(asked), "choices": chat(asked)["choices"][:1]}),
    "swapped": swapped,
    "alias": lambda handler, asked, count: handler.send(200, {**chat(asked), "model": "alias-2024-08-06"}),
    "50-mb": lambda handler, asked, count: handler.send_bytes(200, b'{"choices": "' + b"x" * (50 << 20), {}),
    "slow": lambda handler, asked, count: (time.sleep(0.3), handler.send(200, chat(asked)))[1],
}  # fmt: skip
PLAIN = {"good", "other", "judge", "judge-2", "labels", "labels-rare", "labels-far", "labels-none", "mute", "misspelt"}


ROOT = sys.argv[2] if len(sys.argv) > 2 else "weights"


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open; a reply leaves in one piece, or Nagle's algorithm would hold it back."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_: Any) -> None:
        """Write nothing on stderr."""

    def send(self, number: int, body: Any, headers: dict[str, str] | None = None) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_bytes(number, text.encode("utf-8"), headers or {})

    def send_bytes(self, number: int, body: bytes, headers: dict[str, str]) -> None:
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        lines = {
            name.replace("_", "-"): formatdate(time.time() + 1.5, usegmt=True) if value == LATER else value
            for name, value in lines.items()
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.wfile.write(f"HTTP/1.1 {number} X\r\n{head}\r\n".encode("latin-1") + body)

    def do_GET(self) -> None:
        if self.path == "/log":
            with LOCK:
                return self.send(200, {"asked": LOG, "storms": STORMS, **STATE})
        if self.path == "/v1/models":
            rows = [{"id": name, "created": time.time(), "root": ROOT} for name in sorted(PLAIN | TAUGHT)]
            return self.send(200, {"object": "list", "data": rows})
        return self.send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if self.path in ("/reset", "/teach"):
            return self._control(body)
        if self.path not in ("/v1/chat/completions", "/v1/completions"):
            return self.send(404, {"detail": "Not Found"})
        key = (str(body["model"]), prompt_of(body))
        with LOCK:
            count = ASKED[key]
            ASKED[key] += 1
            LOG.append(
                {
                    "path": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "body": body,
                    "port": self.client_address[1],
                }
            )
            began = STATE["resets"]
            STATE["in_flight"] += 1
            STATE["most"] = max(STATE["most"], STATE["in_flight"])
        try:
            return self._answer(body, count)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with LOCK:
                STATE["in_flight"] -= began == STATE["resets"]  # one that stalls outlives the test that asked it

    def _control(self, body: dict[str, Any]) -> None:
        with LOCK:
            if self.path == "/reset":
                LOG.clear()
                ASKED.clear()
                TAUGHT.clear()
                STORMS.clear()
                STATE.update(in_flight=0, most=0, delay=0.0, broken=False)
                STATE["resets"] += 1
            TAUGHT.update(body.get("models", ()))
            STATE.update({name: body[name] for name in ("delay", "broken") if name in body})
        self.send(200, {})

    def _answer(self, body: dict[str, Any], count: int) -> None:
        name = body["model"]
        time.sleep(STATE["delay"])
        if STATE["broken"]:
            return self.send(500, error("broken"))
        if "wrong" in (self.headers.get("Authorization") or ""):
            said = error(f"Incorrect API key provided: {self.headers['Authorization'][7:]}.", "invalid_api_key")
            return self.send(401, said)
        if name in FAULTS:
            return FAULTS[name](self, body, count)
        if name not in PLAIN | TAUGHT:
            return self.send(404, error(f"The model `{name}` does not exist.", "model_not_found"))
        return self.send(200, chat(body) if self.path.endswith("/chat/completions") else completion(body))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()  # ends with its parent
    server.serve_forever()
