"""What goes wrong raises its alert and no other, on containers beside the bundle that nobody mends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import busybox
from lab.bundle import Bundle

pytestmark = pytest.mark.engine

PROJECT = "ward"
# The longest `for` of these alerts is two minutes; scrapes, evaluations, and a busy machine come on top.
PATIENCE_SECONDS = 420.0
# As long as the longest `for`, once more: what has not fired by then is not coming.
AFTERMATH_SECONDS = 150.0
POLL_SECONDS = 2.0

# The program of each service, what else there is to say of it, and the alerts of it.
PATIENTS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "well": ("sleep 3600", {}, set()),
    "sick": (
        "sleep 3600",
        {"healthcheck": {"test": ["CMD", "false"], "interval": "2s", "retries": 2}},
        {"ContainerUnhealthy"},
    ),
    "failed": ("sleep 30; exit 3", {}, {"ContainerExited"}),
    "finished": ("sleep 30", {}, set()),
    "greedy": (
        "sleep 30; head -c 64M /dev/zero | tail >/dev/null; sleep 3600",
        {"mem_limit": "16m"},
        {"ContainerOOM"},
    ),
    "looping": ("sleep 4; exit 1", {"restart": "always"}, {"ContainerRestartLoop"}),
    "stopped": ("sleep 3600", {"restart": "unless-stopped", "scale": 2}, {"ContainerStopped"}),
}


@pytest.fixture(scope="module")
def ward(core: float, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:  # noqa: ARG001
    """Start the patients, beside the bundle and without its labels."""
    file: Path = tmp_path_factory.mktemp("ward") / "compose.json"
    image = busybox.ensure_image(bundle.client)
    services = {name: service(image, *PATIENTS[name]) for name in PATIENTS}
    file.write_text(json.dumps({"services": services}), encoding="utf-8")  # JSON is YAML as well
    compose = ("docker", "compose", "--file", str(file), "--project-name", PROJECT)
    bundle.run(*compose, "up", "--detach")
    try:
        stop_by_hand(bundle)
        yield bundle
    finally:
        bundle.run(*compose, "down", "--timeout", "1")


def service(image: str, program: str, more: dict[str, Any], _: set[str]) -> dict[str, Any]:
    return {"image": image, "command": ["sh", "-c", program], **more}


def stop_by_hand(bundle: Bundle) -> None:
    bundle.client.containers.get(f"{PROJECT}-stopped-2").stop(timeout=10)


def fired(bundle: Bundle, window: str) -> dict[str, set[str]]:
    """Return which alerts have fired within the window about each service of the project."""
    query = f'max_over_time(ALERTS{{alertstate="firing",compose_project="{PROJECT}"}}[{window}])'
    found: dict[str, set[str]] = {name: set() for name in PATIENTS}
    for sample in bundle.prometheus.query(query):
        found[sample.labels["compose_service"]].add(sample.labels["alertname"])
    return found


def test_each_trouble_raises_its_alert_and_no_other(ward: Bundle) -> None:
    expected = {name: alerts for name, (_, _, alerts) in PATIENTS.items()}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(expected[name] - alerts for name, alerts in fired(ward, "15m").items()):
        assert time.monotonic() < deadline, f"not all have fired: {fired(ward, '15m')}"
        time.sleep(POLL_SECONDS)
    time.sleep(AFTERMATH_SECONDS)
    assert fired(ward, "15m") == expected


def test_nothing_was_done_about_any_of_them(ward: Bundle) -> None:
    said = ward.say("actions", "--json")
    assert said.status == 0, said.errors
    about = [each for each in json.loads(said.output) if PROJECT in each["target"]]
    assert {(each["state"], each["reason"]) for each in about} <= {("suppressed", "not_opted_in")}
