from __future__ import annotations

from compose_agent.dockerd.model import Container
from remediation.model import Source
from remediation.triggers.signals import fingerprint, firing, labels_from, labels_of, resolved

ALERT = {
    "alertname": "ContainerDown",
    "case": "ok",
    "container_label_com_docker_compose_project": "shop",
    "container_label_com_docker_compose_service": "web",
    "severity": "critical",
}
COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


def test_fingerprints_are_those_of_a_real_alertmanager() -> None:
    found = [fingerprint({**ALERT, "instance": instance}) for instance in ("1", "2")]
    assert found == ["8c5fe7e7575f50b7", "e319c895afa86ce8"]


def test_no_order_of_labels_and_no_text_matters_to_a_fingerprint() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1b2"}) != fingerprint({"a": "1", "b": "2"})
    assert len(fingerprint({"é": "\ud800\x00\xff"})) == 16
    assert fingerprint({}) == "cbf29ce484222325"


def test_labels_are_those_of_the_series_from_an_inspect_and_from_an_event() -> None:
    container = Container("0123456789abcdef", "shop-web-1", "web:1", "sha256:1", "running", labels=COMPOSE)
    event = {**COMPOSE, "name": "shop-web-1", "image": "web:1", "exitCode": "1"}
    expected = {
        "name": "shop-web-1",
        "id": "0123456789ab",
        "compose_project": "shop",
        "compose_service": "web",
        "image": "web:1",
    }
    assert labels_of(container) == labels_from(container.id, event) == expected


def test_a_signal_resolves_with_the_labels_and_the_fingerprint_that_it_fired_with() -> None:
    fired = firing(Source.EVENT, "ContainerDied", {"name": "web", "compose_project": ""}, 10.0, "it died")
    assert fired.labels == {"alertname": "ContainerDied", "name": "web"}
    ended = resolved(fired, 12.0)
    assert (ended.firing, ended.ends_at, ended.starts_at) == (False, 12.0, 10.0)
    assert (ended.labels, ended.fingerprint) == (fired.labels, fired.fingerprint)
    assert resolved(fired, 3.0).ends_at == 10.0
