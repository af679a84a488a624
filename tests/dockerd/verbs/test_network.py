from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.fake import FakeEngine
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.model import Result
from tests.dockerd.verbs.acting import OPTED_IN, acting, asked


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


@pytest.fixture
def actor(engine: FakeEngine, tmp_path: Path) -> Iterator[LocalActor]:
    with acting(engine.url, tmp_path) as made:
        yield made


@pytest.fixture
def web(engine: FakeEngine, actor: LocalActor) -> str:
    engine.add_network("shop")
    made = engine.add_container("web", labels=OPTED_IN)
    endpoint = {"Aliases": ["api", "www", made[:12]], "IPAMConfig": {"IPv4Address": "172.30.0.9"}}
    actor._client.network_connect("shop", made, endpoint)
    return made


def networks(engine: FakeEngine, container: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.inspect(container)["NetworkSettings"]["Networks"]
    return found


def test_what_was_taken_off_comes_back_as_it_was(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    off = actor.perform(asked("network_disconnect", web, network="shop"))
    assert off.result is Result.DONE
    assert list(networks(engine, web)) == ["bridge"]
    assert off.details == {"network": "shop", "aliases": ["api", "www"], "address": "172.30.0.9"}
    on = actor.perform(asked("network_connect", web, id="two", **off.details))
    assert on.result is Result.DONE
    assert networks(engine, web)["shop"]["Aliases"] == ["api", "www"]
    assert networks(engine, web)["shop"]["IPAMConfig"] == {"IPv4Address": "172.30.0.9"}


def test_a_network_is_known_by_its_id_too(engine: FakeEngine, actor: LocalActor, web: str) -> None:
    shop = networks(engine, web)["shop"]["NetworkID"]
    off = actor.perform(asked("network_disconnect", web, network=shop))
    assert (off.result, off.details["network"]) == (Result.DONE, "shop")
    on = actor.perform(asked("network_connect", web, id="two", network=shop))
    assert on.details == {"network": "shop"}


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("network_disconnect", {"network": "other"}, "web is not on the network other"),
        ("network_disconnect", {}, "names no network"),
        ("network_connect", {"network": ["shop"]}, "names no network"),
        ("network_connect", {"network": "shop", "aliases": "api"}, "is no list of names"),
        ("network_connect", {"network": "shop", "aliases": [""]}, "is no list of names"),
        ("network_connect", {"network": "shop", "address": "somewhere"}, "'somewhere' is no address"),
        (
            "network_connect",
            {"network": "shop", "aliases": ["new"]},
            "on shop already, without the names new",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    actor: LocalActor, web: str, verb: str, arguments: dict[str, Any], words: str
) -> None:
    outcome = actor.perform(asked(verb, web, **arguments))
    assert outcome.result is Result.REFUSED
    assert words in outcome.reason


@pytest.mark.parametrize("mode", ["host", "none", "container:abc"])
def test_without_a_network_of_its_own_it_is_on_none(engine: FakeEngine, actor: LocalActor, mode: str) -> None:
    web = engine.add_container("web", labels=OPTED_IN, network=mode)
    outcome = actor.perform(asked("network_connect", web, network="bridge"))
    assert outcome.reason == f"web has no network of its own (network_mode {mode})"


def test_the_engines_words_are_passed_on(actor: LocalActor, web: str) -> None:
    outcome = actor.perform(asked("network_connect", web, network="nowhere"))
    assert outcome.result is Result.FAILED
    assert "network nowhere not found" in outcome.reason
