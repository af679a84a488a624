from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from compose_agent.address import Address, UnixAddress
from compose_agent.errors import ConfigError
from log_forwarder import sinks
from log_forwarder.sinks.contract import SinkContext
from log_forwarder.sinks.fluentd.handshake import Credentials
from log_forwarder.sinks.fluentd.options import OPTIONS, FluentdOptions
from tests.log_forwarder.sinks.fluentd.samples import HOST, sink

CONTEXT = SinkContext("fluentd", HOST, Path("/nonexistent"))


def _read(word: str) -> FluentdOptions:
    return FluentdOptions.read(sinks.parse(word), CONTEXT)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "nonsense.pem").write_text("nonsense")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own = authority.issue_cert("client")
    own.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    return tmp_path


def test_without_options_everything_has_a_default() -> None:
    options = _read("fluentd://logs")
    assert options.servers == (Address("logs", 24224),)
    assert (options.window, options.ack_seconds, options.hostname) == (8, 60.0, HOST)
    assert (options.compression.name, options.tls, options.credentials()) == ("", None, None)


@pytest.mark.parametrize(
    ("word", "servers"),
    [
        ("fluentd://a:1,b", (Address("a", 1), Address("b", 24224))),
        ("fluentd://[::1]:5", (Address("::1", 5),)),
        ("fluentd://[::1],127.0.0.1/", (Address("::1", 24224), Address("127.0.0.1", 24224))),
        ("fluentd+unix:///run/fluent.sock", (UnixAddress(Path("/run/fluent.sock")),)),
    ],
)
def test_servers_stand_in_the_word(word: str, servers: tuple[Address | UnixAddress, ...]) -> None:
    assert _read(word).servers == servers


@pytest.mark.parametrize(
    ("word", "wrong"),
    [
        ("fluentd://", "expected host:port, or several separated by commas"),
        ("fluentd://:24224", "expected host:port, or several separated by commas"),
        ("fluentd://a:0", "expected host:port, or several separated by commas"),
        ("fluentd://a/tag", "'/tag' means nothing here, the tag is set with tag="),
        ("fluentd+unix://", "expected the path of a socket"),
        ("fluentd+unix://host/path", "expected the path of a socket"),
        ("fluentd+unix:///s?tls=1", "tls: has no meaning at a unix socket"),
        ("fluentd://a?compress=lz4", "compress: expected one of none, gzip, zstd, not 'lz4'"),
        ("fluentd://a?window=0", "window: expected a whole number from 1 to 64, not '0'"),
        ("fluentd://a?window=x", "window: expected a whole number from 1 to 64, not 'x'"),
        ("fluentd://a?ack-timeout=0", "ack-timeout: expected a duration above 0"),
        ("fluentd://a?tag={x}", "tag: there is no field 'x'"),
        ("fluentd://a?ca=/etc/passwd", "ca: has a meaning only with tls=1"),
        ("fluentd://a?insecure=1", "insecure: has a meaning only with tls=1"),
        ("fluentd://a?tls=1&ca=/nowhere", "ca: there is no file /nowhere"),
        ("fluentd://a?tls=1&ca={files}/nonsense.pem", "nonsense.pem cannot be used"),
        ("fluentd://a?tls=1&ca={files}/ca.pem&insecure=1", "ca: has no meaning with insecure=1"),
        ("fluentd://a?tls=1&key={files}/key.pem", "key: needs cert= as well"),
        ("fluentd://a?tls=1&cert={files}/cert.pem", "expected a PEM certificate and its unencrypted key"),
        ("fluentd://a?tls=1&cert={files}/cert.pem&key={files}/nonsense.pem", "cannot be used"),
        ("fluentd://a?shared-key-file=/nowhere", "shared-key-file: there is no file /nowhere"),
        ("fluentd://a?user=x", "user: needs password-file= as well"),
        ("fluentd://a?password-file={files}/secret", "user: needs password-file= as well"),
        ("fluentd://a?user=x&password-file={files}/secret", "user: needs shared-key-file= as well"),
        ("fluentd://a?tsl=1", "there is no option 'tsl', did you mean 'tls'?"),
    ],
)
def test_what_is_wrong_is_said_before_anything_connects(word: str, wrong: str, files: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        sink(word.replace("{files}", str(files)))
    assert wrong in str(refused.value)
    assert str(refused.value).startswith("sink fluentd")


def test_certificate_and_key_may_stand_in_one_file_or_two(files: Path) -> None:
    for pair in (f"cert={files}/both.pem", f"cert={files}/cert.pem&key={files}/key.pem"):
        tls = _read(f"fluentd://a?tls=1&{pair}&ca={files}/ca.pem&server-name=x").tls
        assert tls is not None
        assert tls.server_name == "x"


def test_secrets_come_from_files_and_are_read_again_when_they_change(files: Path) -> None:
    key, password = files / "secret", files / "empty"
    options = _read(f"fluentd://a?shared-key-file={key}&hostname=me&user=u&password-file={password}")
    assert options.credentials() == Credentials("me", "s3cret", "u", "")
    key.write_text("new")
    assert options.credentials() == Credentials("me", "new", "u", "")


def test_an_empty_shared_key_is_a_shared_key(files: Path) -> None:
    assert _read(f"fluentd://a?shared-key-file={files}/empty").credentials() == Credentials(HOST, "")


def test_zstd_without_a_library_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compression.zstd", "backports.zstd", "zstandard"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ConfigError, match="zstd needs the package zstandard, install it or take gzip"):
        sink("fluentd://a?compress=zstd")


def test_every_option_is_described() -> None:
    assert all(text.endswith(".") for text in OPTIONS.values())
    assert sinks.kind_of(sinks.parse("fluentd+unix:///x")).options is OPTIONS
