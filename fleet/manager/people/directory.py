"""Everybody who is known here: people and tokens in memory, written through to disk."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import bcrypt

from compose_agent.errors import StateError
from fleet.manager.people.model import Kind, Person, Refused, Scope, Token
from fleet.manager.people.store import PeopleStore

logger = logging.getLogger(__name__)

# A token says what it is, so that a scanner of repositories finds one that was committed.
PREFIX = "compose-agent"
_ID_BYTES = 5
_SECRET_BYTES = 32
# As long as bcrypt reads, and long enough not to be guessed.
_LEAST_PASSWORD, _MOST_PASSWORD = 10, 72
# As in the users that people make for web configuration files; each more doubles the time.
_ROUNDS = 10
# A page of tokens that nobody can survey is no overview, and all of them are in memory.
_MOST_TOKENS = 10_000


class Directory:
    """Thread-safe. What changes something raises StateError, and Refused for what is not possible."""

    def __init__(self, store: PeopleStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._later = ThreadPoolExecutor(1, "manager-directory")
        self._people = {person.name: person for person in store.people()}
        self._tokens = {token.digest: token for token in store.tokens()}

    # People.

    def people(self) -> list[Person]:
        """Return everybody, by name."""
        with self._lock:
            return [self._people[name] for name in sorted(self._people)]

    def person(self, name: str) -> Person | None:
        """Return somebody."""
        return self._people.get(name)

    def put_person(self, name: str, scope: Scope, password: str | None) -> Person:
        """Make somebody, or change them; a password of None stays as it was, or is none."""
        with self._lock:
            before = self._people.get(name)
            hashed = before.password if before else b""
            made = Person(
                name,
                scope,
                hashed if password is None else hash_of(password),
                before.created_at if before else self._now(),
            )
            self._store.put_person(made)
            self._people[name] = made
            return made

    def remove_person(self, name: str) -> None:
        """Remove somebody."""
        with self._lock:
            self._store.remove_person(name)
            self._people.pop(name, None)

    # Tokens.

    def tokens(self) -> list[Token]:
        """Return every token, the oldest first."""
        with self._lock:
            return sorted(self._tokens.values(), key=lambda token: (token.created_at, token.id))

    def token(self, id: str) -> Token | None:
        """Return the token with this id."""
        return next((token for token in self.tokens() if token.id == id), None)

    def issue(
        self, name: str, kind: Kind, scope: Scope, lifetime: float | None, uses: int | None
    ) -> tuple[Token, str]:
        """Make a token, for ``lifetime`` seconds if given; its text is nowhere else afterwards."""
        token_id = secrets.token_hex(_ID_BYTES)
        text = f"{PREFIX}-{kind.value}-{token_id}-{secrets.token_urlsafe(_SECRET_BYTES)}"
        now = self._now()
        expires = now + lifetime if lifetime is not None else 0.0
        token = Token(token_id, name, kind, scope, digest_of(text), now, expires, uses)
        with self._lock:
            self._tidy(now)
            if len(self._tokens) >= _MOST_TOKENS:
                raise Refused(f"there are {_MOST_TOKENS} tokens: revoke some first")
            self._store.put_token(token)
            self._tokens[token.digest] = token
        return token, text

    def revoke(self, id: str) -> None:
        """Remove a token."""
        with self._lock:
            self._store.remove_token(id)
            self._tokens = {digest: token for digest, token in self._tokens.items() if token.id != id}

    def valid(self, text: str, kind: Kind) -> Token | None:
        """Return the token of this text, None if it is none, of another kind, or is over."""
        # Found by its hash: how long that takes tells nothing of a secret.
        token = self._tokens.get(digest_of(text))
        return token if token and token.kind is kind and token.holds(self._now()) else None

    def spend(self, id: str) -> bool:
        """Take one of the uses of a token, if they are counted, and tell whether there was one.

        It is on disk soon: whoever calls this serves agents, and waits for nothing.
        """
        with self._lock:
            token = next((each for each in self._tokens.values() if each.id == id), None)
            if token is None or token.uses_left == 0:
                return False
            if token.uses_left is None:
                return True
            used = replace(token, uses_left=token.uses_left - 1)
            self._tokens[token.digest] = used
        self._later.submit(self._write, used)
        return True

    def close(self) -> None:
        """Write what is left."""
        self._later.shutdown()

    def _write(self, token: Token) -> None:
        try:
            self._store.spend(token.id)
        except StateError as error:
            logger.warning("the use of a token is not on disk", extra={"error": str(error)})

    def _tidy(self, now: float) -> None:
        for token in [each for each in self._tokens.values() if not each.holds(now)]:
            self._store.remove_token(token.id)
            del self._tokens[token.digest]


def digest_of(text: str) -> bytes:
    """Return what is kept of a token: a secret of 256 bits needs no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def hash_of(password: str) -> bytes:
    """Return what is kept of a password; raises Refused for one that is none."""
    given = password.encode("utf-8", "surrogateescape")
    if not _LEAST_PASSWORD <= len(given) <= _MOST_PASSWORD:
        what = f"a password has {_LEAST_PASSWORD} to {_MOST_PASSWORD} bytes, this one has {len(given)}"
        raise Refused(what)
    return bcrypt.hashpw(given, bcrypt.gensalt(_ROUNDS))
