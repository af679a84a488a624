"""The image: how much it adds to its base, what it says of itself, and what it needs."""

from __future__ import annotations

import json
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab import LabError, image
from lab.bundle import IMAGE, ROOT, Bundle
from lab.engine import PrivateEngine
from lab.image import BASE

pytestmark = pytest.mark.engine

MEGABYTE = 1_000_000
MOST_MEGABYTES = 120
SBOM = "io.compose-agent.sbom"


@pytest.fixture(scope="module")
def attrs(bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = bundle.client.images.get(IMAGE).attrs
    return found


def run(bundle: Bundle, *command: str, **options: Any) -> str:
    said: bytes = bundle.client.containers.run(
        IMAGE,
        list(command[1:]),
        entrypoint=command[0],
        remove=True,
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        **options,
    )
    return said.decode()


def test_it_adds_little_to_its_base(bundle: Bundle, attrs: dict[str, Any]) -> None:
    added = (attrs["Size"] - bundle.client.images.get(BASE).attrs["Size"]) / MEGABYTE
    print(f"{added:.1f} MB over its base")  # noqa: T201 - shown with -rP
    assert added < MOST_MEGABYTES


def test_labels_say_what_it_is(attrs: dict[str, Any]) -> None:
    labels = attrs["Config"]["Labels"]
    names = ("title", "description", "licenses", "version", "revision", "base.name")
    assert [name for name in names if not labels.get(f"org.opencontainers.image.{name}")] == []
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_its_health_is_asked_by_the_program_itself(attrs: dict[str, Any]) -> None:
    assert attrs["Config"]["Healthcheck"]["Test"] == ["CMD", "compose-agent", "health"]


def test_the_bill_of_materials_names_what_is_installed(bundle: Bundle, attrs: dict[str, Any]) -> None:
    bill = json.loads(run(bundle, "cat", attrs["Config"]["Labels"][SBOM]))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {component["name"]: component["version"] for component in bill["components"]}
    code = "from importlib.metadata import distributions as d; print(*(f'{x.name}={x.version}' for x in d()))"
    installed = dict(word.split("=") for word in run(bundle, "python3", "-c", code).split())
    assert {
        name.lower().replace("_", "-").replace(".", "-"): version for name, version in installed.items()
    } == {
        **found,
        "compose-agent": bill["metadata"]["component"]["version"],
    }
    references = {component["bom-ref"] for component in (*bill["components"], bill["metadata"]["component"])}
    assert {each["ref"] for each in bill["dependencies"]} == references
    assert all(set(each["dependsOn"]) <= references for each in bill["dependencies"])


def test_what_the_project_needs_is_in_the_bill(bundle: Bundle, attrs: dict[str, Any]) -> None:
    bill = json.loads(run(bundle, "cat", attrs["Config"]["Labels"][SBOM]))
    names = {component["name"] for component in bill["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in ("docker", "flask", "prometheus-client", "confluent-kafka"):
        assert extra in names
        assert any(need.startswith(extra) for need in [*project["dependencies"], "confluent-kafka"])


def test_nothing_of_the_build_is_left(bundle: Bundle) -> None:
    assert (
        run(bundle, "sh", "-c", "ls -d /run/ca.crt /run/pip.conf /src /opt/build 2>/dev/null || true") == ""
    )


class Index(BaseHTTPRequestHandler):
    """A package index that has nothing, and notes what it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_packages_come_from_the_index_of_the_secret(
    builder: PrivateEngine, bundle: Bundle, tmp_path: Path
) -> None:
    assert bundle.client.images.get(BASE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_address[1]}/mirror/simple"
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index}\nretries = 0\n", encoding="utf-8")
        with pytest.raises(LabError, match="No matching distribution"):
            image.build(builder, "unfinished:1", pip=tmp_path / "pip.conf")
        server.shutdown()
    assert Index.asked
    assert {path.startswith("/mirror/simple/") for path in Index.asked} == {True}


@pytest.mark.parametrize("user", [None, "0:0", "65532:65532", "1234:1234"])
def test_any_user_can_ask_for_its_version(bundle: Bundle, user: str | None) -> None:
    assert run(bundle, "compose-agent", "version", user=user).startswith("compose-agent ")
