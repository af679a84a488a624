"""The sink against a fake that refuses in Loki's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.event import Event
from log_forwarder.fake.loki import FakeLoki
from log_forwarder.fake.posts import Reply
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import Answer, RequestSink, SinkContext, SinkUnavailable
from log_forwarder.sinks.loki.encode import labels
from tests.log_forwarder.making import container
from tests.log_forwarder.sinks.courier import Delivery, dead_lines
from tests.log_forwarder.sinks.lines import batch, event, numbered, send_once, sink, texts
from tests.log_forwarder.sinks.trouble import verdict

STREAM = (
    '{compose_project="shop", compose_service="web", container="shop-web-1", host="host-1", stream="stdout"}'
)
SECOND = 1_767_323_045_000_000_000


@pytest.fixture
def fake() -> Iterator[FakeLoki]:
    with FakeLoki() as started:
        yield started


def made(fake: FakeLoki, folder: Path, options: str = "") -> RequestSink:
    return sink(f"loki://127.0.0.1:{fake.port}{options}", folder)


@pytest.mark.parametrize("options", ["", "?compress=none"])
def test_lines_arrive_in_order_with_their_time_and_id(fake: FakeLoki, tmp_path: Path, options: str) -> None:
    events = [event(number, f'größe "{number}"\n\0') for number in range(3)]
    assert send_once(made(fake, tmp_path, options), batch(events)) == Answer()
    assert fake.streams == {
        STREAM: [(SECOND + n, each.log, {"event_id": each.id}) for n, each in enumerate(events)]
    }
    assert fake.posts[0].headers.get("content-encoding") == (None if options else "gzip")
    assert fake.posts[0].headers["content-type"] == "application/json"


def test_each_output_is_a_stream_of_its_own(fake: FakeLoki, tmp_path: Path) -> None:
    events = [Event(str(n), ("stdout", "stderr")[n % 2], "2026-01-02T03:04:05Z", id=str(n)) for n in range(4)]
    send_once(made(fake, tmp_path), batch(events))
    assert {name[-9:]: fake.lines(name) for name in fake.streams} == {
        '"stdout"}': ["0", "2"],
        '"stderr"}': ["1", "3"],
    }


def test_a_container_outside_compose_has_no_empty_labels() -> None:
    assert labels(container(name=""), "stdout", "h") == {
        "container": "0123456789ab",
        "stream": "stdout",
        "host": "h",
    }


def test_what_people_look_for_across_streams_is_metadata_and_text(fake: FakeLoki, tmp_path: Path) -> None:
    line = event(1)
    line.fields = {"level": "warn", "trace_id": "ab", "span_id": 7, "other": 1, "deep": {}}
    send_once(made(fake, tmp_path), batch([line]))
    assert fake.streams[STREAM][0][2] == {
        "event_id": line.id,
        "level": "warn",
        "trace_id": "ab",
        "span_id": "7",
    }


def test_an_old_loki_gets_no_metadata(fake: FakeLoki, tmp_path: Path) -> None:
    send_once(made(fake, tmp_path, "?structured-metadata=false"), batch([event(1, "\ud800")]))
    assert json.loads(fake.posts[0].body)["streams"][0]["values"] == [[str(SECOND + 1), "?"]]


def test_half_a_surrogate_pair_is_replaced(fake: FakeLoki, tmp_path: Path) -> None:
    send_once(made(fake, tmp_path), batch([event(1, "a\ud800")]))
    assert fake.lines(STREAM) == ["a?"]


def test_tenant_and_further_headers_go_with_every_request(fake: FakeLoki, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("# ours\nX-Key: secret\n\nX-Other:1\n")
    send_once(made(fake, tmp_path, f"?tenant=shop&header-file={tmp_path}/headers"), numbered(0, 1))
    sent = fake.posts[0].headers
    assert (sent["x-scope-orgid"], sent["x-key"], sent["x-other"]) == ("shop", "secret", "1")


def test_another_path_may_be_given(fake: FakeLoki, tmp_path: Path) -> None:
    with pytest.raises(SinkUnavailable, match=r"answered 404 \(404 page not found\): check that the sink's"):
        send_once(made(fake, tmp_path, "/gateway/push"), numbered(0, 1))
    assert fake.posts[0].path == "/gateway/push"


@pytest.mark.parametrize(
    ("reply", "unseen", "pause"),
    [
        (Reply(429, headers={"Retry-After": "7"}), False, 7.0),
        (Reply(500, b"no"), True, 0.0),
        (Reply(503), True, 0.0),
        (None, True, 0.0),
    ],
)
def test_a_loki_in_trouble_is_left_alone(
    fake: FakeLoki, tmp_path: Path, reply: Reply | None, unseen: bool, pause: float
) -> None:
    assert verdict(made(fake, tmp_path), fake, reply) == (unseen, pause)


@pytest.mark.parametrize("limit", ["too_old_before", "behind_before"])
@pytest.mark.parametrize("within_second", [0, 5])
def test_what_is_too_old_becomes_dead_letters_and_the_rest_is_stored_once(
    fake: FakeLoki, tmp_path: Path, limit: str, within_second: int
) -> None:
    old = [Event(f"old {n}", "stdout", "2026-01-02T03:04:04Z", id=f"old-{n}") for n in range(30)]
    setattr(fake, limit, SECOND + within_second)
    delivery = Delivery(made(fake, tmp_path), tmp_path, [batch(old), numbered(0, 40)])
    tally = delivery.finish()
    refused = [f"old {n}" for n in range(30)] + texts(0, within_second)
    assert sorted(dead_lines(tmp_path)) == sorted(refused)
    assert fake.lines(STREAM) == texts(within_second, 40)
    assert (tally.sent, tally.dead_lettered) == (70 - len(refused), len(refused))
    assert len(fake.posts) < 25


@pytest.mark.parametrize("count", [3, 12])
def test_what_is_out_of_order_becomes_dead_letters_also_when_not_all_are_listed(
    fake: FakeLoki, tmp_path: Path, count: int
) -> None:
    fake.out_of_order = {SECOND + number for number in range(0, 2 * count, 2)}
    tally = Delivery(made(fake, tmp_path), tmp_path, [numbered(0, 40)]).finish()
    assert sorted(dead_lines(tmp_path)) == sorted(f"line {number}" for number in range(0, 2 * count, 2))
    assert sorted(fake.lines(STREAM)) == sorted(
        f"line {n}" for n in range(40) if SECOND + n not in fake.out_of_order
    )
    assert tally.dead_lettered == count


def test_a_refusal_that_names_no_entry_is_halved_until_it_is_found(fake: FakeLoki, tmp_path: Path) -> None:
    fake.poison = "bad"
    tally = Delivery(
        made(fake, tmp_path), tmp_path, [batch([event(n) for n in range(9)] + [event(9, "bad")])]
    )
    assert tally.finish().dead_lettered == 1
    assert dead_lines(tmp_path) == ["bad"]
    assert fake.lines(STREAM) == texts(0, 9)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("X-Key secret", "header-file: expected lines such as X-Scope-OrgID: shop"),
        ("X-Key: größe", "header-file: expected lines such as"),
        ("content-type: text/plain", "header-file: the header content-type is set by the agent"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "headers").write_text(content)
    with pytest.raises(ConfigError, match=problem):
        make_sink(parse(f"loki://h?header-file={tmp_path}/headers"), SinkContext("x", "h", tmp_path))


def test_a_tenant_that_cannot_be_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tenant: expected a name in ASCII"):
        make_sink(parse("loki://h?tenant=gr%C3%B6%C3%9Fe"), SinkContext("x", "h", tmp_path))
