"""One model behind several addresses, over real servers: balance, addresses that die and come back, other models there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalharness.errors import BackendError, ModelError
from tests.backends.questions import asking, logged, one
from tests.conftest import ApiServer


@pytest.fixture
def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def own(free_port: int) -> Iterator[list[ApiServer]]:
    """Servers of the test's own at one port, one after another, which it may end."""
    servers = [ApiServer(free_port)]
    yield servers
    for server in servers:
        server.close()


def test_requests_go_where_the_fewest_are_and_each_address_has_its_own_connections(
    api_server: Any, second_server: Any, backend: Any
) -> None:
    served = backend("slow", concurrency=16, base_url=(api_server.url, second_server.url))
    assert served.window == 32
    for _ in range(2):
        assert all(result.error is None for result in served.submit(asking(i) for i in range(8)))
    for server in (api_server, second_server):
        assert len(server.log()) == 8 and server.state()["most"] == 4
        assert len({entry["port"] for entry in server.log()}) <= 5  # one may have read /models at the same time


def test_equal_addresses_take_turns(api_server: Any, second_server: Any, backend: Any) -> None:
    served = backend("good", base_url=(api_server.url, second_server.url))
    for number in range(6):
        one(served, asking(number))
    assert len(api_server.log()) == len(second_server.log()) == 3


def test_a_faster_address_gets_more(api_server: Any, second_server: Any, backend: Any) -> None:
    second_server.tell("teach", delay=0.2)
    served = backend("good", concurrency=2, base_url=(api_server.url, second_server.url))
    assert len(list(served.submit(asking(i) for i in range(60)))) == 60
    assert len(api_server.log()) > 2 * len(second_server.log()) > 0


def test_an_address_that_nobody_answers_at_is_left_out_and_taken_in_when_it_is_there(
    api_server: Any, backend: Any, free_port: int, tmp_path: Path
) -> None:
    served = backend("slow", concurrency=2, base_url=(f"http://127.0.0.1:{free_port}/v1", api_server.url))
    late: list[ApiServer] = []
    starter = threading.Timer(1.0, lambda: late.append(ApiServer(free_port)))
    starter.start()
    try:
        results = list(served.submit(asking(i) for i in range(40)))
        assert len(results) == 40 and all(result.error is None for result in results)
        starter.join()
        assert len(late[0].log()) >= 4 and len(late[0].log()) + len(api_server.log()) == 40
    finally:
        starter.join()
        for server in late:
            server.close()
    assert f"127.0.0.1:{free_port}/v1 is left out until it answers again" in logged(tmp_path)


@pytest.mark.parametrize("kind", ["dns", "tls"])
def test_an_address_without_a_name_or_without_tls_costs_no_item(kind: str, api_server: Any, backend: Any) -> None:
    bad = "http://nowhere.invalid/v1" if kind == "dns" else api_server.url.replace("http:", "https:")
    results = list(backend("good", base_url=(bad, api_server.url)).submit(asking(i) for i in range(30)))
    assert len(results) == 30 and all(result.error is None for result in results)
    with pytest.raises(BackendError, match=rf"{bad} cannot be reached \(connection failed: .*base_url") as caught:
        one(backend("good", base_url=bad, max_retries=0))
    assert caught.value.exit_code == 6


def test_an_address_that_answers_with_faults_is_left_out_and_its_requests_go_to_the_others(
    api_server: Any, second_server: Any, backend: Any, tmp_path: Path
) -> None:
    second_server.tell("teach", broken=True)
    served = backend("slow", concurrency=4, base_url=(api_server.url, second_server.url))
    results = list(served.submit(asking(i) for i in range(40)))
    assert len(results) == 40 and all(result.error is None for result in results)
    # those that went there before it was left out, and a request now and then to see whether it is back
    assert len(second_server.log()) <= 4 + 3 + 4 and len(api_server.log()) == 40
    assert f"{second_server.url} is left out until it answers again: HTTP 500" in logged(tmp_path)


def test_while_no_server_is_there_requests_wait_and_none_fails(own: list[ApiServer], backend: Any) -> None:
    served, results = backend("slow", concurrency=4, base_url=own[0].url, max_retries=0), []

    def restart() -> None:
        time.sleep(1.0)
        own.append(ApiServer(int(own[0].url.split(":")[2].split("/")[0])))

    for result in served.submit(asking(i) for i in range(24)):
        results.append(result)
        if len(results) == 4:
            own[0].close()
            threading.Thread(target=restart).start()
    broken = [result for result in results if result.error]
    assert len(results) == 24 and len(broken) <= 4, broken  # those that were being answered when it died
    assert all(result.transient and "connection broken" in str(result.error) for result in broken)


def test_where_nobody_comes_back_the_run_ends_with_one_message(own: list[ApiServer], backend: Any) -> None:
    served, results = backend("slow", concurrency=2, base_url=own[0].url, deadline=2, max_retries=0), []
    began = time.monotonic()
    with pytest.raises(BackendError, match=f"nobody answers at {own[0].url} any more, for . s") as caught:
        for result in served.submit(asking(i) for i in range(50)):
            results.append(result)
            if len(results) == 2:
                own[0].close()
    assert caught.value.exit_code == 6 and time.monotonic() - began < 10
    assert len([result for result in results if result.error is None]) >= 2 and len(results) < 10


@pytest.mark.parametrize("root", ["weights", "other-weights"])
def test_a_server_that_comes_back_is_asked_whether_it_serves_the_same_weights(
    root: str, own: list[ApiServer], backend: Any
) -> None:
    own[0].tell("teach", models=["named", "slow"])
    port = int(own[0].url.split(":")[2].split("/")[0])
    served, results = backend("slow", concurrency=2, base_url=own[0].url), []

    def ask() -> None:
        for result in served.submit(asking(i) for i in range(16)):
            results.append(result)
            if len(results) == 6:
                own[0].close()
                own.append(ApiServer(port, root))
                own[1].tell("teach", models=["slow"])

    if root == "weights":
        ask()
        assert len(results) == 16 and all(result.error is None for result in results)
        return
    with pytest.raises(ModelError, match="answered as 'slow root weights' and now serves 'slow root other-weights'"):
        ask()
    assert own[1].log() == []  # nothing was asked of the other model


def test_a_reply_of_another_model_ends_the_run_and_names_both(api_server: Any, backend: Any) -> None:
    results = []
    with pytest.raises(ModelError, match="answered as 'swapped-2024' and now serves 'swapped-2025'"):
        results.extend(backend("swapped", concurrency=1).submit(asking(i) for i in range(20)))
    assert len(api_server.log("swapped")) == 4


def test_a_model_that_answers_under_its_full_name_is_told_once_in_the_log(backend: Any, tmp_path: Path) -> None:
    results = list(backend("alias", concurrency=2).submit(asking(i) for i in range(8)))
    assert all(result.error is None for result in results)
    assert logged(tmp_path).count("answers as alias-2024-08-06") == 1
