from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.verbs.namespaces import dependents

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def one(id: str, mode: str, **more: Any) -> dict[str, Any]:
    return {"Id": id, "HostConfig": {"NetworkMode": mode}} | more


@pytest.mark.parametrize(
    ("containers", "found"),
    [
        ([], {}),
        ([one(A, "bridge"), one(B, "host"), {"Id": C}], {}),
        ([one(A, "bridge"), one(B, f"container:{A}")], {A: (B,)}),
        ([one(C, f"container:{A}"), one(A, "bridge"), one(B, f"container:{A}")], {A: (B, C)}),
        ([one(A, "bridge"), one(B, f"container:{A[:12]}")], {A: (B,)}),
        ([one(A, "bridge", Name="/web"), one(B, "container:web")], {A: (B,)}),
        ([one(A, "bridge", Names=["/web"]), one(B, "container:web")], {A: (B,)}),
        # Whose namespace it was is gone.
        ([one(B, f"container:{A}")], {}),
        ([one(A, "bridge"), one(B, "container:")], {}),
    ],
)
def test_who_shares_whose_network(
    containers: list[dict[str, Any]], found: dict[str, tuple[str, ...]]
) -> None:
    assert dependents(containers) == found


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


def test_the_engines_list_is_enough(engine: FakeEngine) -> None:
    parent = engine.add_container("vpn")
    child = engine.add_container("browser", network=f"container:{parent}")
    client = EngineClient(Endpoint(engine.url, "test"))
    assert dependents(client.list_containers()) == {parent: (child,)}
    client.close()
