"""What our client is told by a real Alertmanager, and what a real one makes of the receiver's answers."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.alertmanager import LINES, Alertmanager, alert, to_webhook
from lab.loopback import DIRECT
from remediation.alertmanager import Alertmanager as Client
from remediation.model import Signal
from tests.remediation.receiver.serving import Kept, receiver_of, served

pytestmark = [pytest.mark.engine]

# Alertmanager tries again after half a second, then ever more slowly; and the machine is shared.
PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.05


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def webhook(kept: Kept) -> Iterator[str]:
    with served(receiver_of(kept)) as server:
        yield f"{server.url}/webhook"


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not met():
        assert time.monotonic() < end, "it did not come"
        time.sleep(_POLL_SECONDS)


def identity(signal: Signal) -> tuple[str, str, bool, float]:
    return signal.name, signal.fingerprint, signal.firing, signal.starts_at


def silence(alertmanager: Alertmanager, **matcher: Any) -> str:
    """Silence what a matcher says for an hour and return the silence's id."""
    now = datetime.now(UTC)
    body = {
        "matchers": [{"isRegex": False, "isEqual": True, **matcher}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "we are moving it",
    }
    request = urllib.request.Request(  # noqa: S310 - our own
        f"{alertmanager.url}/api/v2/silences", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with DIRECT.open(request, timeout=PATIENCE_SECONDS) as response:
        return str(json.load(response)["silenceID"])


def test_an_alert_is_the_same_by_webhook_and_by_api(kept: Kept, webhook: str, line: str) -> None:
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A", name='größe "\\\n', starts=time.time() - 0.0123456)])
        until(lambda: bool(kept.signals))
        (by_webhook,) = kept.signals
        (by_api,) = Client(alertmanager.url).alerts({"alertname": "A"}, "webhook")
    assert identity(by_api) == identity(by_webhook)
    assert (by_api.labels, by_api.annotations) == (by_webhook.labels, by_webhook.annotations)
    assert (by_webhook.ends_at, by_api.ends_at) == (0.0, 0.0)


def test_what_was_cut_from_a_group_is_found(kept: Kept, webhook: str, line: str) -> None:
    configuration = to_webhook(webhook, group_by=["team"], group_wait="1s", webhook={"max_alerts": 2})
    with Alertmanager(configuration, line=line) as alertmanager:
        alertmanager.post_alerts([alert(name, team='a"b') for name in "ABCDE"])
        alertmanager.post_alerts([alert("F", team="other")])
        until(lambda: bool(kept.truncated))
        (left_out,) = kept.truncated
        found = Client(alertmanager.url).alerts(left_out.group_labels, left_out.receiver)
    assert left_out.number == 3
    assert sorted(signal.name for signal in found) == list("ABCDE")


def test_alerts_are_found_by_labels_and_receiver_and_not_when_silenced(webhook: str, line: str) -> None:
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A", name="a{b}=~,'"), alert("A", name='c\\d"e\nf')])
        client = Client(alertmanager.url)
        until(lambda: len(client.alerts({"alertname": "A"})) == 2)
        for name in ("a{b}=~,'", 'c\\d"e\nf'):
            assert [signal.labels["name"] for signal in client.alerts({"name": name})] == [name]
        assert client.alerts({"alertname": "A"}, "web.ook") == []
        assert client.alerts({"alertname": "A.*"}) == []
        silence(alertmanager, name="name", value="a{b}=~,'")
        until(lambda: len(client.alerts({"alertname": "A"})) == 1)


def test_silences_are_known(webhook: str, line: str) -> None:
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        client = Client(alertmanager.url)
        assert client.silences().active == []
        first = silence(alertmanager, name="name", value="shop-.*", isRegex=True)
        second = silence(alertmanager, name="alertname", value="A", isEqual=False)
        until(lambda: len(client.silences().active) == 2)
        silences = client.silences()
    covering = {
        labels: (found.id if (found := silences.of({"alertname": labels[0], "name": labels[1]})) else None)
        for labels in (("A", "shop-web-1"), ("A", "db"), ("B", "db"))
    }
    assert covering == {("A", "shop-web-1"): first, ("A", "db"): None, ("B", "db"): second}


def test_an_alert_of_our_own_is_taken_and_resolves(kept: Kept, webhook: str, line: str) -> None:
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        client = Client(alertmanager.url)
        client.raise_alert({"alertname": "RemediationFailed", "name": "shop-web-1"}, {"summary": "x"})
        until(lambda: bool(kept.signals))
        client.raise_alert(kept.signals[0].labels, {}, ends_at=time.time())
        until(lambda: len(kept.signals) == 2)
    assert [(signal.name, signal.firing) for signal in kept.signals] == [
        ("RemediationFailed", True),
        ("RemediationFailed", False),
    ]


def test_a_receiver_that_could_not_keep_it_gets_it_again(kept: Kept, webhook: str, line: str) -> None:
    kept.broken = True
    with Alertmanager(to_webhook(webhook), line=line) as alertmanager:
        alertmanager.post_alerts([alert("A")])
        until(lambda: alertmanager.metric("alertmanager_notification_requests_failed_total") > 0)
        kept.broken = False
        until(lambda: bool(kept.signals))
    assert [signal.name for signal in kept.signals] == ["A"]
