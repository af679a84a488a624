from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from lab.forward_node import TlsFiles
from log_forwarder.sinks.contract import SinkUnavailable
from tests.log_forwarder.sinks.fluentd.samples import batch, event, sink
from tests.log_forwarder.sinks.fluentd.servers import KINDS, Rig, Setup, deliver, fake, secret, with_tag


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = trustme.CA(), trustme.CA()
    for name, authority in (("ca", ours), ("other-ca", other)):
        authority.cert_pem.write_to_path(str(folder / f"{name}.pem"))
    for name, leaf in (
        ("server", ours.issue_cert("127.0.0.1", "logs.example")),
        ("client", ours.issue_cert("client")),
        ("other-client", other.issue_cert("client")),
    ):
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
        leaf.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    return folder


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, certificates: Path) -> Iterator[Rig]:
    with KINDS[request.param](Setup(tls=_files(certificates, "server"))) as rig:
        yield rig


@pytest.fixture(scope="module", params=KINDS)
def mutual(request: pytest.FixtureRequest, certificates: Path) -> Iterator[Rig]:
    """Start a server that asks for a certificate and a shared key."""
    tls = _files(certificates, "server", ca="ca")
    with KINDS[request.param](Setup(tls=tls, shared_key="key")) as rig:
        yield rig


def _files(folder: Path, name: str, ca: str | None = None) -> TlsFiles:
    return TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{ca}.pem" if ca else None)


@pytest.mark.parametrize(
    "options", ["&ca={}/ca.pem", "&ca={}/ca.pem&server-name=logs.example", "&insecure=1"]
)
def test_a_trusted_server_is_taken(server: Rig, certificates: Path, options: str) -> None:
    tag = f"tls.{len(options)}"
    ours = sink(f"fluentd://127.0.0.1:{server.port}?tls=1&tag={tag}" + options.format(certificates))
    deliver(ours, ours.encode([batch([event(n, "x" * 1000) for n in range(2000)])]))
    ours.close()
    assert len(with_tag(server, tag, 2000)) == 2000


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("&ca={}/other-ca.pem", "is not trusted .*: name its authority with ca="),
        ("", "is not trusted"),
        ("&ca={}/ca.pem&server-name=other.example", "is not trusted .*other.example.*server-name="),
    ],
)
def test_a_certificate_that_is_not_trusted_is_told_with_a_remedy(
    server: Rig, certificates: Path, options: str, reason: str
) -> None:
    ours = sink(f"fluentd://127.0.0.1:{server.port}?tls=1" + options.format(certificates))
    with pytest.raises(SinkUnavailable, match=reason):
        ours.connect()


def test_mutual_tls_with_a_shared_key(mutual: Rig, certificates: Path, tmp_path: Path) -> None:
    key = secret(tmp_path, "key", "key")
    own = f"cert={certificates}/client.pem&key={certificates}/client.key&ca={certificates}/ca.pem"
    ours = sink(f"fluentd://127.0.0.1:{mutual.port}?tls=1&tag=mutual&shared-key-file={key}&{own}")
    deliver(ours, ours.encode([batch([event(n) for n in range(10)])]))
    ours.close()
    assert len(with_tag(mutual, "mutual", 10)) == 10


@pytest.mark.parametrize("client", ["", "&cert={0}/other-client.pem"])
def test_a_client_certificate_that_is_missing_or_foreign_is_told(
    mutual: Rig, certificates: Path, client: str, tmp_path: Path
) -> None:
    word = f"fluentd://127.0.0.1:{mutual.port}?tls=1&ca={certificates}/ca.pem"
    word += f"&shared-key-file={secret(tmp_path, 'key', 'key')}" + client.format(certificates)
    # A server that closes without an alert leaves it at a guess.
    with pytest.raises(SinkUnavailable, match=r"refuses our certificate .*: check cert=|may want cert="):
        sink(word).connect()


def test_tls_to_a_port_without_tls_is_told() -> None:
    with fake(Setup(shared_key="key")) as rig, pytest.raises(SinkUnavailable, match="does not speak TLS"):
        sink(f"fluentd://127.0.0.1:{rig.port}?tls=1&insecure=1").connect()


def test_no_tls_to_a_port_with_tls_is_told(server: Rig) -> None:
    ours = sink(f"fluentd://127.0.0.1:{server.port}")
    with pytest.raises(SinkUnavailable, match="set tls=1 if this port speaks TLS"):
        deliver(ours, ours.encode([batch([event(n) for n in range(100)])]))
    ours.close()


def test_a_renewed_certificate_is_taken_at_the_next_connection(certificates: Path, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes((certificates / "other-ca.pem").read_bytes())
    with fake(Setup(tls=_files(certificates, "server"))) as rig:
        ours = sink(f"fluentd://127.0.0.1:{rig.port}?tls=1&ca={authority}")
        with pytest.raises(SinkUnavailable, match="not trusted"):
            ours.connect()
        authority.write_bytes((certificates / "ca.pem").read_bytes())
        ours.connect()
        authority.write_text("nonsense")
        with pytest.raises(SinkUnavailable, match=r"ca\.pem cannot be used"):
            ours.connect()
        ours.close()
