from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from compose_agent.errors import StateError
from log_forwarder import keeper as keeper_module
from log_forwarder.event import Mark, Position
from log_forwarder.keeper import Keeper
from log_forwarder.store import Store
from tests.log_forwarder.making import until


class Failing(Store):
    """A store whose disk is full for a while."""

    failures = 0

    def keep(self, positions: Mapping[tuple[str, str], Position]) -> None:
        if self.failures:
            self.failures -= 1
            raise StateError("the disk is full")
        super().keep(positions)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Failing]:
    store = Failing(tmp_path)
    yield store
    store.close()


def at(offset: int) -> Position:
    return Position(Mark("g", offset))


def test_the_newest_position_of_each_is_written(store: Store) -> None:
    keeper = Keeper(store)
    for offset in range(5):
        keeper.keep(("es", "a"), at(offset))
    keeper.keep(("es", "b"), at(9))
    assert store.positions("es") == {}
    assert keeper.positions("es") == {"a": at(4), "b": at(9)}
    keeper.flush()
    assert store.positions("es") == keeper.positions("es") == {"a": at(4), "b": at(9)}


def test_positions_that_are_not_written_yet_go_before_those_that_are(store: Store) -> None:
    keeper = Keeper(store)
    keeper.keep(("es", "a"), at(1))
    keeper.flush()
    keeper.keep(("es", "a"), at(2))
    keeper.keep(("other", "a"), at(3))
    assert keeper.positions("es") == {"a": at(2)}


def test_positions_are_written_by_themselves(store: Store) -> None:
    keeper = Keeper(store)
    keeper.start()
    keeper.keep(("es", "a"), at(1))
    until(lambda: store.positions("es"))
    keeper.stop()


def test_a_stop_writes_what_is_left(store: Store) -> None:
    keeper = Keeper(store)
    keeper.start()
    keeper.keep(("es", "a"), at(1))
    keeper.stop()
    assert store.positions("es") == {"a": at(1)}


def test_what_could_not_be_written_is_kept_unless_newer_came(store: Failing) -> None:
    keeper = Keeper(store)
    keeper.keep(("es", "a"), at(1))
    keeper.keep(("es", "b"), at(1))
    store.failures = 1
    with pytest.raises(StateError):
        keeper.flush()
    keeper.keep(("es", "a"), at(2))
    keeper.flush()
    assert store.positions("es") == {"a": at(2), "b": at(1)}


def test_a_full_disk_does_not_end_the_keeper(store: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "_RETRY_SECONDS", 0.01)
    store.failures = 3
    keeper = Keeper(store)
    keeper.start()
    keeper.keep(("es", "a"), at(1))
    until(lambda: store.positions("es"))
    keeper.stop()
    assert not any(thread.name == "keep positions" for thread in threading.enumerate())


def test_a_container_that_is_gone_is_not_written(store: Store) -> None:
    keeper = Keeper(store)
    keeper.keep(("es", "a"), at(1))
    keeper.keep(("es", "b"), at(1))
    keeper.keep(("kafka", "a"), at(1))
    keeper.forget("a")
    keeper.flush()
    assert store.positions("es") == {"b": at(1)}
    assert store.positions("kafka") == {}


def test_positions_that_are_being_written_are_known(tmp_path: Path) -> None:
    seen: list[dict[str, Position]] = []

    class Slow(Store):
        def keep(self, positions: Mapping[tuple[str, str], Position]) -> None:
            seen.append(keeper.positions("es"))
            super().keep(positions)

    store = Slow(tmp_path)
    keeper = Keeper(store)
    keeper.keep(("es", "a"), at(1))
    keeper.flush()
    store.close()
    assert seen == [{"a": at(1)}]


def test_positions_that_are_written_while_they_are_asked_for_are_known(tmp_path: Path) -> None:
    class Interrupted(Store):
        def positions(self, sink: str) -> dict[str, Position]:
            found = super().positions(sink)
            writer = threading.Thread(target=keeper.flush)
            writer.start()
            writer.join(0.5)  # it may have to wait for the answer
            return found

    store = Interrupted(tmp_path)
    keeper = Keeper(store)
    keeper.keep(("es", "a"), at(1))
    assert keeper.positions("es") == {"a": at(1)}
    until(lambda: super(Interrupted, store).positions("es"))
    store.close()
