from __future__ import annotations

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.sinks.elasticsearch.options import Options, Target, options_of
from tests.log_forwarder.sinks.elasticsearch.build import word

SINK = "sink elasticsearch://h"
LONG = "d" * 256


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("elasticsearch://h", Target("logs-docker-default", "stream")),
        ("elasticsearch://h/", Target("logs-docker-default", "stream")),
        ("elasticsearch://h/logs-shop-prod", Target("logs-shop-prod", "stream")),
        ("elasticsearch://h/docker?stream=false", Target("docker", "index")),
        ("elasticsearch://h/docker-%Y.%m.%d", Target("docker-%Y.%m.%d", "dated")),
        ("elasticsearch://h/es/v1/logs-a-b", Target("logs-a-b", "stream", "/es/v1")),
    ],
)
def test_the_path_names_the_target(text: str, target: Target) -> None:
    assert options_of(word(text)) == Options(target)


def test_options_are_read() -> None:
    options = options_of(word("elasticsearch://h?pipeline=clean&compress=none"))
    assert (options.pipeline, options.compress) == ("clean", False)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("docker-%Y.%m.%d", "docker-*"),
        ("%Y-docker", "*-docker"),
        ("a-%Y-x-%d-z", "a-*-z"),
        ("plain", "plain"),
    ],
)
def test_a_pattern_matches_every_name(name: str, pattern: str) -> None:
    assert Target(name, "dated").pattern == pattern


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("logs-docker-default", "stream", ("logs", "docker", "default")),
        ("logs-docker", "stream", None),
        ("logs-docker-a-b", "stream", None),
        ("logs-docker-default", "index", None),
    ],
)
def test_only_a_stream_named_by_the_scheme_has_data_stream_fields(
    name: str, kind: str, found: tuple[str, ...] | None
) -> None:
    fields = Target(name, kind).data_stream  # type: ignore[arg-type]
    assert (tuple(fields.values()) if fields else None) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "elasticsearch://h/Logs",
            (
                "sink elasticsearch://h/Logs: 'Logs' cannot be an index: it has 'L' "
                "(only lower case, digits and . _ - may stand in it)"
            ),
        ),
        ("elasticsearch://h/_x", "sink elasticsearch://h/_x: '_x' cannot be an index: it begins with '_'"),
        (
            "elasticsearch://h/d-%Q",
            "sink elasticsearch://h/d-%Q: 'd-%Q' cannot be an index: %Q is none of %Y %y %m %d %H %j %G %V",
        ),
        (
            "elasticsearch://h/d-%",
            "sink elasticsearch://h/d-%: 'd-%' cannot be an index: % is none of %Y %y %m %d %H %j %G %V",
        ),
        (
            f"elasticsearch://h/{LONG}",
            f"{SINK}/{LONG}: '{LONG}' cannot be an index: it is longer than 255 bytes",
        ),
        (
            "elasticsearch://h?compress=zstd",
            "sink elasticsearch://h: compress: expected one of gzip, none, not 'zstd'",
        ),
        ("elasticsearch://h?pipeline=", "sink elasticsearch://h: pipeline: expected a text, not ''"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options_of(word(text))
    assert str(caught.value) == message
