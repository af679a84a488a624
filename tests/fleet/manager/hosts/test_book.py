"""What hosts tell: kept, found again, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fleet.database import Database
from fleet.envelopes.host import (
    ACTIONS,
    CONTAINERS,
    LOAD,
    MOST_ACTIONS,
    MOST_CONTAINERS,
    ActionLine,
    ContainerLine,
    Load,
)
from fleet.manager.hosts import Book, HostStore, Owner
from fleet.manager.model import Node, Peer
from fleet.manager.registry import Registry
from fleet.manager.store import manager_database

ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(manager_database(tmp_path)) as made:
        yield made


@pytest.fixture
def registry() -> Registry:
    made = Registry(lambda _transition: None)
    for uid in (ONE, TWO):
        made.hear(uid, Peer("http", ""), described=True)
    return made


def book_of(registry: Registry, database: Database) -> Book:
    book = Book(registry, HostStore(database), lambda: None)
    book.start()
    return book


@pytest.fixture
def book(registry: Registry, database: Database) -> Iterator[Book]:
    made = book_of(registry, database)
    yield made
    made.stop()


def container(number: int, name: str) -> ContainerLine:
    return ContainerLine(
        id=f"{number:012x}",
        name=name,
        project="shop",
        service="web",
        image="web:1",
        state="running",
        health="none",
        exit_code=None,
        since=5.0,
    )


def action(number: int) -> ActionLine:
    return ActionLine(
        id=f"a{number}",
        state="done",
        reason="",
        action="restart",
        target="container:web",
        policy="p",
        alert="A",
        created_at=1.0,
        ended_at=2.0,
    )


def tell(book: Book, uid: bytes, kind: str, what: object) -> None:
    book.take(Node(uid), kind, msgspec.msgpack.encode(what))


def test_containers_are_found_by_id_and_by_name(book: Book) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web"), container(0xA2, "db")])
    tell(book, TWO, CONTAINERS, [container(0xB1, "web"), container(0xB2, "web-2")])
    assert book.with_id("0000000000a2") == [Owner(ONE, "db")]
    assert book.with_id("0000000000B2" + "f" * 52) == [Owner(TWO, "web-2")]
    assert book.with_name("web") == [Owner(ONE, "web"), Owner(TWO, "web")]
    assert book.with_name("db") == [Owner(ONE, "db")]


@pytest.mark.parametrize("wanted", ["", "a2", "0000000000ff", "\n00000000000", "000000000a1\n"])
def test_what_is_no_containers_id_finds_none(wanted: str, book: Book) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web"), container(0xA2, "db")])
    assert book.with_id(wanted) == []


@pytest.mark.parametrize("wanted", ["", "we", "eb", "\n", "web\ndb"])
def test_a_part_of_a_name_is_none(wanted: str, book: Book) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web"), container(0xA2, "db")])
    assert book.with_name(wanted) == []


def test_a_name_with_a_line_end_is_not_two(book: Book) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web\ndb"), container(0xA2, "last")])
    assert book.with_name("db") == []
    assert book.with_id("0000000000a2") == [Owner(ONE, "last")]


def test_it_is_there_again_after_a_restart(book: Book, registry: Registry, database: Database) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web")])
    tell(book, ONE, ACTIONS, [action(1)])
    book.stop()
    again = book_of(registry, database)
    assert again.with_name("web") == [Owner(ONE, "web")]
    assert again.containers(ONE) == [container(0xA1, "web")]
    assert again.actions(ONE) == [action(1)]
    again.stop()


def test_a_node_that_is_forgotten_has_told_nothing(
    book: Book, registry: Registry, database: Database
) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web")])
    book.flush()
    registry.forget(registry.find("31313131-3131-3131-3131-313131313131")[0])
    book.flush()
    assert book.with_name("web") == []
    assert HostStore(database).load() == {}


def test_what_is_told_is_bounded(book: Book) -> None:
    tell(book, ONE, CONTAINERS, [container(at, "n" * 9000) for at in range(MOST_CONTAINERS + 1)])
    tell(book, ONE, ACTIONS, [action(at) for at in range(MOST_ACTIONS + 1)])
    assert len(book.containers(ONE)) == MOST_CONTAINERS
    assert len(book.containers(ONE)[0].name) == 300
    assert len(book.actions(ONE)) == MOST_ACTIONS


@pytest.mark.parametrize(
    ("kind", "data"), [(CONTAINERS, b"\xc1"), (LOAD, b"\x90"), (ACTIONS, b""), ("other", b"x")]
)
def test_what_cannot_be_read_changes_nothing(kind: str, data: bytes, book: Book) -> None:
    tell(book, ONE, CONTAINERS, [container(0xA1, "web")])
    book.take(Node(ONE), kind, data)
    assert book.with_name("web") == [Owner(ONE, "web")]


def test_a_load_is_the_nodes(book: Book) -> None:
    node = Node(ONE)
    load = Load(0.5, 2, None, 0.25, 3, 2)
    book.take(node, LOAD, msgspec.msgpack.encode(load))
    assert node.load == load
