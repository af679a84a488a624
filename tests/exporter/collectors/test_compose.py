"""Compose services, also those whose last container is gone."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from compose_agent.dockerd.model import STATES, Container
from exporter.collectors.compose import COLLECTOR, ComposeServices
from exporter.exposition import MAX_NAME_CHARACTERS
from tests.exporter.build import NOW, box, scrape, settings

DAY = 86400.0


def of(project: str, service: str, state: str = "running", **labels: str) -> Container:
    return box(
        f"{project}{service}{state}",
        state=state,
        labels={"com.docker.compose.project": project, "com.docker.compose.service": service, **labels},
    )


def counts(services: ComposeServices, *containers: Container, **changes: Any) -> dict[tuple[str, ...], float]:
    (value,) = services(scrape(*containers, **changes))
    assert value is None or isinstance(value, Mapping)
    return dict(value or {})


def positive(found: Mapping[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {key: value for key, value in found.items() if value}


def test_containers_are_counted_by_service_and_state_with_every_state_there() -> None:
    found = counts(
        ComposeServices(DAY),
        of("shop", "web"),
        of("shop", "web", "exited"),
        dataclasses.replace(of("shop", "web"), id="second"),
        of("lab", "web", "paused"),
        box(),
    )
    assert positive(found) == {
        ("shop", "web", "running"): 2,
        ("shop", "web", "exited"): 1,
        ("lab", "web", "paused"): 1,
    }
    assert len(found) == 2 * len(STATES)


@pytest.mark.parametrize(("one_off", "counted"), [("True", 0), ("true", 0), ("False", 1), ("", 1)])
def test_one_off_containers_are_no_replicas(one_off: str, counted: int) -> None:
    container = of("shop", "web", **{"com.docker.compose.oneoff": one_off})
    assert len(positive(counts(ComposeServices(DAY), container))) == counted


def test_long_names_are_cut_before_they_are_counted() -> None:
    one, other = of("shop", "s" * 1500 + "a"), dataclasses.replace(of("shop", "s" * 1500 + "b"), id="other")
    found = positive(counts(ComposeServices(DAY), one, other))
    assert list(found.values()) == [2]
    ((_, service, _),) = found
    assert len(service) == MAX_NAME_CHARACTERS


def test_a_service_stays_with_zeros_until_it_is_forgotten() -> None:
    services = ComposeServices(DAY)
    counts(services, of("shop", "web"))
    gone = counts(services, now=NOW + DAY)
    assert gone == {("shop", "web", state): 0 for state in STATES}
    assert counts(services, now=NOW + DAY + 1) == {}


def test_the_time_runs_from_the_last_container() -> None:
    services = ComposeServices(DAY)
    counts(services, of("shop", "web"))
    counts(services, of("shop", "web"), now=NOW + DAY)
    assert counts(services, now=NOW + 2 * DAY)


def test_an_engine_that_has_been_silent_too_long_says_nothing_and_nothing_is_forgotten() -> None:
    services = ComposeServices(DAY)
    counts(services, of("shop", "web"))
    assert services(scrape(known=False, now=NOW + 2 * DAY)) == (None,)
    assert positive(counts(services, of("shop", "web"), now=NOW + 2 * DAY))


def test_a_new_configuration_remembers_what_the_last_one_did() -> None:
    before, after = ComposeServices(DAY), ComposeServices(60.0)
    counts(before, of("shop", "web"))
    after.resume(before)
    after.resume(object())
    assert counts(after, now=NOW + 60)
    assert counts(after, now=NOW + 61) == {}


def test_how_long_is_the_option() -> None:
    made = COLLECTOR.make(settings(compose_forget_after="90s"))
    made(scrape(of("shop", "web")))
    assert made(scrape(now=NOW + 90)) != ({},)
    assert made(scrape(now=NOW + 91)) == ({},)
