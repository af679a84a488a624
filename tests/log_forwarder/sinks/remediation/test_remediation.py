"""Triggers arrive once, whatever happens to the role that takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from compose_agent.web.localclient import LocalClient
from log_forwarder.deadletters import FILE_NAME
from log_forwarder.fake.posts import Reply
from log_forwarder.fake.triggers import FakeTriggers
from log_forwarder.outbox import Tally
from log_forwarder.replay import replay
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import RequestSink, SinkContext, SinkUnavailable
from log_forwarder.sinks.remediation.matches import Matcher
from log_forwarder.sinks.remediation.sink import RemediationSink
from tests.log_forwarder.making import make_batch, until
from tests.log_forwarder.sinks.courier import Delivery
from tests.log_forwarder.transforms.building import event

TRIGGERS = {"oom": re.compile("out of memory"), "killed": re.compile("killed")}


@pytest.fixture
def role(tmp_path: Path) -> Iterator[FakeTriggers]:
    with FakeTriggers(tmp_path / "remediation.sock") as fake:
        yield fake


def sink(run_dir: Path, word: str = "remediation://") -> RequestSink:
    made = make_sink(parse(word), SinkContext(word, "host-1", run_dir, run_dir, TRIGGERS))
    assert isinstance(made, RemediationSink)
    return made


def delivery(folder: Path, *logs: str) -> Delivery:
    """Deliver lines that are a second apart."""
    batch = make_batch()
    batch.events = [event(log, number, at=float(number)) for number, log in enumerate(logs)]
    return Delivery(sink(folder), folder, [batch])


def lines(role: FakeTriggers) -> list[str]:
    return [each["data"]["line"] for each in role.triggers]


def balanced(tally: Tally) -> bool:
    return tally.read == tally.sent + tally.dropped.total() + tally.dead_lettered + tally.held


def test_what_matches_is_posted_in_order_and_the_rest_is_counted(role: FakeTriggers, tmp_path: Path) -> None:
    logs = ["fine", "out of memory 1", "fine", "killed, out of memory 2", "killed 3"]
    tally = delivery(tmp_path, *logs).finish()
    assert [each["id"].rpartition("/")[2] for each in role.triggers] == ["oom", "oom", "killed", "killed"]
    assert lines(role) == ["out of memory 1", logs[3], logs[3], "killed 3"]
    assert (tally.read, tally.sent, tally.dropped, tally.held) == (5, 3, {"no_match": 2}, 0)
    assert {post.headers["content-type"] for post in role.posts} == {"application/cloudevents+json"}


def test_a_storm_is_counted_and_few_are_posted(role: FakeTriggers, tmp_path: Path) -> None:
    batch = make_batch()
    batch.events = [event("out of memory", number) for number in range(3000)]  # a millisecond apart
    tally = Delivery(sink(tmp_path), tmp_path, [batch]).finish()
    assert len(role.triggers) == 3
    assert (tally.sent, tally.dropped) == (3, {"rate_limited": 2997})
    assert balanced(tally)


def test_many_triggers_go_in_several_rounds(role: FakeTriggers, tmp_path: Path) -> None:
    logs = [f"out of memory {n}" for n in range(120)]
    assert delivery(tmp_path, *logs).finish().sent == 120
    assert lines(role) == logs


@pytest.mark.parametrize("status", [429, 503, 500, 404])
def test_a_role_that_takes_nothing_now_gets_it_later(role: FakeTriggers, tmp_path: Path, status: int) -> None:
    role.replies = [Reply(status, b"not now")]
    on_its_way = delivery(tmp_path, "out of memory 1", "out of memory 2")
    assert on_its_way.finish().sent == 2
    assert lines(role) == ["out of memory 1", "out of memory 2"]
    assert on_its_way.courier.health.failures.total() == 1


def test_what_was_taken_before_a_refusal_is_not_sent_again(role: FakeTriggers, tmp_path: Path) -> None:
    made = sink(tmp_path)
    batch = make_batch()
    batch.events = [event("killed", number, at=float(number)) for number in range(4)]
    role.replies = [Reply(202), Reply(400, b"no\n"), Reply(503)]
    answer = made.send(made.encode(batch), again=False)
    assert answer.rejected == {1: "the role remediation answered 400 (no)"}
    assert list(answer.again) == [2, 3]


def test_a_trigger_whose_answer_was_not_seen_is_taken_once(role: FakeTriggers, tmp_path: Path) -> None:
    role.unseen = 1
    assert delivery(tmp_path, "out of memory 1", "out of memory 2").finish().sent == 2
    assert lines(role) == ["out of memory 1", "out of memory 2"]
    assert role.duplicates == 1


def test_a_trigger_that_is_refused_for_good_is_a_dead_letter_and_can_be_sent_again(
    role: FakeTriggers, tmp_path: Path
) -> None:
    role.replies = [Reply(422, b"no such pattern\n")]
    tally = delivery(tmp_path, "out of memory 1", "out of memory 2").finish()
    assert (tally.sent, tally.dead_lettered) == (1, 1)
    (letter,) = map(json.loads, (tmp_path / FILE_NAME).read_text().splitlines())
    assert letter["reason"] == "the role remediation answered 422 (no such pattern)"
    outcome = replay(tmp_path, [parse("remediation://?name=sink")], tmp_path, TRIGGERS)
    assert (outcome.sent, outcome.left) == (1, 0)
    assert lines(role) == ["out of memory 2", "out of memory 1"]


def test_a_role_that_starts_later_gets_everything(tmp_path: Path) -> None:
    on_its_way = delivery(tmp_path, "fine", "out of memory")
    until(lambda: on_its_way.courier.health.error)
    assert "the role remediation is not running: nobody listens on" in on_its_way.courier.health.error
    assert on_its_way.outbox.tally().held == 2
    with FakeTriggers(tmp_path / "remediation.sock") as role:
        tally = on_its_way.finish()
        assert lines(role) == ["out of memory"]
    assert (tally.sent, tally.dropped) == (1, {"no_match": 1})


def test_a_role_that_died_left_its_socket_and_is_not_there(tmp_path: Path) -> None:
    with FakeTriggers(tmp_path / "remediation.sock"):
        pass
    made = sink(tmp_path)
    with pytest.raises(SinkUnavailable, match="nobody listens") as failed:
        made.send(made.encode(make_batch("killed")), again=False)
    assert not failed.value.unseen


def test_a_role_that_hangs_is_given_up_within_the_deadline(role: FakeTriggers, tmp_path: Path) -> None:
    role.hangs.set()
    made = RemediationSink(LocalClient(tmp_path, "remediation", 0.3), Matcher("host-1", TRIGGERS))
    with pytest.raises(SinkUnavailable, match=r"did not answer on .* within 0.3 s") as failed:
        made.send(made.encode(make_batch("killed")), again=False)
    assert failed.value.unseen


def test_a_path_names_another_socket(tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    with FakeTriggers(elsewhere / "x.sock") as role:
        made = sink(tmp_path, f"remediation://{tmp_path}/else%20where/x.sock")
        made.send(made.encode(make_batch("killed")), again=False)
        assert lines(role) == ["killed"]


@pytest.mark.parametrize("word", ["remediation://host", "remediation://host:1/x", "remediation:///a%00b"])
def test_a_word_that_names_no_local_socket_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match="expected remediation://, or a socket of this host"):
        sink(tmp_path, word)


def test_where_nobody_knows_the_run_directory_the_socket_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name the role's socket"):
        make_sink(parse("remediation://"), SinkContext("x", "host-1", tmp_path))
