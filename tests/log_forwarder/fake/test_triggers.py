from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compose_agent.cloudevents import CONTENT_TYPE, PATH
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from log_forwarder.fake.posts import Reply
from log_forwarder.fake.triggers import FakeTriggers

TRIGGER: dict[str, Any] = {"specversion": "1.0", "id": "a/b", "source": "/hosts/h", "type": "t", "data": {}}


def post(
    folder: Path, body: object, *, path: str = PATH, kind: str = CONTENT_TYPE, seconds: float = 10.0
) -> tuple[int, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return LocalClient(folder, "remediation", seconds).request("POST", path, data, {"Content-Type": kind})


def fake(folder: Path) -> FakeTriggers:
    return FakeTriggers(folder / "remediation.sock")


def test_a_trigger_is_kept_once_by_source_and_id(tmp_path: Path) -> None:
    with fake(tmp_path) as role:
        for trigger in (TRIGGER, TRIGGER, {**TRIGGER, "source": "/hosts/i"}, {**TRIGGER, "id": "c"}):
            assert post(tmp_path, trigger)[0] == 202
        assert [(each["source"], each["id"]) for each in role.triggers] == [
            ("/hosts/h", "a/b"),
            ("/hosts/i", "a/b"),
            ("/hosts/h", "c"),
        ]
        assert role.duplicates == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "truncated"),
        (b"[" * 100_000, "nested too deep"),
        ([], "expected a JSON object"),
        ({**TRIGGER, "specversion": "0.3"}, "specversion: expected 1.0, not 0.3"),
        ({key: value for key, value in TRIGGER.items() if key != "source"}, "source is missing"),
        ({**TRIGGER, "id": ""}, "id: expected a text"),
        ({**TRIGGER, "type": 1}, "type: expected a text"),
        ({**TRIGGER, "subject": ""}, "subject: expected a text"),
        ({**TRIGGER, "time": "yesterday"}, "yesterday"),
        ({**TRIGGER, "time": "2026-01-02T03:04:05"}, "time: expected a zone"),
        ({**TRIGGER, "trace_id": "x"}, "trace_id: no attribute has such a name"),
        ({**TRIGGER, "data": "x"}, "data: expected an object"),
    ],
)
def test_what_is_no_trigger_is_refused_with_the_reason(tmp_path: Path, body: object, said: str) -> None:
    with fake(tmp_path) as role:
        status, answer = post(tmp_path, body)
        assert status == 400
        assert said in answer.decode()
        assert role.triggers == []


def test_other_paths_and_types_are_refused(tmp_path: Path) -> None:
    with fake(tmp_path):
        assert post(tmp_path, TRIGGER, path="/v1/other")[0] == 404
        assert post(tmp_path, TRIGGER, kind="application/json")[0] == 415


def test_it_refuses_dies_and_hangs_on_demand(tmp_path: Path) -> None:
    with fake(tmp_path) as role:
        role.replies = [Reply(503), None]
        assert post(tmp_path, TRIGGER)[0] == 503
        with pytest.raises(ComposeAgentError, match="cut off"):
            post(tmp_path, TRIGGER)
        assert role.triggers == []
        role.unseen = 1
        with pytest.raises(ComposeAgentError, match="cut off"):
            post(tmp_path, TRIGGER)
        assert len(role.triggers) == 1
        role.hangs.set()
        with pytest.raises(ComposeAgentError, match="did not answer"):
            post(tmp_path, TRIGGER, seconds=0.2)
        role.hangs.clear()
        assert post(tmp_path, TRIGGER)[0] == 202
    assert role.path.exists()
    with pytest.raises(RoleNotRunning):
        post(tmp_path, TRIGGER)
    with fake(tmp_path):
        assert post(tmp_path, TRIGGER)[0] == 202
