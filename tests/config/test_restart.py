from __future__ import annotations

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Config, Given, resolve
from compose_agent.config.general import GeneralSettings
from compose_agent.config.restart import keep_until_restart


def config(**given: str) -> Config:
    return resolve(SCHEMA, [{key: Given(value, "f.yml:1") for key, value in given.items()}])


def test_what_needs_a_start_stays_and_the_rest_is_taken() -> None:
    before = config(**{"run-dir": "/old", "one-process": "yes", "log.level": "info"})
    after = config(**{"run-dir": "/new", "state-dir": "/state", "log.level": "debug"})
    kept, held = keep_until_restart(SCHEMA, before, after)
    assert held == ["state-dir", "run-dir", "one-process"]
    assert {key: each.value for key, each in kept.given.items()} == {
        "run-dir": "/old",
        "one-process": "yes",
        "log.level": "debug",
    }
    assert kept.of(GeneralSettings).state is None


def test_without_such_a_change_nothing_is_held() -> None:
    after = config(**{"log.level": "debug"})
    assert keep_until_restart(SCHEMA, config(), after) == (after, [])
