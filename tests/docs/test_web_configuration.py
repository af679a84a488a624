"""The examples of docs/web-configuration.md and README.md are taken by the programs that they are for."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
import trustme

from compose_agent.web import webconfig
from compose_agent.web.webfile import Loaded, WebConfigFile
from lab.prometheus import promtool
from tests.docs.examples import ROOT, examples, yaml_examples

PAGE = "docs/web-configuration.md"
SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
WEB = yaml_examples(PAGE, *SECTIONS)
SCRAPES = yaml_examples(PAGE, "scrape_configs")
# The newest exporter-toolkit that a distribution has; older ones know no rate limit.
SUITE = "forky"
ONE_LINER_SECONDS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all the certificates, keys and passwords that the examples name."""
    made = tmp_path_factory.mktemp("web")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(made / "ca.crt")
    for name, host in (("server", "docker1.example.org"), ("prometheus", "prometheus.example.org")):
        issued = ca.issue_cert(host)
        issued.cert_chain_pems[0].write_to_path(made / f"{name}.crt")
        issued.private_key_pem.write_to_path(made / f"{name}.key")
    (made / "docker.password").write_text("correct horse")
    return made


def load(folder: Path, text: str) -> Loaded:
    path = folder / "web.yml"
    path.write_text(text)
    return WebConfigFile(path).current()


def test_every_yaml_example_is_a_web_configuration_or_a_scrape_configuration() -> None:
    assert sorted(WEB + SCRAPES) == sorted(examples(PAGE, "yaml"))


@pytest.mark.parametrize("text", WEB)
def test_every_web_configuration_is_taken_with_its_certificates(folder: Path, text: str) -> None:
    loaded = load(folder, text)
    assert (loaded.context is not None) is ("tls_server_config" in text)
    assert loaded.config != webconfig.WebConfig()


def test_every_section_has_an_example() -> None:
    assert [name for name in SECTIONS if not any(text.startswith(f"{name}:") for text in WEB)] == [
        "basic_auth_users"
    ]
    assert any("\nbasic_auth_users:\n" in text for text in WEB)


def test_the_example_with_client_certificates_asks_every_client_for_one(folder: Path) -> None:
    (text,) = [text for text in WEB if "client_ca_file" in text]
    context = load(folder, text).context
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_every_key_header_and_client_auth_type_is_named() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    # An old spelling, RequireClientCert, is taken and not advertised.
    names = {*webconfig.HEADERS, *webconfig._VERIFY, *webconfig._TLS_KEYS}
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", page)] == []


def test_the_one_liner_makes_a_hash_that_is_taken(folder: Path) -> None:
    (code,) = [
        found
        for text in examples(PAGE, "sh")
        for found in re.findall(r"^python -c '(.*)'$", text, re.MULTILINE)
    ]
    # A session of its own has no terminal, so the password is read from standard input.
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        input="correct horse\n",
        capture_output=True,
        text=True,
        timeout=ONE_LINER_SECONDS,
        check=True,
        start_new_session=True,
    )
    hashed = made.stdout.splitlines()[-1]
    assert bcrypt.checkpw(b"correct horse", hashed.encode())
    assert load(folder, f"basic_auth_users: {{prometheus: {hashed}}}\n").config.users


def test_the_example_of_the_readme_is_one_of_the_page() -> None:
    (text,) = yaml_examples("README.md", *SECTIONS)
    assert text in WEB


@pytest.mark.engine
@pytest.mark.parametrize("text", WEB)
def test_the_exporter_toolkit_takes_every_web_configuration(folder: Path, text: str) -> None:
    (folder / "web.yml").write_text(text)
    answer = promtool("check", "web-config", str(folder / "web.yml"), suite=SUITE)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.engine
@pytest.mark.parametrize("text", [*SCRAPES, *yaml_examples("README.md", "scrape_configs")])
def test_prometheus_takes_every_scrape_configuration(folder: Path, text: str) -> None:
    (folder / "prometheus.yml").write_text(text)
    answer = promtool("check", "config", str(folder / "prometheus.yml"), suite=SUITE)
    assert answer.returncode == 0, answer.stderr
