from __future__ import annotations

import pytest

from fleet.agent.pace import LONGEST_SECONDS, Backoff, Choice
from fleet.agent.transport import Target, retry_after


def test_pauses_grow_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    pauses = [backoff.next() for _ in range(8)]
    assert pauses[:3] == [0.25, 0.5, 1.0]
    assert pauses[-1] == LONGEST_SECONDS
    backoff.reset()
    assert backoff.next() == 0.25


def test_chance_only_shortens_a_pause() -> None:
    assert Backoff(chance=lambda: 0.0).next() == 0.125


def test_what_the_manager_asks_for_is_kept_to() -> None:
    assert Backoff(chance=lambda: 0.0).next(30.0) == 30.0
    assert Backoff(chance=lambda: 1.0).next(30.0) == 45.0


def test_websocket_that_fails_again_and_again_is_replaced_by_polling_in_turns() -> None:
    choice = Choice(polls_only=False)
    for _ in range(3):
        assert not choice.polling
        choice.failed()
    assert choice.polling
    choice.failed()
    assert not choice.polling


def test_polling_that_works_leads_back_to_websocket() -> None:
    choice = Choice(polls_only=False)
    for _ in range(3):
        choice.failed()
    choice.worked(polling=True)
    assert not choice.polling
    choice.failed()
    assert choice.polling


def test_websocket_is_tried_soon_after_an_outage_and_ever_more_rarely_behind_a_proxy() -> None:
    choice = Choice(polls_only=False)
    assert [choice.spell() for _ in range(5)] == [15.0, 30.0, 60.0, 120.0, 120.0]
    choice.worked(polling=False)
    assert choice.spell() == 15.0


def test_who_is_to_poll_only_polls() -> None:
    choice = Choice(polls_only=True)
    choice.failed()
    choice.worked(polling=True)
    assert choice.polling
    assert choice.spell() == float("inf")


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, None), ("5", 5.0), (" 7 ", 7.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 30.0)]
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


@pytest.mark.parametrize(
    ("url", "http", "polls"),
    [
        ("wss://m:1/agent", "https://m:1/agent", False),
        ("ws://m/agent", "http://m/agent", False),
        ("https://m/v1/opamp", "https://m/v1/opamp", True),
    ],
)
def test_a_target_s_two_urls(url: str, http: str, polls: bool) -> None:
    target = Target(url, "t")
    assert (target.http_url, target.polls) == (http, polls)
    assert target.headers == {"Authorization": "Bearer t"}
