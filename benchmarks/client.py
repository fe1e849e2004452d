"""Requests a second to an OpenAI-compatible server: our backend, with and without the journal, aiohttp bare, the plain SDK.

python benchmarks/client.py [REQUESTS]; the server, in a process of its own, answers each after LATENCY seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LATENCY = 0.05
TEXT = "The answer, word by word, as a model would write it. " * 8
PROMPT = "What is the capital of France, and why is it not another city? " * 4
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
                count = str(type(self).connections).encode()
                type(self).connections = 0
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(count) + count)
                self.buffer = self.buffer[end + 4 :]
                continue
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            asyncio.get_running_loop().call_later(LATENCY, self._reply)

    def _reply(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.answer)


async def serve() -> None:
    """Print the port, then answer until killed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def body() -> dict[str, object]:
    """Return what a request asks."""
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": "m", "messages": messages, "max_tokens": 200, "temperature": 0}


def ours(url: str, number: int, flight: int, journal: bool) -> None:
    """Ask through the backend, as a run does: requests made one by one, every answer stored."""
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
    cpu, began = time.process_time(), time.perf_counter()
    if mode.startswith("ours"):
        ours(url, number, flight, mode.endswith("journal"))
    else:
        asyncio.run((bare if mode == "aiohttp" else sdk)(url, number, flight))
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps([seconds, spent / number * 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def main() -> None:
    """Print the table."""
    import urllib.request

    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        root = f"http://127.0.0.1:{int(server.stdout.readline())}"
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
                seconds, cpu, memory = json.loads(done.stdout.splitlines()[-1])
                connections = urllib.request.urlopen(root).read().decode()
                ideal = count * LATENCY / flight / seconds
                print(
                    f"{mode:16}{flight:9}   {ideal:7.0%}   {cpu:8.2f} ms   {memory:5.0f} MB   {int(connections) - 1:6}",
                    flush=True,
                )
    finally:
        server.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] and sys.argv[1] in MODES:
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
