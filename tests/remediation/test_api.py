from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from compose_agent.web.response import Response, routed
from remediation.api import reading_routes, writing_routes
from remediation.journal import FREEZE_FLAG, Journal, verify_audit
from remediation.model import Reason, State
from remediation.operations import Operations
from tests.remediation.journal.making import episode, intent, signal
from tests.remediation.standing import observer_of

NOW = 2000.0


class Client:
    """Calls the routes without a socket; ``woken`` counts how often the engine was told to look."""

    def __init__(self, journal: Journal) -> None:
        self.woken = 0
        operations = Operations(journal, self._wake, lambda: NOW)
        reading = reading_routes(journal, observer_of(journal), lambda: {"mend"}, lambda: NOW)
        self._routes = {**reading, **writing_routes(operations)}

    def _wake(self) -> None:
        self.woken += 1

    def get(self, path: str, **query: str) -> tuple[int, Any]:
        return self._call("GET", path, b"", urlencode(query))

    def post(self, path: str, body: object) -> tuple[int, Any]:
        return self._call("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), "")

    def _call(self, method: str, path: str, body: bytes, query: str) -> tuple[int, Any]:
        status: list[str] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "wsgi.input": io.BytesIO(body),
        }
        app = routed(self._routes, Response.text(404, "not found"))
        parts = app(environ, lambda said, *_: status.append(said))  # type: ignore[arg-type]
        return int(status[0][:3]), json.loads(b"".join(parts))


@pytest.fixture
def client(journal: Journal) -> Client:
    return Client(journal)


def waiting(journal: Journal, id: str = "abc1", episode_id: str = "e1", **other: Any) -> None:
    values = {"reason": Reason.APPROVAL, "not_before": NOW + 600, **other}
    journal.write(lambda tx: tx.put_episode(episode(episode_id, policy=f"mend {episode_id}")))
    journal.write(lambda tx: tx.put_intent(intent(id, episode=episode_id, **values)))


def test_actions_are_rows_by_filter(client: Client, journal: Journal) -> None:
    waiting(journal)
    status, rows = client.get("/v1/actions", state="planned", since="3.5", limit="1")
    assert status == 200
    assert [(row["id"], row["alert"], row["state"]) for row in rows] == [
        ("abc1", "ContainerUnhealthy", "planned")
    ]
    assert client.get("/v1/actions", state="done") == (200, [])


@pytest.mark.parametrize("query", [{"limit": "many"}, {"since": "yesterday"}])
def test_a_query_that_cannot_be_read_is_a_400(client: Client, query: dict[str, str]) -> None:
    status, answer = client.get("/v1/actions", **query)
    assert status == 400
    assert answer["error"]


def test_why_tells_accounts(client: Client, journal: Journal) -> None:
    journal.receive([signal("f1")])
    status, accounts = client.get("/v1/why", word="f1")
    assert status == 200
    assert accounts[0]["heading"] == "ContainerUnhealthy (f1)"
    assert client.get("/v1/why", word="nobody") == (200, [])
    assert client.get("/v1/why")[0] == 400


def test_freeze_and_thaw_are_on_disk_and_in_the_audit(client: Client, journal: Journal) -> None:
    status, answer = client.post("/v1/freeze", {"by": "ann", "why": "a move"})
    assert status == 200
    words = "frozen since 1970-01-01 00:33:20 UTC by ann: a move; 'compose-agent thaw' lets it go on"
    assert answer == {"frozen": words}
    assert journal.read(lambda view: view.flag(FREEZE_FLAG)) == words
    assert client.post("/v1/thaw", {"by": "bob"}) == (200, {"frozen": ""})
    assert journal.read(lambda view: view.flag(FREEZE_FLAG)) is None
    assert client.woken == 1
    said = [(each.kind, each.fields) for each in journal.read(lambda view: view.entries(0, 9))]
    assert said == [("frozen", {"by": "ann", "why": "a move"}), ("thawed", {"by": "bob", "why": ""})]
    assert client.post("/v1/thaw", {"by": "bob"}) == (409, {"error": "remediation is not frozen"})


def test_an_approved_action_is_due_at_once(client: Client, journal: Journal) -> None:
    waiting(journal)
    assert journal.read(lambda view: view.due(NOW, 9)) == []
    status, answer = client.post("/v1/approve", {"id": "abc", "by": "ann", "why": "seen it"})
    assert (status, answer["approved_by"]) == (200, "ann")
    assert [each.approved_by for each in journal.read(lambda view: view.due(NOW, 9))] == ["ann"]
    assert client.woken == 1
    (entry,) = journal.read(lambda view: view.entries_about(["abc1"], 9))
    assert (entry.kind, entry.fields, entry.subjects["episode"]) == (
        "approved",
        {"by": "ann", "why": "seen it"},
        "e1",
    )


def test_a_denied_action_ends(client: Client, journal: Journal) -> None:
    waiting(journal)
    status, answer = client.post("/v1/deny", {"id": "abc1", "by": "ann", "why": "not now"})
    assert (status, answer["state"], answer["reason"]) == (200, "suppressed", "denied")
    assert answer["detail"] == "denied by ann: not now"
    assert journal.read(lambda view: view.live_intent("e1")) is None
    assert journal.decisions() == {("denied", "mend"): 1}
    assert verify_audit(journal._file.folder).broken == 0


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"approved_by": "bob"}, "is approved by bob"),
        ({"state": State.DONE, "reason": ""}, "it is done"),
        ({"reason": Reason.BUDGET}, "it is planned budget"),
        ({"reason": Reason.DENIED, "state": State.SUPPRESSED}, "it is suppressed denied"),
    ],
)
def test_only_what_waits_for_approval_is_approved_or_denied(
    client: Client, journal: Journal, other: dict[str, Any], words: str
) -> None:
    waiting(journal, **other)
    before = journal.read(lambda view: view.intent("abc1"))
    for path in ("/v1/approve", "/v1/deny"):
        status, answer = client.post(path, {"id": "abc1", "by": "ann"})
        assert status == 409
        assert words.removeprefix("is ") in answer["error"]
    assert journal.read(lambda view: view.intent("abc1")) == before


def test_an_id_must_mean_one_action(client: Client, journal: Journal) -> None:
    waiting(journal, "abc1", "e1")
    waiting(journal, "abc2", "e2")
    for beginning in ("abc", "x", "", "ABC1", "%"):
        status, answer = client.post("/v1/approve", {"id": beginning, "by": "ann"})
        assert status == 409, answer
        assert "no action, or more than one" in answer["error"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b'{"by": 1}', b"{}", b'{"by": "a", "who": "b"}', b'{"by": "\\ud800"}'],
)
def test_a_body_that_cannot_be_read_is_a_400_and_changes_nothing(
    client: Client, journal: Journal, body: bytes
) -> None:
    for path in ("/v1/freeze", "/v1/thaw", "/v1/approve", "/v1/deny"):
        status, answer = client.post(path, body)
        assert status == 400
        assert answer["error"]
    assert journal.read(lambda view: view.entries(0, 9)) == []


def test_what_cannot_be_written_is_a_503(client: Client, journal: Journal) -> None:
    journal.close()
    for path in ("/v1/freeze", "/v1/thaw"):
        status, answer = client.post(path, {"by": "ann"})
        assert status == 503
        assert "is closed" in answer["error"]
    assert client.get("/v1/actions")[0] == 503


def test_the_overview_is_one_document(client: Client, journal: Journal) -> None:
    waiting(journal)
    status, found = client.get("/v1/overview")
    assert status == 200
    assert (found["approvals"], found["live"][0]["id"], found["frozen"]) == (1, "abc1", "")
