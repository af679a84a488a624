from __future__ import annotations

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import resolve
from fleet.agent.facts import Facts
from fleet.agent.report import Report, health
from fleet.agent.roles import RoleState
from fleet.agent.settings import AgentSettings
from fleet.opamp.opamp_pb2 import ComponentHealth
from fleet.opamp.uid import new_uid


def tree_of(*roles: RoleState) -> ComponentHealth:
    return health(
        Report(
            uid=new_uid(),
            settings=resolve(SCHEMA, []).of(AgentSettings),
            facts=Facts(),
            roles=roles,
            config="",
            interval=30.0,
            started=1000.0,
        )
    )


def test_a_role_that_does_not_run_has_no_start() -> None:
    tree = tree_of(RoleState("exporter", True, "", 2000.0), RoleState("logs", False, "it has ended", 3000.0))
    assert tree.start_time_unix_nano == 1000 * 10**9
    assert tree.component_health_map["exporter"].start_time_unix_nano == 2000 * 10**9
    ended = tree.component_health_map["logs"]
    assert (ended.start_time_unix_nano, ended.last_error, ended.healthy) == (0, "it has ended", False)
    assert not tree.healthy
    assert tree.last_error == "it has ended"
