"""Which sinks are prepared, with what."""

from __future__ import annotations

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.setup import set_up, setup_options
from log_forwarder.sinks import parse


def test_every_sink_that_can_be_prepared_is() -> None:
    with FakeBulk() as fake:
        words = [
            parse("file:///x.ndjson"),
            parse(f"elasticsearch://127.0.0.1:{fake.port}/logs-one-default"),
            parse(f"elasticsearch://127.0.0.1:{fake.port}/logs-two-default"),
        ]
        assert len(list(set_up(words, {}))) == 2
        assert [path.rpartition("logs-")[2] for path in fake.objects] == ["one-default", "two-default"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no sink is configured: name one of kind elasticsearch with --sink"),
        (("file:///x", "fluentd://h"), "nothing is to be set up for sinks of kind file, fluentd, only for"),
    ],
)
def test_nothing_to_prepare_is_said(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        next(set_up(list(map(parse, words)), {}))


def test_options_are_those_of_the_kinds() -> None:
    assert list(setup_options()) == ["kibana"]
