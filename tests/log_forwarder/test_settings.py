from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.address import Address
from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Given, resolve
from compose_agent.errors import ConfigError
from log_forwarder.settings import ForwarderSettings


def settings(**given: object) -> ForwarderSettings:
    """Return the settings with these keys below ``logs.``, given in a file."""
    layer = {f"logs.{key}": Given(value, "f.yml:1") for key, value in given.items()}
    return resolve(SCHEMA, [layer]).of(ForwarderSettings)


def test_without_configuration_nothing_is_shipped_and_little_is_held() -> None:
    found = settings()
    assert found.sinks == ()
    assert found.listen_addresses == (Address("127.0.0.1", 9418),)
    assert (found.begin, found.engine, found.docker_root) == ("auto", True, None)
    assert (found.queue_size, found.spool_size) == (8 * 1024**2, 1024**3)
    assert found.dead_letters_size == 256 * 1024**2
    assert (found.drain_timeout, found.stall_after) == (5.0, 25.0)
    assert found.containers == found.exclude == found.projects == ()


def test_sinks_are_given_in_words() -> None:
    found = settings(sink=["file:///var/log/out.ndjson?name=keep", "fluentd://collector"])
    assert [word.name for word in found.sinks] == ["keep", "fluentd://collector"]
    assert found.sinks[1].hosts == (Address("collector", 24224),)


def test_every_option_is_read() -> None:
    found = settings(
        **{
            "queue-size": "1MiB",
            "spool.size": "0",
            "dead-letters.size": "1GB",
            "from": "now",
            "containers": ["web-*", "db"],
            "exclude": "noisy",
            "drain-timeout": "0",
            "stall-after": "1m",
            "docker-root": "/data/docker",
            "engine": "no",
        }
    )
    assert (found.queue_size, found.spool_size, found.begin) == (1024**2, 0, "now")
    assert found.dead_letters_size == 10**9
    assert (found.containers, found.exclude) == (("web-*", "db"), ("noisy",))
    assert (found.drain_timeout, found.stall_after) == (0.0, 60.0)
    assert (found.docker_root, found.engine) == (Path("/data/docker"), False)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sink", "fluentd", "expected a sink such as fluentd://host:24224, not 'fluentd'"),
        ("sink", "fluend://host", "there is no sink 'fluend', did you mean 'fluentd'"),
        ("from", "nwo", "did you mean 'now'"),
        ("queue-size", "much", "expected a size such as 64MiB, 1GB or 4096, not 'much'"),
        ("stall-after", "0", "expected a duration above 0"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{key: value})
    (problem,) = caught.value.problems
    assert problem.where == "f.yml:1"
    assert said in problem.what


@pytest.mark.parametrize(
    "value",
    [
        {"oom": "out of (memory|swap), killed", "exit": "exit=1"},
        "oom=out of (memory|swap), killed\n\n exit = exit=1\n",
    ],
)
def test_triggers_are_a_mapping_or_lines(value: object) -> None:
    found = settings(triggers=value).triggers or {}
    assert {name: each.pattern for name, each in found.items()} == {
        "oom": "out of (memory|swap), killed",
        "exit": "exit=1",
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"oom": "("}, "f.yml:1: logs.triggers: oom: '(' is no regular expression: missing ), "),
        ({"o m": "x"}, "logs.triggers: o m: 'o m' is no name: expected up to 63 letters, digits and"),
        ({"oom": {}}, "logs.triggers: oom: expected a regular expression, not a mapping"),
        ({"oom": None}, "logs.triggers: oom: expected a regular expression, not nothing"),
        ("out of memory", "logs.triggers: expected names with regular expressions, as a mapping"),
        ("oom=x\nout of memory", "logs.triggers: expected names with regular expressions, as a mapping"),
        ("oom=(", "logs.triggers: oom: '(' is no regular expression"),
        (["oom=x"], "logs.triggers: expected names with regular expressions, as a mapping"),
    ],
)
def test_triggers_that_cannot_be_read_are_refused(value: object, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(triggers=value)
    assert said in str(refused.value)
