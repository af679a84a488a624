from __future__ import annotations

import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Given, resolve
from compose_agent.config.wire import decode_revision, encode_refusal, encode_revision
from compose_agent.errors import ConfigError, Problem


def test_a_revision_arrives_as_it_was_sent() -> None:
    layer = {
        "log.level": Given("debug", "f.yml:3"),
        "exporter.web.listen-address": Given([":1", ":2"], "--web.listen-address"),
    }
    sent = resolve(SCHEMA, [layer])
    line = encode_revision(7, sent)
    assert line.count(b"\n") == 1
    assert decode_revision(line, SCHEMA) == (7, sent)


def test_a_refusal_arrives_as_an_error() -> None:
    refusal = encode_refusal(ConfigError(Problem("f.yml:3", "is wrong")))
    with pytest.raises(ConfigError, match=r"^configuration: f\.yml:3: is wrong$"):
        decode_revision(refusal, SCHEMA)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b"3", b"{}", b"\xff", b'{"revision": 1}', b'{"revision": "x", "given": {}}'),
        *(b'{"revision": 1, "given": {"log.level": 3}}', b'{"revision": 1, "given": []}'),
    ],
)
def test_what_is_no_revision_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^configuration: is not a revision: "):
        decode_revision(data, SCHEMA)


def test_an_option_of_another_version_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^f\.yml:1: unknown option 'log\.colour'$"):
        decode_revision(b'{"revision": 1, "given": {"log.colour": ["red", "f.yml:1"]}}', SCHEMA)
