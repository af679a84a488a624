from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from compose_agent.errors import InstanceRunning, StateError
from fleet.database import Database
from fleet.manager.api import NODES, NodesApi
from fleet.manager.model import Description, Health, Node, Peer, State, Transition
from fleet.manager.openapi import Table
from fleet.manager.principal import KEY, LOCAL
from fleet.manager.registry import Registry
from fleet.manager.store import Store, manager_database
from fleet.manager.writer import Writer
from fleet.opamp.uid import uid_text

UID = b"u" * 16


def a_node() -> Node:
    told = Description("web", host="h", tags=("a",), interval=5.0, attributes={"x": ["y"], "n": 1})
    health = Health(healthy=False, error="e", parts={"logs": Health(healthy=True, since=3.0)})
    return Node(
        UID,
        told,
        capabilities=7,
        health=health,
        config={"a.yml": "b: c"},
        state=State.LATE,
        reason="r",
        since=1.0,
        first_heard=2.0,
        last_heard=3.0,
        disabled=True,
        transport="http",
        peer_address="10.0.0.1",
    )


def a_change(after: State) -> Transition:
    return Transition(UID, "web", 5.0, State.ONLINE, after, "r")


@contextmanager
def opened(state_dir: Path) -> Iterator[Store]:
    with closing(manager_database(state_dir)) as database:
        yield Store(database)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path) as made:
        yield made


def fields(node: Node) -> dict[str, object]:
    return {name: getattr(node, name) for name in Node.__slots__}


def test_a_node_comes_back_as_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.write([a_node()], [], [])
    with opened(tmp_path) as again:
        assert [fields(node) for node in again.load()] == [fields(a_node())]


def test_what_was_removed_stays_away(store: Store) -> None:
    store.write([a_node()], [], [])
    store.write([], [UID], [])
    assert store.load() == []


def test_the_history_of_a_node_begins_with_the_newest(store: Store) -> None:
    store.write([], [], [a_change(State.LATE), a_change(State.OFFLINE)])
    assert [one.after for one in store.history(UID, 10)] == [State.OFFLINE, State.LATE]
    assert len(store.history(UID, 1)) == 1
    assert store.history(b"o" * 16, 10) == []


@pytest.mark.usefixtures("store")
def test_a_second_manager_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InstanceRunning, match="a manager runs on"):
        manager_database(tmp_path)


def test_a_damaged_file_is_said_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "manager.db").write_bytes(b"no database " * 1000)
    with pytest.raises(StateError, match=r"move .*manager\.db away"):
        manager_database(tmp_path)


def test_a_kill_in_the_middle_of_a_transaction_leaves_what_was(store: Store, tmp_path: Path) -> None:
    store.write([a_node()], [], [])
    with closing(sqlite3.connect(tmp_path / "manager.db")) as killed:
        killed.execute("BEGIN IMMEDIATE")
        killed.execute("DELETE FROM node")
    assert len(store.load()) == 1


class FailingStore(Store):
    """A store whose disk is full while ``full`` is set."""

    def __init__(self, database: Database, *, full: bool) -> None:
        super().__init__(database)
        self.full = full

    def write(self, *given: object) -> None:
        if self.full:
            raise StateError("the disk is full")
        super().write(*given)  # type: ignore[arg-type]


def test_what_cannot_be_written_is_written_when_there_is_room(tmp_path: Path) -> None:
    failures: list[bool] = []
    with closing(manager_database(tmp_path)) as database:
        store = FailingStore(database, full=True)
        writer = Writer(store, lambda: failures.append(True))
        registry = Registry(writer.note)
        writer._registry = registry
        node = registry.hear(UID, Peer("http", ""), described=True)
        registry.settle(node)
        writer.flush()
        assert (writer.error, failures) == ("the disk is full", [True])
        # It is told all the same.
        assert [one.after for one in writer.history(UID, 10)] == [State.ONLINE]
        assert writer.history(b"o" * 16, 10) == []
        store.full = False
        writer.flush()
        assert writer.error == ""
        assert [node.uid for node in store.load()] == [UID]
        assert [one.after for one in store.history(UID, 10)] == [State.ONLINE]


def test_a_change_is_told_before_it_is_written_and_the_newest_first(store: Store) -> None:
    writer = Writer(store, lambda: None)
    registry = Registry(writer.note)
    writer._registry = registry
    for state in (State.ONLINE, State.LATE):
        writer.note(a_change(state))
    writer.flush()
    for state in (State.OFFLINE, State.ONLINE):
        writer.note(a_change(state))
    told = [State.ONLINE, State.OFFLINE, State.LATE, State.ONLINE]
    assert [one.after for one in writer.history(UID, 10)] == told
    assert [one.after for one in writer.history(UID, 3)] == told[:3]
    assert [one.after for one in writer.history(UID, 1)] == told[:1]


@pytest.mark.parametrize(("full", "status"), [(False, 200), (True, 503)])
def test_what_a_person_changes_is_on_disk_or_said_not_to_be(tmp_path: Path, full: bool, status: int) -> None:
    with closing(manager_database(tmp_path)) as database:
        store = FailingStore(database, full=full)
        writer = Writer(store, lambda: None)
        registry = Registry(writer.note)
        writer._registry = registry
        registry.hear(UID, Peer("http", ""), described=True)

        def keep() -> str:
            writer.flush()
            return writer.error

        table = Table(NodesApi(registry, writer.history, keep).operations())
        route = table.route(f"{NODES}/{uid_text(UID)}/disable")
        assert route is not None
        assert route["POST"]({KEY: LOCAL}).status == status
        assert [node.disabled for node in store.load()] == ([] if full else [True])
