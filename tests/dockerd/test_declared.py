"""Labels that Compose files declare for the containers of their services."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from compose_agent.dockerd import declared as module
from compose_agent.dockerd.declared import FILES_LABEL, MOST_FILES, DeclaredLabels, labelled
from compose_agent.dockerd.model import PROJECT_LABEL, SERVICE_LABEL, Container
from compose_agent.dockerd.verbs.optin import OptIn

LABEL = "compose-agent.remediate"
PATIENCE_SECONDS = 10.0


def write(path: Path, word: str, service: str = "web") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    field = f"services: {{{service}: {{x-compose-agent: {{remediate: {word}}}}}}}"
    path.write_text(field, encoding="utf-8")
    return path


def labels(project: str = "shop", service: str = "web", **more: str) -> dict[str, str]:
    return {PROJECT_LABEL: project, SERVICE_LABEL: service, **more}


def declared(
    *files: Path, rootfs: Path = Path("/nowhere"), environ: Mapping[str, str] | None = None
) -> DeclaredLabels:
    return DeclaredLabels(files, rootfs, environ or {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "shop" / "compose.yml", "restart")


def test_a_services_containers_have_what_its_file_declares(file: Path) -> None:
    assert declared(file).merged(labels())[LABEL] == "restart"


@pytest.mark.parametrize("own", [labels("other"), labels(service="db"), {}, {PROJECT_LABEL: "shop"}])
def test_other_containers_have_what_stands_on_them(file: Path, own: dict[str, str]) -> None:
    assert declared(file).merged(own) is own


def test_a_label_on_the_container_wins(file: Path) -> None:
    own = labels() | {LABEL: "false"}
    assert declared(file).merged(own)[LABEL] == "false"


def test_a_project_by_another_name_is_named_by_compose(file: Path) -> None:
    environ = {"COMPOSE_PROJECT_NAME": "tried"}
    assert LABEL in declared(file, environ=environ).merged(labels("tried"))
    assert LABEL not in declared(file, environ=environ).merged(labels("shop"))


def test_files_that_compose_names_on_the_container_are_seen_through_the_hosts_root(tmp_path: Path) -> None:
    write(tmp_path / "srv/shop/compose.yml", "restart")
    write(tmp_path / "srv/shop/over.yml", "scale")
    found = declared(rootfs=tmp_path)
    one = labels() | {FILES_LABEL: "/srv/shop/compose.yml"}
    both = labels() | {FILES_LABEL: "/srv/shop/compose.yml,/srv/shop/over.yml"}
    assert found.merged(one)[LABEL] == "restart"
    assert found.merged(both)[LABEL] == "scale", "the later file wins, as with Compose"


@pytest.mark.parametrize(
    "named", ["srv/shop/compose.yml", "/srv/../../shop/compose.yml", "", "/none.yml,/srv"]
)
def test_other_words_on_a_container_name_no_file(tmp_path: Path, named: str) -> None:
    write(tmp_path / "srv/shop/compose.yml", "restart")
    assert LABEL not in declared(rootfs=tmp_path).merged(labels() | {FILES_LABEL: named})


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert LABEL not in declared(rootfs=tmp_path).merged(labels() | {FILES_LABEL: "/pipe"})


def test_only_so_many_files_are_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "last.yml", "restart")
    named = ",".join(["/none.yml"] * MOST_FILES + ["/last.yml"])
    assert LABEL not in declared(rootfs=tmp_path).merged(labels() | {FILES_LABEL: named})


def test_only_so_many_files_are_kept_in_mind(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KNOWN", 3)
    found = declared(file, rootfs=tmp_path)
    for number in range(10):
        name = f"p{number}"
        write(tmp_path / name / "compose.yml", name)
        assert found.merged(labels(name, **{FILES_LABEL: f"/{name}/compose.yml"}))[LABEL] == name
    assert len(found._known) == 3
    assert file in found._known
    assert found.merged(labels("p0", **{FILES_LABEL: "/p0/compose.yml"}))[LABEL] == "p0"


def test_a_change_counts_at_once_and_what_is_wrong_leaves_what_was(file: Path) -> None:
    found = declared(file)
    assert found.merged(labels())[LABEL] == "restart"
    write(file, "scale")
    assert found.merged(labels())[LABEL] == "scale"
    file.write_text("services: {", encoding="utf-8")
    assert found.merged(labels())[LABEL] == "scale"
    file.unlink()
    assert LABEL not in found.merged(labels())
    write(file, "restart")
    assert found.merged(labels())[LABEL] == "restart"


def test_whoever_watches_is_told_of_a_change(file: Path) -> None:
    found, told = declared(file), threading.Event()
    found.merged(labels())
    found.watch(told.set)
    try:
        assert not told.wait(0.2)
        write(file, "scale")
        assert told.wait(PATIENCE_SECONDS)
    finally:
        found.stop()


def test_it_opts_in(file: Path) -> None:
    assert OptIn(declared=declared(file)).refusal("shop-web-1", labels(), "restart") == ""
    assert OptIn(declared=declared(file)).refusal("shop-web-1", labels() | {LABEL: "no"}, "restart") != ""
    assert OptIn().refusal("shop-web-1", labels(), "restart") != ""


def test_a_container_is_the_same_object_when_nothing_is_declared(file: Path) -> None:
    container = Container(id="1" * 64, name="web", image="i", image_id="i", state="running", labels=labels())
    assert labelled(container, declared(file)).labels[LABEL] == "restart"
    assert labelled(container, declared()) is container
