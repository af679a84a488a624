"""The list of what may be asked: what is on it, word for word, and the spellings that are not."""

from __future__ import annotations

import pytest

from broker.routes import ROUTES, NotServed, judge

ID = "4f" * 32

ALLOWED = [
    ("/_ping", "/_ping", []),
    ("/v1.41/_ping", "/v1.41/_ping", []),
    ("/version", "/version", []),
    ("/v1.51/info", "/v1.51/info", []),
    ("/events", "/events", []),
    (
        "/v1.51/events?since=1700000000.000000001&until=1700000009&filters=%7B%22type%22%3A%5B%22container%22%5D%7D",
        "/v1.51/events",
        [("since", "1700000000.000000001"), ("until", "1700000009"), ("filters", '{"type":["container"]}')],
    ),
    ("/containers/json?all=1&limit=-1&size=0&trunc_cmd=0", "/containers/json", None),
    (
        "/containers/json?filters=%7B%22label%22%3A%7B%22a+b%22%3Atrue%7D%7D",
        "/containers/json",
        [("filters", '{"label":{"a b":true}}')],
    ),
    (f"/v1.47/containers/{ID}/json?size=1", f"/v1.47/containers/{ID}/json", [("size", "1")]),
    ("/containers/web-1_a.b/json", "/containers/web-1_a.b/json", []),
    ("/containers/json/json", "/containers/json/json", []),  # a container may have this name
    ("/containers/web/stats?stream=False", "/containers/web/stats", [("stream", "False")]),
    ("/containers/web/stats?stream=0&one-shot=1", "/containers/web/stats", None),
    ("/containers/web/logs?follow=1&stdout=1&stderr=1&tail=all&since=1.5&timestamps=1", None, None),
    ("/containers/web/logs?tail=", "/containers/web/logs", [("tail", "")]),
    ("/containers/web/top?ps_args=-ef", "/containers/web/top", [("ps_args", "-ef")]),
    ("/images/json?all=0&shared-size=1&digests=1", "/images/json", None),
    ("/volumes?filters=%7B%7D", "/volumes", [("filters", "{}")]),
    ("/networks", "/networks", []),
    (
        "/system/df?type=container&type=volume&verbose=1",
        "/system/df",
        [("type", "container"), ("type", "volume"), ("verbose", "1")],
    ),
    ("/services?status=true", "/services", [("status", "true")]),
    ("/tasks", "/tasks", []),
    ("/v1.44/nodes", "/v1.44/nodes", []),
]

REFUSED_PATHS = [
    # what writes, or reads more than it should
    "/containers/web/attach/ws",
    "/containers/web/attach",
    "/containers/web/export",
    "/containers/web/archive",
    "/containers/web/changes",
    "/containers/web/exec",
    "/exec/1/json",
    "/session",
    "/grpc",
    "/build",
    "/images/busybox/json",
    "/images/get",
    "/images/busybox/get",
    "/images/search",
    "/configs",
    "/secrets",
    "/swarm",
    "/swarm/unlockkey",
    "/plugins",
    "/distribution/busybox/json",
    "/volumes/data",
    "/networks/bridge",
    "/services/web",
    "/services/web/logs",
    "/tasks/1/logs",
    "/nodes/1",
    "/debug/pprof/",
    # spellings
    "",
    "/",
    "*",
    "_ping",
    "/_PING",
    "/_ping/",
    "//_ping",
    "/./_ping",
    "/info/",
    "/info/../version",
    "/containers/../version",
    "/containers/json/",
    "/containers//json",
    "/containers/./json",
    "/containers/.../json",
    "/containers/.hidden/json",
    "/containers/-web/json",
    "/containers/we b/json",
    "/containers/web%2Fattach/json",
    "/containers/web%2fjson",
    "/containers/%77eb/json",
    "/containers/web%00/json",
    "/containers/web;v=1/json",
    "/containers/web/json;x",
    "/containers/web/json#x",
    "/containers/web\\json",
    "/containers/wéb/json",
    "/containers/web\n/json",
    "/containers/web/json\n",
    f"/containers/{'a' * 256}/json",
    "/containers/create",
    "/v1.41",
    "/v1.41/",
    "/v1.41/v1.41/info",
    "/v1.41//info",
    "/v2.0/info",
    "/v1/info",
    "/v1.41.1/info",
    "/v1.٤1/info",
    "/v-1.41/info",
    "/V1.41/info",
    "/v1.1000/info",
    "http://localhost/info",
    "//localhost/info",
]

REFUSED_QUERIES = [
    "/_ping?x=1",
    "/_ping?",
    "/info?",
    "/info?a",
    "/events?filters=",
    "/events?filters=[]",
    "/events?filters=%7B%22a%22%3A1%7D",
    "/events?filters=%7B",
    "/events?filters=" + "%5B" * 1000,
    "/events?since=10m",
    "/events?since=1&since=2",
    "/events?since=1&&until=2",
    "/events?since=1;until=2",
    "/events?since=%31&since=1",
    "/events?%73ince=1",
    "/events?since=%",
    "/events?since=%zz",
    "/events?since=1%00",
    "/events?since=1%0d%0aX:1",
    "/events?since=%ff",
    "/containers/json?all=yes",
    "/containers/json?all=1&all=0",
    "/containers/json?before=x",
    "/containers/web/logs?details=1",
    "/containers/web/logs?tail=-1",
    "/containers/web/top?ps_args=eww",
    "/containers/web/top?ps_args=-ef%20e",
    "/containers/web/top?ps_args=aux&ps_args=e",
    "/containers/web/stats?stream=1&Stream=0",
    "/system/df?type=secrets",
    "/info?x=1?y=2",
]


@pytest.mark.parametrize(("target", "path", "query"), ALLOWED)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_on_the_list_is_written_anew(
    method: str, target: str, path: str | None, query: list[tuple[str, str]] | None
) -> None:
    question = judge(method, target)
    assert question.method == method
    assert question.path == (path or target.partition("?")[0])
    if query is not None:
        assert list(question.query) == query


@pytest.mark.parametrize("target", REFUSED_PATHS)
def test_a_path_that_is_not_on_the_list_is_refused(target: str) -> None:
    with pytest.raises(NotServed) as raised:
        judge("GET", target)
    assert raised.value.reason == "path"


@pytest.mark.parametrize("target", REFUSED_QUERIES)
def test_a_parameter_that_is_not_on_the_list_is_refused(target: str) -> None:
    with pytest.raises(NotServed) as raised:
        judge("GET", target)
    assert raised.value.reason == "query"


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", ""]
)
def test_a_method_that_could_write_is_refused_on_every_route(method: str) -> None:
    for route in ROUTES:
        with pytest.raises(NotServed) as raised:
            judge(method, "/" + route.name.replace("{id}", "web"))
        assert raised.value.reason == "method"


def test_a_target_of_any_length_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(NotServed):
        judge("GET", "/events?since=" + "1" * 10_000)


def test_the_list_is_what_the_documents_say() -> None:
    names = "_ping version info events containers/json containers/{id}/json containers/{id}/stats \
        containers/{id}/logs containers/{id}/top images/json volumes networks system/df services tasks nodes"
    assert [route.name for route in ROUTES] == names.split()
