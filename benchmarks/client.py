"""Requests a second to an OpenAI-compatible server: our backend, with and without the journal, aiohttp bare, the plain SDK.

python benchmarks/client.py [REQUESTS]; the server, in a process of its own, answers each after LATENCY seconds.
python benchmarks/client.py storm; the server refuses most: by a rate limit that is far below what is asked, or at random.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import ClassVar

LATENCY = 0.05
TEXT = "The answer, word by word, as a model would write it. " * 8
PROMPT = "What is the capital of France, and why is it not another city? " * 4
STORM_LATENCY = 0.02
RATE, BURST = 100, 20  # a second, and at once, of the server that has a limit
BLUNT_SECONDS = 5.0  # in which nine of ten are refused, of the server that has none
STORMS = [(kind, status, after) for kind in ("limit", "blunt") for status, after in (
    (429, ""), (429, "seconds"), (429, "date"), (503, ""), (529, ""),
)]  # fmt: skip
MODES = ("ours", "ours, journal", "aiohttp", "SDK")


class Server(asyncio.Protocol):
    """HTTP/1.1 by hand: every request has a body and a Content-Length, every answer is the same."""

    connections = 0
    reply = json.dumps(
        {
            "id": "x", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 60, "completion_tokens": 90, "total_tokens": 150},
        }
    ).encode()  # fmt: skip
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, b""
        type(self).connections += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            if head.startswith(b"get"):
                self.transport.write(self._told(head.split()[1].decode()))
                self.buffer = self.buffer[end + 4 :]
                continue
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self._asked()

    def _told(self, path: str) -> bytes:
        """Return the number of connections, and count anew; what our client looks for besides is not there."""
        if path != "/":
            return b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
        count = str(type(self).connections).encode()
        type(self).connections = 0
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(count) + count

    def _asked(self) -> None:
        asyncio.get_running_loop().call_later(LATENCY, self._reply)

    def _reply(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.answer)


class Stormy(Server):
    """Refuses: above RATE with a bucket of BURST (``limit``), or nine of ten at random for BLUNT_SECONDS (``blunt``)."""

    kind, status, after = "limit", 429, ""
    began = filled = 0.0
    bucket = float(BURST)
    calls: ClassVar[list[tuple[float, bool]]] = []
    chance = random.Random(0)

    @classmethod
    def prepare(cls, kind: str, status: str, after: str) -> None:
        """Set what is refused, and how."""
        cls.kind, cls.status, cls.after = kind, int(status), after
        cls.calls, cls.bucket, cls.began = [], float(BURST), 0.0

    def _told(self, path: str) -> bytes:
        words = path.split("/")
        if words[1] == "storm":
            self.prepare(*words[2:5])
        if words[1] == "v1":
            return super()._told(path)
        body = json.dumps(self.calls).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def _asked(self) -> None:
        now, cls = time.monotonic(), type(self)
        if not cls.began:
            cls.began = cls.filled = now
        if cls.kind == "limit":
            cls.bucket, cls.filled = min(BURST, cls.bucket + (now - cls.filled) * RATE), now
            served = cls.bucket >= 1
            cls.bucket -= served
        else:
            served = now - cls.began > BLUNT_SECONDS or cls.chance.random() < 0.1
        cls.calls.append((now - cls.began, served))
        if served:
            asyncio.get_running_loop().call_later(STORM_LATENCY, self._reply)
        else:
            self.transport.write(self._refusal())

    def _refusal(self) -> bytes:
        after = {"": "", "seconds": "1", "date": formatdate(time.time() + 1, usegmt=True)}[self.after]
        head = f"Retry-After: {after}\r\n" if after else ""
        return f"HTTP/1.1 {self.status} X\r\n{head}Content-Length: 0\r\n\r\n".encode()


async def serve(protocol: type[Server]) -> None:
    """Print the port, then answer until killed."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def body() -> dict[str, object]:
    """Return what a request asks."""
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": "m", "messages": messages, "max_tokens": 200, "temperature": 0}


def ours(url: str, number: int, flight: int, journal: bool) -> int:
    """Ask through the backend, as a run does: requests made one by one, every answer stored; return the cuts of its pace."""
    from evalharness.backends import opened, resolve
    from evalharness.specs.model import ModelSpec
    from evalharness.stages.stream import Stop, drain
    from evalharness.store import Journal
    from evalharness.text import sha256
    from evalharness.types import Message, Request, Sampling

    engine = resolve(ModelSpec("m", "openai", "m", base_url=url, engine={"concurrency": flight}))
    message, sampling = (Message("user", PROMPT),), Sampling(temperature=0.0, max_tokens=200)
    requests = (Request(sha256(str(i))[:32], "generate", message, None, sampling) for i in range(number))
    with tempfile.TemporaryDirectory() as folder:
        backend = opened(engine, Path(folder))
        if not journal:
            assert sum(result.text == TEXT for result in drain(backend, requests, Stop(), lambda: None)) == number
        else:
            with Journal.writing(Path(folder)) as store:
                for result in drain(backend, requests, Stop(), store.tick):
                    store.put(result)
                store.flush()
        backend.close()
        return int(backend.counts["cuts"])  # type: ignore[attr-defined]


async def bare(url: str, number: int, flight: int) -> None:
    """Ask with aiohttp alone: as many workers as may be in flight."""
    import aiohttp

    left = iter(range(number))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=flight)) as session:

        async def worker() -> None:
            for _ in left:
                async with session.post(f"{url}/chat/completions", json=body()) as response:
                    assert (await response.json())["choices"][0]["message"]["content"] == TEXT

        await asyncio.gather(*(worker() for _ in range(flight)))


async def sdk(url: str, number: int, flight: int) -> None:
    """Ask with the plain SDK."""
    import openai

    left = iter(range(number))
    async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

        async def worker() -> None:
            for _ in left:
                reply = await client.chat.completions.create(**body())  # type: ignore[call-overload]
                assert reply.choices[0].message.content == TEXT

        await asyncio.gather(*(worker() for _ in range(flight)))


def measure(mode: str, url: str, number: int, flight: int) -> None:
    """Print seconds, milliseconds of CPU a request, and the most memory in MB of one client; imports are left out."""
    if mode.startswith("ours"):
        import evalharness.backends.openai.client  # noqa: F401
    elif mode == "SDK":
        import openai  # noqa: F401
    else:
        import aiohttp  # noqa: F401
    cuts = 0
    cpu, began = time.process_time(), time.perf_counter()
    if mode.startswith("ours"):
        cuts = ours(url, number, flight, mode.endswith("journal"))
    else:
        asyncio.run((bare if mode == "aiohttp" else sdk)(url, number, flight))
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps([seconds, spent / number * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, cuts]))


@contextmanager
def serving(mode: str) -> Iterator[str]:
    """Start a server in a process of its own, and give its address."""
    server = subprocess.Popen([sys.executable, __file__, mode], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()


def storm(number: int, flight: int = 64) -> None:
    """Print for each storm the calls made for one answer, in all and after it ended (a rate limit: in the second half)."""
    import urllib.request

    print(f"{number:,} requests, {flight} in flight\n{'':28}seconds   refused at first   calls/answer   after   cuts")
    with serving("serve-storm") as root:
        for kind, status, after in STORMS:
            urllib.request.urlopen(f"{root}/storm/{kind}/{status}/{after}").close()
            words = [sys.executable, __file__, "ours, cuts", f"{root}/v1", str(number), str(flight)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{kind} {status} {after}: failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            calls = json.loads(urllib.request.urlopen(f"{root}/calls").read())
            begin = calls[-1][0] / 2 if kind == "limit" else BLUNT_SECONDS
            late = [served for at, served in calls if at > begin]
            first = [served for _, served in calls[:200]]
            name = f"{kind} {status}" + (f", Retry-After: {after}" if after else "")
            print(
                f"{name:28}{calls[-1][0]:7.1f}   {1 - sum(first) / len(first):16.0%}   {len(calls) / number:12.2f}   "
                f"{len(late) / max(1, sum(late)):5.2f}   {json.loads(done.stdout.splitlines()[-1])[3]:4}",
                flush=True,
            )


def main() -> None:
    """Print the table."""
    import urllib.request

    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with serving("serve") as root:
        print(
            f"{number:,} requests, {LATENCY * 1e3:.0f} ms each\n{'':16}in flight   of ideal   CPU/request   memory   connections"
        )
        for flight in (64, 256):
            for mode in MODES:
                count = number if mode != "SDK" else min(number, 2_000)
                done = subprocess.run(
                    [sys.executable, __file__, mode, f"{root}/v1", str(count), str(flight)],
                    capture_output=True, text=True, env={**os.environ, "OPENAI_API_KEY": "none"}, check=False,
                )  # fmt: skip
                if done.returncode:
                    print(f"{mode:16}{flight:9}   failed: {done.stderr.strip().splitlines()[-1]}")
                    continue
                seconds, cpu, memory, _ = json.loads(done.stdout.splitlines()[-1])
                connections = urllib.request.urlopen(root).read().decode()
                ideal = count * LATENCY / flight / seconds
                print(
                    f"{mode:16}{flight:9}   {ideal:7.0%}   {cpu:8.2f} ms   {memory:5.0f} MB   {int(connections) - 1:6}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("serve"):
        asyncio.run(serve(Stormy if sys.argv[1] == "serve-storm" else Server))
    elif sys.argv[1:2] == ["storm"]:
        storm(int(sys.argv[2]) if len(sys.argv) > 2 else 2_000)
    elif sys.argv[1:2] and sys.argv[1] in (*MODES, "ours, cuts"):
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
