from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.address import Address
from compose_agent.config import kinds
from compose_agent.errors import ConfigError
from log_forwarder.sinks.word import SinkWord, parse_word

PORTS = {"fluentd": 24224, "fluentd+tls": 24224, "es": 9200, "file": 0}


def word(text: str) -> SinkWord:
    return parse_word(text, PORTS)


@pytest.mark.parametrize(
    ("text", "hosts", "path", "options"),
    [
        ("fluentd://host", (Address("host", 24224),), "", {}),
        ("fluentd://host:1", (Address("host", 1),), "", {}),
        (
            "fluentd://a,b:2,[::1],[::2]:3",
            tuple(map(Address, ("a", "b", "::1", "::2"), (24224, 2, 24224, 3))),
            "",
            {},
        ),
        (
            "es://host/index-%7Bday%7D?a=1&b=&c=x%26y",
            (Address("host", 9200),),
            "/index-{day}",
            {"a": "1", "b": "", "c": "x&y"},
        ),
        ("file:///var/log/a%20b.ndjson", (), "/var/log/a b.ndjson", {}),
        ("fluentd://host?", (Address("host", 24224),), "", {}),
        ("fluentd://10.0.0.1", (Address("10.0.0.1", 24224),), "", {}),
    ],
)
def test_a_word_says_where_and_how(
    text: str, hosts: tuple[Address, ...], path: str, options: dict[str, str]
) -> None:
    found = word(text)
    assert (found.hosts, found.path, found.options, found.text) == (hosts, path, options, text)
    assert found.scheme == text.partition(":")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a sink such as"),
        ("host:24224", "expected a sink such as"),
        ("://host", "there is no sink ''"),
        ("fluent://host", "did you mean 'fluentd'"),
        ("fluentd://user:pass@host", "credentials do not stand in the word of a sink"),
        ("fluentd://host?tag=a#b", "must be written %23"),
        ("fluentd://host?tls", "cannot be read"),
        ("fluentd://::1", "stands in brackets"),
        ("fluentd://host:99999", "expected 0 to 65535"),
        ("fluentd://[nonsense]", ""),
        ("fluentd://[::1", ""),
        ("fluentd://ho st", "cannot be read"),
        ("fluentd://host:", "cannot be read"),
        ("fluentd://host:port", "cannot be read"),
        ("es://host:٣", "cannot be read"),
    ],
)
def test_what_is_no_word_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is checked below
        word(text)
    assert said in str(caught.value)
    assert "pass" not in str(caught.value)


def test_a_host_may_be_called_by_digits() -> None:
    assert word("fluentd://7").hosts == (Address("7", 24224),)


def test_an_option_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        word("fluentd://host?name=a&name=b")


def test_a_sink_is_called_by_its_word_without_options_unless_it_has_a_name() -> None:
    assert word("fluentd://host:1/x?tls=1").name == "fluentd://host:1/x"
    assert word("fluentd://host?name=main").name == "main"
    assert word("fluentd://host?name=").name == "fluentd://host"


@pytest.mark.parametrize(("text", "required"), [("", True), ("?required=no", False), ("?required=1", True)])
def test_a_sink_is_waited_for_unless_it_says_otherwise(text: str, required: bool) -> None:
    assert word(f"fluentd://host{text}").required is required


def test_a_wrong_option_is_told_with_the_sink_and_without_other_options() -> None:
    found = word("fluentd://host?required=perhaps&password=secret")
    with pytest.raises(ConfigError) as caught:
        _ = found.required
    assert str(caught.value) == "sink fluentd://host: required: expected true or false, not 'perhaps'"


def test_options_are_read_by_kind() -> None:
    found = word("fluentd://host?timeout=5s")
    assert found.read("timeout", kinds.duration, 1.0) == 5.0
    assert found.read("other", kinds.duration, 1.0) == 1.0


def test_an_unknown_option_is_refused_with_the_nearest() -> None:
    found = word("fluentd://host?tsl=1&name=x&required=no")
    with pytest.raises(ConfigError, match=r"there is no option 'tsl', did you mean 'tls'"):
        found.refuse_unknown(["tls", "tag"])
    found.refuse_unknown(["tsl"])


def test_a_secret_is_the_content_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" s3cret \r\n")
    assert word(f"fluentd://host?key={tmp_path}/key").secret("key") == " s3cret "
    assert word("fluentd://host").secret("key") is None


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"sink fluentd://host: key: .*/key"):
        word(f"fluentd://host?key={tmp_path}/key").secret("key")
