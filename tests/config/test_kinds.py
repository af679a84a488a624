from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.address import Address
from compose_agent.config import kinds
from compose_agent.config.kinds import Kind


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("15s", 15),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1d", 86400),
        ("2w", 1209600),
        (" 5m ", 300),
        ("3650d", 315360000),
    ],
)
def test_a_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert kinds.duration.read(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "s", "-1s", "1 m", "1y", "1h 30m", "1hh", ".5s", "٣s", "inf", "1e3s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s, 5m or 1h30m, not '"):
        kinds.duration.read(text)


@pytest.mark.parametrize("text", ["3651d", "9" * 400 + "s"])
def test_a_duration_beyond_what_clocks_take_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected at most ten years, not '"):
        kinds.duration.read(text)


@pytest.mark.parametrize("text", ["0", "0s", "0ms"])
def test_no_time_at_all_is_no_time_to_wait(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration above 0"):
        kinds.positive_duration.read(text)
    assert kinds.positive_duration.read("1ms") == 0.001


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("64", 64), (" 07 ", 7)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert kinds.whole_number(1, 64).read(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "1.0", "x", "٣", "0" * 19 + "5" * 5000])
def test_what_is_no_whole_number_in_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 1 to 64, not '"):
        kinds.whole_number(1, 64).read(text)


@pytest.mark.parametrize(
    ("texts", "value"),
    [(("true", "yes", "on", "1", "TRUE", "Yes"), True), (("false", "no", "off", "0", "Off"), False)],
)
def test_a_boolean_has_four_spellings(texts: tuple[str, ...], value: bool) -> None:
    assert {kinds.boolean.read(text) for text in texts} == {value}


@pytest.mark.parametrize("text", ["", "y", "2", "enabled", "truefalse"])
def test_what_is_no_boolean_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^expected true or false, not '{text}'$"):
        kinds.boolean.read(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9417", Address("", 9417)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("localhost:65535", Address("localhost", 65535)),
        ("[::1]:80", Address("::1", 80)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: Address) -> None:
    assert kinds.address.read(text) == address


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("9417", "did you mean ':9417'?"),
        ("::1:80", "did you mean '[::1]:80'?"),
        ("http://host:80/", "did you mean 'host:80'?"),
        ("host:65536", "has port 65536, expected 0 to 65535"),
        ("host", "expected host:port, :port or [IPv6]:port"),
    ],
)
def test_what_is_no_address_is_answered_with_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is checked below
        kinds.address.read(text)
    assert str(caught.value).endswith(hint)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "metrics",
        "/",
        "/a//b",
        "/a b",
        "/<x>",
        "/m?x",
        "/-/ready",
        "/v1/containers",
        "/static/page.css",
        "/docs",
        "/icon.svg",
        "/ä",
    ],
)
def test_a_url_path_that_would_hide_a_route_or_is_a_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a URL path such as /metrics"):
        kinds.url_path.read(text)
    assert kinds.url_path.read("/probe/metrics-1.0") == "/probe/metrics-1.0"


def test_a_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    assert kinds.path.read("/x") == Path("/x")
    assert kinds.path.read("x/y") == tmp_path / "x/y"
    assert kinds.path.read("~/x") == Path("/home/ann/x")


@pytest.mark.parametrize("kind", [kinds.path, kinds.string])
def test_an_empty_text_is_no_value(kind: Kind[object]) -> None:
    with pytest.raises(ValueError, match=f"^expected {kind.expected}, not ''$"):
        kind.read("  ")


def test_a_path_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a path"):
        kinds.path.read("/x\0y")


@pytest.mark.parametrize(
    ("value", "described"), [({}, "a mapping"), ([], "a list"), (None, "nothing"), (3, "the int 3")]
)
def test_what_is_no_text_is_described(value: object, described: str) -> None:
    with pytest.raises(ValueError, match=f"^expected a text, not {described}$"):
        kinds.string.read(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4096b", 4096),
        ("1k", 1024),
        ("1K", 1024),
        ("1KiB", 1024),
        ("1Ki", 1024),
        ("1kB", 1000),
        ("64MiB", 64 * 1024**2),
        ("10MB", 10_000_000),
        ("1.5g", 3 * 1024**3 // 2),
        ("2 GiB", 2 * 1024**3),
        (" 1TB ", 10**12),
    ],
)
def test_a_size_has_units_of_both_kinds(text: str, size: int) -> None:
    assert kinds.size.read(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "-1", "k", "1x", "1kk", "1ib", "1i", "1e3", "1,5k", ".5k", "1.k", "٣k", "inf", "nan", "1 k b"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as 64MiB, 1GB or 4096, not '"):
        kinds.size.read(text)


def test_a_size_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="expected "):
        kinds.size.read("9" * 400)


def test_a_large_size_is_exact() -> None:
    assert kinds.size.read("9007199254740993") == 9007199254740993
