from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.sinks import kind_of, make_sink, parse, registered
from log_forwarder.sinks.contract import SinkContext, SinkKind
from log_forwarder.sinks.word import COMMON_OPTIONS

KINDS = registered()


def test_sinks_are_found_by_themselves() -> None:
    assert {"fluentd", "elasticsearch", "file", "stdout"} <= {kind.name for kind in KINDS}


def test_no_scheme_belongs_to_two_kinds() -> None:
    schemes = list(itertools.chain.from_iterable(kind.schemes for kind in KINDS))
    assert len(set(schemes)) == len(schemes)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_explains_itself(kind: SinkKind) -> None:
    assert kind.help
    assert kind.schemes
    for name, text in kind.options.items():
        assert text.strip().endswith("."), name
        assert name not in COMMON_OPTIONS
    for name, text in (kind.setup.options if kind.setup else {}).items():
        assert text.strip().endswith("."), name


@pytest.mark.parametrize("scheme", sorted(scheme for kind in KINDS for scheme in kind.schemes))
def test_a_word_of_each_scheme_finds_its_kind(scheme: str) -> None:
    word = parse(f"{scheme}://host")
    assert scheme in kind_of(word).schemes
    assert word.scheme == scheme


@pytest.mark.parametrize("scheme", sorted(scheme for kind in KINDS for scheme in kind.schemes))
def test_no_sink_takes_an_option_it_does_not_know(scheme: str, tmp_path: Path) -> None:
    word = parse(f"{scheme}://host/{tmp_path}?nonsense=1")
    with pytest.raises(ConfigError, match="there is no option 'nonsense'"):
        make_sink(word, SinkContext("x", socket.gethostname(), tmp_path))


@pytest.mark.parametrize(
    ("text", "port"), [("fluentd://h", 24224), ("elasticsearch://h", 9200), ("fluentd://h:5", 5)]
)
def test_ports_are_those_of_the_protocol(text: str, port: int) -> None:
    assert parse(text).hosts[0].port == port
