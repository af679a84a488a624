"""What a webhook gets from a real Alertmanager: the assumptions that the receiver rests on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.alertmanager import LINES, Alertmanager, alert, pair, to_webhook
from lab.receiver import Post, ScriptedReceiver

pytestmark = [pytest.mark.engine]

NEVER = "0001-01-01T00:00:00Z"
# Some of its shortest intervals, and of its back-off, which begins with half a second.
QUIET_SECONDS = 2.5


@pytest.fixture
def receiver() -> Iterator[ScriptedReceiver]:
    with ScriptedReceiver() as started:
        yield started


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def only(post: Post) -> dict[str, Any]:
    (found,) = post.body["alerts"]
    assert isinstance(found, dict)
    return found


def identity(post: Post) -> tuple[str, str]:
    return only(post)["fingerprint"], only(post)["startsAt"]


def ended(name: str) -> dict[str, Any]:
    return alert(name, ends=time.time() - 0.1)


def test_an_alert_of_its_own_fires_and_resolves(receiver: ScriptedReceiver, line: str) -> None:
    starts = time.time()
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A", starts=starts, container="web")])
        (fired,) = receiver.wait_for_posts(1)
        alertmanager.post_alerts([alert("A", starts=starts, ends=time.time(), container="web")])
        resolved = receiver.wait_for_posts(2)[1]

    assert fired.method == "POST"
    assert fired.headers["User-Agent"].startswith(f"Alertmanager/{line}.")
    assert fired.body["version"] == "4"
    assert only(fired)["labels"] == {"alertname": "A", "container": "web"}
    assert only(fired)["endsAt"] == NEVER
    assert fired.alerts == [("A", "firing")]
    assert resolved.alerts == [("A", "resolved")]
    assert only(resolved)["endsAt"] != NEVER
    assert identity(resolved) == identity(fired)


def test_a_start_moves_when_a_source_tells_of_an_earlier_one(receiver: ScriptedReceiver, line: str) -> None:
    """Hence a start names no episode: an alert that resolves may have begun before it fired."""
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        receiver.wait_for_posts(1)
        alertmanager.post_alerts([alert("A", starts=time.time() - 60.0, ends=time.time())])
        fired, resolved = receiver.wait_for_posts(2)

    assert resolved.alerts == [("A", "resolved")]
    assert identity(resolved)[0] == identity(fired)[0]
    assert identity(resolved)[1] < identity(fired)[1]


def test_a_resolved_alert_comes_inside_a_firing_group(receiver: ScriptedReceiver, line: str) -> None:
    configuration = to_webhook(receiver.url, group_by=["team"], group_wait="1s")
    with Alertmanager(configuration, line=line) as alertmanager:
        alertmanager.post_alerts([alert(name) for name in "AB"])
        receiver.wait_for_posts(1)
        alertmanager.post_alerts([ended("B")])
        first, second = receiver.wait_for_posts(2)

    assert sorted(first.alerts) == [("A", "firing"), ("B", "firing")]
    assert second.body["status"] == "firing"
    assert sorted(second.alerts) == [("A", "firing"), ("B", "resolved")]


def test_what_fires_on_is_repeated_as_it_was(receiver: ScriptedReceiver, line: str) -> None:
    with Alertmanager(to_webhook(receiver.url, repeat_interval="2s"), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        first, again = receiver.wait_for_posts(2)

    assert again.body["alerts"] == first.body["alerts"]


def test_what_fires_anew_has_the_same_fingerprint_and_another_start(
    receiver: ScriptedReceiver, line: str
) -> None:
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        for count in (1, 3):
            alertmanager.post_alerts([alert("A")])
            receiver.wait_for_posts(count)
            alertmanager.post_alerts([ended("A")])
            receiver.wait_for_posts(count + 1)

    first, _, anew, _ = receiver.posts
    assert identity(anew)[0] == identity(first)[0]
    assert identity(anew)[1] > identity(first)[1]


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_sent_again_until_it_is_taken(
    receiver: ScriptedReceiver, line: str, status: int
) -> None:
    receiver.answer(status)
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        receiver.wait_for_posts(2)
        receiver.answer(202)
        posts = receiver.wait_for(lambda posts: posts[-1].status == 202)
        assert receiver.quiet_for(QUIET_SECONDS) == []

    assert {identity(post) for post in posts} == {identity(posts[0])}


def test_a_client_error_is_sent_again_with_every_interval(receiver: ScriptedReceiver, line: str) -> None:
    receiver.answer(400)
    with Alertmanager(to_webhook(receiver.url, group_interval="2s"), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        first, second, third = receiver.wait_for_posts(3)

    assert second.at - first.at > 1.5
    assert third.at - second.at > 1.5


def test_what_was_never_taken_never_resolves(receiver: ScriptedReceiver, line: str) -> None:
    receiver.answer(400)
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        receiver.wait_for_posts(1)
        alertmanager.post_alerts([ended("A")])
        time.sleep(QUIET_SECONDS)
        receiver.answer(202)
        late = receiver.quiet_for(QUIET_SECONDS)

    assert late == []
    assert {post.alerts[0] for post in receiver.posts} == {("A", "firing")}


def test_an_answer_that_comes_too_late_is_a_failure(receiver: ScriptedReceiver) -> None:
    """Hence the receiver does not wait for what it is to do."""
    receiver.answer(200, after=30.0)
    configuration = to_webhook(receiver.url, group_interval="10s", webhook={"timeout": "1s"})
    with Alertmanager(configuration) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        first, second = receiver.wait_for_posts(2)

    assert second.body["alerts"] == first.body["alerts"]


def test_a_receiver_that_is_down_gets_it_when_it_is_back(receiver: ScriptedReceiver, line: str) -> None:
    receiver.down()
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        alertmanager.process.wait_until(
            lambda: (
                alertmanager.metric("alertmanager_notifications_failed_total") > 0
                or alertmanager.metric("alertmanager_notification_requests_failed_total") > 0
            ),
            30.0,
            "did not try",
        )
        receiver.up()
        (post,) = receiver.wait_for_posts(1)

    assert post.alerts == [("A", "firing")]


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (307, "POST")])
def test_a_redirect_counts_as_delivered_wherever_it_leads(
    receiver: ScriptedReceiver, line: str, status: int, method: str
) -> None:
    """Hence the receiver never redirects."""
    with ScriptedReceiver() as elsewhere:
        receiver.answer(status, location=elsewhere.url)
        with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
            alertmanager.post_alerts([alert("A")])
            (followed,) = elsewhere.wait_for_posts(1)
            assert receiver.quiet_for(QUIET_SECONDS) == []

    assert followed.method == method
    assert len(receiver.posts) == 1


def test_what_is_cut_from_a_group_is_told_by_the_api(receiver: ScriptedReceiver, line: str) -> None:
    configuration = to_webhook(receiver.url, group_by=["team"], group_wait="1s", webhook={"max_alerts": 2})
    with Alertmanager(configuration, line=line) as alertmanager:
        alertmanager.post_alerts([alert(name) for name in "ABCDE"])
        (post,) = receiver.wait_for_posts(1)
        told = {each["fingerprint"]: each for each in alertmanager.alerts()}

    assert post.body["truncatedAlerts"] == 3
    sent = {each["fingerprint"]: each for each in post.body["alerts"]}
    assert len(sent) == 2
    assert sent.keys() < told.keys()
    assert len(told) == 5
    assert all(told[key]["labels"] == sent[key]["labels"] for key in sent)
    assert post.body["receiver"] in {each["name"] for each in told[min(told)]["receivers"]}


def test_one_that_was_killed_sends_again_what_was_taken(receiver: ScriptedReceiver, line: str) -> None:
    with Alertmanager(to_webhook(receiver.url), line=line) as alertmanager:
        starts = time.time()
        alertmanager.post_alerts([alert("A", starts=starts)])
        receiver.wait_for_posts(1)
        alertmanager.kill()
        alertmanager.restart()
        alertmanager.post_alerts([alert("A", starts=starts)])
        first, again = receiver.wait_for_posts(2)

    assert identity(again) == identity(first)


def test_of_a_pair_one_sends(receiver: ScriptedReceiver, line: str) -> None:
    with pair(to_webhook(receiver.url), line=line) as both:
        for one in both:
            one.post_alerts([alert("A")])
        receiver.wait_for_posts(1)
        assert receiver.quiet_for(QUIET_SECONDS) == []


def test_a_pair_without_an_answer_sends_twice(receiver: ScriptedReceiver) -> None:
    """Hence who sends, and which of its requests it is, says nothing about what is asked for."""
    receiver.answer(503)
    starts = time.time()
    with pair(to_webhook(receiver.url), peer_timeout="1s") as both:
        for one in both:
            one.post_alerts([alert("A", starts=starts)])
        posts = receiver.wait_for(lambda posts: len({post.body["externalURL"] for post in posts}) == 2)

    assert {identity(post) for post in posts} == {identity(posts[0])}


def test_the_second_of_a_pair_steps_in_for_one_that_died(receiver: ScriptedReceiver) -> None:
    starts = time.time()
    with pair(to_webhook(receiver.url, group_wait="2s"), peer_timeout="1s") as both:
        for one in both:
            one.post_alerts([alert("A", starts=starts)])
        for one in both:
            one.process.freeze()
        both[0].kill()
        both[1].process.thaw()
        (post,) = receiver.wait_for_posts(1)

    assert post.alerts == [("A", "firing")]
