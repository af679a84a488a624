from __future__ import annotations

import json
from typing import TYPE_CHECKING
from wsgiref.util import setup_testing_defaults

import pytest

from compose_agent.web.health import Readiness, with_health
from compose_agent.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

READY = Readiness("exporter", "0.1.0", 3, ("127.0.0.1:9417",))
WAITING = Readiness("exporter", "0.1.0", 3, (), ("the Engine is not reachable",))


def ask(path: str, state: Readiness, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    environ: WSGIEnvironment = {"PATH_INFO": path, "REQUEST_METHOD": method}
    setup_testing_defaults(environ)
    seen: list[tuple[str, list[tuple[str, str]]]] = []

    def start(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        seen.append((status, headers))
        return len

    body = b"".join(with_health(Response.text(200, "the app"), lambda: state)(environ, start))
    status, headers = seen[0]
    return status, dict(headers), body


@pytest.mark.parametrize("state", [READY, WAITING])
def test_a_live_process_is_healthy_whether_ready_or_not(state: Readiness) -> None:
    assert ask("/-/healthy", state)[0] == "200 OK"


@pytest.mark.parametrize(("state", "status"), [(READY, "200 OK"), (WAITING, "503 Service Unavailable")])
def test_readiness_comes_with_what_stands_behind_it(state: Readiness, status: str) -> None:
    got, headers, body = ask("/-/ready", state)
    assert got == status
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "ready": state is READY,
        "role": "exporter",
        "version": "0.1.0",
        "revision": 3,
        "listeners": list(state.listeners),
        "reasons": list(state.reasons),
    }


def test_other_paths_are_the_applications() -> None:
    assert ask("/", READY)[2] == b"the app\n"
    assert ask("/-/healthy/", READY)[2] == b"the app\n"


def test_head_is_answered_without_a_body() -> None:
    status, headers, body = ask("/-/ready", WAITING, "HEAD")
    assert (status, body) == ("503 Service Unavailable", b"")
    assert int(headers["Content-Length"]) > 0


def test_another_method_is_told_what_there_is() -> None:
    status, headers, _ = ask("/-/healthy", READY, "POST")
    assert (status, headers["Allow"]) == ("405 Method Not Allowed", "GET")
