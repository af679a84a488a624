"""A real Prometheus scrapes over TLS with a client certificate and a password, as the web file asks."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from lab.agent import Agent
from lab.prometheus import Prometheus, promtool
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

_CALL_SECONDS = 60.0
PLAIN_TLS = """\
tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
"""
MUTUAL = """\
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
"""


class Certificates:
    """A CA, the exporter's certificate and Prometheus' own, as files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ca = trustme.CA()
        server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("prometheus")
        ca.cert_pem.write_to_path(folder / "ca.pem")
        server.private_key_pem.write_to_path(folder / "key.pem")
        server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        client.private_key_pem.write_to_path(folder / "client-key.pem")
        client.cert_chain_pems[0].write_to_path(folder / "client.pem")

    def job(self, target: str) -> dict[str, Any]:
        """Return the scrape configuration of a Prometheus that may come in."""
        return {
            "job_name": "docker",
            "scrape_interval": "1s",
            "scheme": "https",
            "tls_config": {
                "ca_file": str(self.folder / "ca.pem"),
                "cert_file": str(self.folder / "client.pem"),
                "key_file": str(self.folder / "client-key.pem"),
            },
            "basic_auth": {"username": "prometheus", "password": "correct horse"},
            "static_configs": [{"targets": [target]}],
        }

    def status(self, target: str) -> int:
        """Return what a stranger without certificate and password gets; 0 when TLS lets nobody in."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        connection = http.client.HTTPSConnection(target, context=context, timeout=_CALL_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().status
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            # What is sent after the refusal makes the kernel drop the alert at times.
            return 0
        finally:
            connection.close()


def test_prometheus_gets_in_and_a_stranger_does_not(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    users = (
        f"basic_auth_users:\n  prometheus: {bcrypt.hashpw(b'correct horse', bcrypt.gensalt(4)).decode()}\n"
    )
    web = tmp_path / "web.yml"
    web.write_text(PLAIN_TLS)
    with Agent("unix:///nowhere/docker.sock", [f"--web.config.file={web}"]) as agent:
        target = agent.url.removeprefix("https://")
        assert certificates.status(target) == 200
        web.write_text(PLAIN_TLS + users)  # from here on without a restart
        eventually(lambda: _expect(certificates.status(target), 401))
        web.write_text(PLAIN_TLS + MUTUAL + users)
        eventually(lambda: _expect(certificates.status(target), 0))
        assert promtool("check", "web-config", str(web)).returncode == 0
        with Prometheus({"scrape_configs": [certificates.job(target)]}) as prometheus:
            assert prometheus.wait_for("up == 1")
            assert prometheus.wait_for("docker_up == 0")


def _expect(found: int, wanted: int) -> None:
    assert found == wanted
