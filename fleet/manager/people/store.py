"""People and tokens on disk. Of a password there is its bcrypt hash, of a token its SHA-256."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from fleet.database import Database, Tables
from fleet.manager.people.model import Kind, Person, Scope, Token
from fleet.manager.principal import Role

_SCHEMA = """
CREATE TABLE people_person (
    name TEXT PRIMARY KEY, role INTEGER NOT NULL, environments TEXT NOT NULL, password BLOB NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE people_token (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, role INTEGER NOT NULL,
    environments TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, created_at REAL NOT NULL,
    expires_at REAL NOT NULL, uses_left INTEGER
) WITHOUT ROWID;
"""
_PERSON = "name, role, environments, password, created_at"
_TOKEN = "id, name, kind, role, environments, digest, created_at, expires_at, uses_left"  # noqa: S105 - columns


class PeopleStore:
    """Every call raises StateError; what it writes is on disk when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.add(Tables("people", [_SCHEMA]))

    def people(self) -> list[Person]:
        """Return everybody."""
        question = f"SELECT {_PERSON} FROM people_person ORDER BY name"  # noqa: S608 - our own names
        return [_person(row) for row in self._rows(question)]

    def tokens(self) -> list[Token]:
        """Return every token that was not revoked, the oldest first."""
        question = f"SELECT {_TOKEN} FROM people_token ORDER BY created_at, id"  # noqa: S608 - our own names
        return [_token(row) for row in self._rows(question)]

    def put_person(self, person: Person) -> None:
        """Write somebody, in place of who had the name."""
        row = (person.name, *_written(person.scope), person.password, person.created_at)
        self._run("INSERT OR REPLACE INTO people_person VALUES (?, ?, ?, ?, ?)", row)

    def remove_person(self, name: str) -> None:
        """Remove somebody."""
        self._run("DELETE FROM people_person WHERE name = ?", (name,))

    def put_token(self, token: Token) -> None:
        """Write a token, in place of what it was."""
        first, last = (token.id, token.name, token.kind.value), (token.expires_at, token.uses_left)
        row = (*first, *_written(token.scope), token.digest, token.created_at, *last)
        self._run("INSERT OR REPLACE INTO people_token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def spend(self, id: str) -> None:
        """Take one of a token's uses; one that was revoked meanwhile does not come back."""
        self._run("UPDATE people_token SET uses_left = uses_left - 1 WHERE id = ? AND uses_left > 0", (id,))

    def remove_token(self, id: str) -> None:
        """Remove a token."""
        self._run("DELETE FROM people_token WHERE id = ?", (id,))

    def _rows(self, question: str) -> list[Sequence[Any]]:
        return self._database.read(lambda tx: tx.execute(question).fetchall())

    def _run(self, statement: str, values: Sequence[object]) -> None:
        def work(tx: sqlite3.Connection) -> None:
            tx.execute(statement, values)

        self._database.write(work)


def _written(scope: Scope) -> tuple[int, str]:
    seen = scope.environments
    return int(scope.role), json.dumps(None if seen is None else sorted(seen))


def _scope(role: int, environments: str) -> Scope:
    seen = json.loads(environments)
    return Scope(Role(role), None if seen is None else frozenset(seen))


def _person(row: Sequence[Any]) -> Person:
    name, role, environments, password, created_at = row
    return Person(name, _scope(role, environments), password, created_at)


def _token(row: Sequence[Any]) -> Token:
    token_id, name, kind, role, environments, digest, created_at, expires_at, uses_left = row
    scope = _scope(role, environments)
    return Token(token_id, name, Kind(kind), scope, digest, created_at, expires_at, uses_left)
