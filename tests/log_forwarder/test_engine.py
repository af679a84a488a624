from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.model import Container
from log_forwarder.engine import ApiArrival, EngineLogs, docker_root
from log_forwarder.event import Mark, Position
from log_forwarder.sources.api import ApiFollower
from tests.log_forwarder.making import until


@dataclass
class Books:
    """Remembers nothing beyond this object."""

    position: Position | None = None
    reserved: Mark | None = None

    def keep(self, position: Position) -> None:
        self.position = position

    def reserve(self, mark: Mark) -> None:
        self.reserved = mark


@dataclass(eq=False)
class Lane:
    """A lane that follows at once and reads when it is asked."""

    followers: dict[str, ApiFollower] = field(default_factory=dict)
    forgotten: list[tuple[str, bool]] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)

    def add(self, arrival: ApiArrival) -> None:
        assert arrival.container.id not in self.followers
        self.followers[arrival.container.id] = arrival.follow(Books())

    def update(self, container: Container) -> None:
        self.followers[container.id].container = container

    def notice(self, container_ids: object) -> None:
        self.noticed += container_ids  # type: ignore[arg-type]

    def follower(self, container_id: str) -> ApiFollower | None:
        return self.followers.get(container_id)

    def forget(self, container_id: str, *, gone: bool) -> None:
        self.followers.pop(container_id).close()
        self.forgotten.append((container_id, gone))

    def read(self, container_id: str) -> list[str]:
        found = []
        while (follower := self.followers.get(container_id)) and (batch := follower.read()):
            found += [event.log for event in batch.events]
            follower.settled(batch)
        return found


class World:
    """A fake Engine, and the logs that are read by its API: those of the driver journald."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.client = EngineClient(Endpoint(self.engine.url, "test"))
        self.excluded: set[str] = set()
        self.forgotten: list[str] = []
        self.lane = Lane()
        self.logs = EngineLogs(
            Inventory(self.client),
            self.client,
            self,
            needs_api=lambda container: container.log_driver != "json-file",
            reason_against=lambda container: "excluded" if container.name in self.excluded else None,
            begins_now=lambda _container: False,
        )
        self.logs.set_lanes([self.lane])

    def forget(self, container_id: str) -> None:
        self.forgotten.append(container_id)

    def add(self, name: str, driver: str = "journald") -> str:
        return self.engine.add_container(name, host_config={"LogConfig": {"Type": driver, "Config": {}}})

    def close(self) -> None:
        self.logs.stop()
        for follower in self.lane.followers.values():
            follower.close()
        self.client.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with world.engine:
        yield world
        world.close()


def test_the_engine_is_not_asked_before_it_is_needed(world: World) -> None:
    assert not world.engine.requests()
    assert world.logs.error() == ""


def test_only_what_has_no_files_is_read_by_the_api(world: World) -> None:
    ids = [world.add("aa"), world.add("bb", "json-file")]
    world.engine.write("aa", "hello\n")
    world.logs.begin()
    world.logs.begin()
    until(lambda: world.lane.read(ids[0]) == ["hello"])
    assert list(world.lane.followers) == ids[:1]
    assert (world.logs.count(), world.logs.unreadable(), world.logs.error()) == (1, 0, "")
    assert ids[0] in world.lane.noticed


def test_containers_are_followed_from_their_start_to_their_removal(world: World) -> None:
    world.logs.begin()
    id_ = world.add("late")
    world.engine.write("late", "one\n")
    until(lambda: world.lane.read(id_) == ["one"])
    world.engine.write("late", "last")
    world.engine.remove("late")
    found: list[str] = []

    def gone() -> bool:
        found.extend(world.lane.read(id_))
        return bool(world.forgotten)  # after the lane has forgotten it

    until(gone)
    assert found == ["last"]
    assert world.lane.forgotten == [(id_, True)]
    assert (world.forgotten, world.logs.count()) == ([id_], 0)


def test_a_container_that_is_started_again_is_read_on(world: World) -> None:
    world.logs.begin()
    id_ = world.add("web")
    world.engine.write("web", "one\n")
    until(lambda: world.lane.read(id_) == ["one"])
    world.engine.die("web", 1)
    until(lambda: world.lane.followers[id_].container.state == "exited")
    with world.engine.core.changed:
        container = world.engine.core.store.container("web")
    world.engine.core.lifecycle.start(container)
    world.engine.write("web", "two\n")
    until(lambda: world.lane.read(id_) == ["two"])


def test_selection_is_asked_again_when_it_changes(world: World) -> None:
    ids = {name: world.add(name) for name in ("aa", "bb")}
    world.excluded = {"aa"}
    world.logs.begin()
    until(lambda: list(world.lane.followers) == [ids["bb"]] and len(world.logs._seen) == 2)
    world.excluded = {"bb"}
    world.logs.reconsider()
    assert list(world.lane.followers) == [ids["aa"]]
    assert (world.lane.forgotten, world.forgotten) == ([(ids["bb"], False)], [])


def test_a_new_lane_hears_of_every_container(world: World) -> None:
    id_ = world.add("aa")
    world.logs.begin()
    until(lambda: world.lane.followers)
    other = Lane()
    world.logs.set_lanes([world.lane, other])
    assert list(other.followers) == [id_]
    other.followers[id_].close()
    world.logs.set_lanes([world.lane])


def test_a_container_that_keeps_no_log_is_named_once_and_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.logs.begin()
    world.add("mute", "none")
    until(world.logs.unreadable)
    world.engine.die("mute", 0)
    world.logs.reconsider()
    assert world.logs.unreadable() == 1
    assert not world.lane.followers
    assert [each.message for each in caplog.records].count(
        "a container keeps no log: its driver is none"
    ) == 1
    world.engine.remove("mute")
    until(lambda: not world.logs.unreadable())


def test_an_engine_that_was_away_is_read_on(world: World) -> None:
    id_ = world.engine.add_container(
        "web", restart="always", host_config={"LogConfig": {"Type": "journald", "Config": {}}}
    )
    world.engine.write("web", "one\n")
    world.logs.begin()
    until(lambda: world.lane.read(id_) == ["one"])
    world.engine.stop_engine()
    until(world.logs.error)
    world.engine.start_engine()
    world.engine.write("web", "two\n")
    until(lambda: world.lane.read(id_) == ["two"])
    until(lambda: not world.logs.error())


@pytest.mark.parametrize(
    ("chosen", "there", "info", "wanted"),
    [
        (Path("/chosen"), True, "/engine", Path("/chosen")),
        (Path("/chosen"), False, "/engine", Path("/chosen")),
        (None, True, "/engine", None),
        (None, False, "/engine", Path("/engine")),
        (None, False, "", None),
    ],
)
def test_the_root_is_as_chosen_or_the_usual_one_or_the_engines(
    tmp_path: Path, chosen: Path | None, there: bool, info: str, wanted: Path | None
) -> None:
    if there:
        (tmp_path / "containers").mkdir()
    with FakeEngine(info={"DockerRootDir": info}) as engine:
        client = EngineClient(Endpoint(engine.url, "test"))
        assert docker_root(chosen, client, tmp_path) == (wanted or tmp_path)
        client.close()


def test_the_root_is_the_usual_one_when_the_engine_says_nothing(tmp_path: Path) -> None:
    with FakeEngine() as engine:
        engine.add_fault(Fault("GET /info", "error", status=500))
        client = EngineClient(Endpoint(engine.url, "test"))
        assert docker_root(None, client, tmp_path) == tmp_path
        client.close()
    assert docker_root(None, None, tmp_path) == tmp_path
