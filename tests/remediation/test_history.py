from __future__ import annotations

import pytest

from remediation.history import Filter, rows
from remediation.journal import Journal, Tx
from remediation.model import State
from tests.remediation.journal.making import SHOP_WEB, episode, intent


@pytest.fixture
def filled(journal: Journal) -> Journal:
    """Return a journal with 500 ended intents of one episode, and three of others."""

    def fill(tx: Tx) -> None:
        tx.put_episode(episode("e0"))
        for number in range(500):
            tx.put_intent(intent(f"old{number}", episode="e0", state=State.DONE, created_at=10.0))
        tx.put_intent(intent("i1", episode="e0", created_at=20.0))
        tx.put_intent(intent("i2", episode="e2", policy="scale", target=SHOP_WEB, created_at=30.0))
        tx.put_intent(intent("i3", episode="e3", state=State.FAILED, created_at=40.0))

    journal.write(fill)
    return journal


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(since=15.0), ["i3", "i2", "i1"]),
        (Filter(state="planned"), ["i2", "i1"]),
        (Filter(policy="scale"), ["i2"]),
        (Filter(target="shop/web"), ["i2"]),
        (Filter(target="service:shop/web"), ["i2"]),
        (Filter(target="container:shop/web"), []),
        (Filter(target="shop-web-1", since=15.0), ["i3", "i1"]),
        (Filter(state="failed", policy="scale"), []),
        (Filter(like="OP/W"), ["i2"]),
        (Filter(like="shop", since=15.0), ["i3", "i2", "i1"]),
        (Filter(like="service:"), []),
    ],
)
def test_the_actions_meant_come_newest_first(filled: Journal, wanted: Filter, ids: list[str]) -> None:
    assert [row.id for row in filled.read(lambda view: rows(view, wanted, 99))] == ids


def test_only_so_many_as_asked_for_are_read(filled: Journal) -> None:
    assert len(filled.read(lambda view: rows(view, Filter(), 450))) == 450
    assert len(filled.read(lambda view: rows(view, Filter(), 9999))) == 503
    assert filled.read(lambda view: rows(view, Filter(), 0)) == []
    assert len(filled.read(lambda view: rows(view, Filter(state="done"), 9999, among=13))) == 10


def test_a_row_has_the_alert_that_led_to_it(filled: Journal) -> None:
    row = filled.read(lambda view: rows(view, Filter(state="planned"), 9))[1]
    assert (row.alert, row.fingerprint, row.alert_started_at) == ("ContainerUnhealthy", "f1", 1000.0)
    orphan = filled.read(lambda view: rows(view, Filter(policy="scale"), 9))[0]
    assert (orphan.alert, orphan.alert_started_at) == ("", 0.0)
