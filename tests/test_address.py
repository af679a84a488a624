from __future__ import annotations

import pytest

from compose_agent.address import Address
from compose_agent.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9417", Address("127.0.0.1", 9417)),
        (":9417", Address("", 9417)),
        ("[::1]:9417", Address("::1", 9417)),
        ("[::]:0", Address("::", 0)),
        ("docker-host.example:80", Address("docker-host.example", 80)),
    ],
)
def test_an_address_is_read_and_written_the_same(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected
    assert str(expected) == text


FORM = "expected host:port, :port or [IPv6]:port"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9417", f"flag: '9417' is not an address, {FORM}, did you mean ':9417'?"),
        ("::1:9417", f"flag: '::1:9417' is not an address, {FORM}, did you mean '[::1]:9417'?"),
        (
            "http://localhost:9417/",
            f"flag: 'http://localhost:9417/' is not an address, {FORM}, did you mean 'localhost:9417'?",
        ),
        ("localhost", f"flag: 'localhost' is not an address, {FORM}"),
        ("", f"flag: '' is not an address, {FORM}"),
        ("localhost:http", f"flag: 'localhost:http' is not an address, {FORM}"),
        ("[localhost]:80", f"flag: '[localhost]:80' is not an address, {FORM}"),
        ("a b:80", f"flag: 'a b:80' is not an address, {FORM}"),
        ("host:٣", f"flag: 'host:٣' is not an address, {FORM}"),
        ("host:65536", "flag: 'host:65536' has port 65536, expected 0 to 65535"),
    ],
)
def test_what_is_no_address_is_refused_with_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Address.parse(text, "flag")
    assert str(caught.value) == message
