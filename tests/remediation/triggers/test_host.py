from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.usage.service import ServiceMeter
from remediation.prometheus import Series
from remediation.triggers.host import Triggers, Wishes
from remediation.triggers.memory import FolderMemory
from remediation.triggers.query import Query
from remediation.triggers.scaler.rules import Aim, ScaleRule
from tests.dockerd.watched import until
from tests.remediation.triggers.scaler.test_driver import Usage
from tests.remediation.triggers.told import Inbox

RULE = ScaleRule("shop", "web", "sum(requests)", Aim(10.0), 1, 4)


def ask(_: str) -> Sequence[Series]:
    return [Series({"name": "web"}, 1.0)]


def test_all_triggers_start_change_and_stop_together(tmp_path: Path) -> None:
    inbox = Inbox()
    with FakeEngine() as engine:
        engine.add_project("shop", {"web": 1})
        probed = engine.add_container("probed", labels={"compose-agent.probe.tcp": "none"})
        client = EngineClient(Endpoint(engine.url, "test"))
        triggers = Triggers(inbox.receive, FolderMemory(tmp_path))
        inventory = Inventory(client, on_event=triggers.hear, since_ns=triggers.since_ns)
        inventory.start()
        assert inventory.wait_complete(20)
        wishes = Wishes([Query("High", "x", every=0.05)], [RULE], ask, lambda _: 30.0)
        triggers.start(inventory, client.inspect, ServiceMeter(Usage()), wishes)
        try:
            engine.die("probed", 2)
            until(lambda: set(inbox.told()) >= {"+High", "+ServiceScale", "+ContainerDied"})
            assert (triggers.ailing(), triggers.died()) == (frozenset(), frozenset({probed}))
            triggers.change(Wishes([], [], ask, lambda _: None))
            until(lambda: set(inbox.told()) >= {"-High", "-ServiceScale"})
            engine.add_container("wrong", labels={"compose-agent.probe.tcp": "none"})
            until(lambda: "wrong" in triggers.problems())
        finally:
            triggers.stop()
            inventory.stop()
            client.close()
    assert inbox.told().count("+ServiceScale") == 1
    assert {each.name for each in tmp_path.iterdir()} >= {"events.json", "queries.json"}
