"""HTTP basic authentication (RFC 7617) against bcrypt hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from compose_agent.errors import ComposeAgentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHALLENGE = 'Basic realm="compose-agent", charset="UTF-8"'
# More names and passwords than this are not in honest use at once; a wrong one is 100 bytes here.
REMEMBERED = 128
# A check costs tenths of a second of a core, one at a time; more in the queue would take every worker.
WAITING_CHECKS = 4
# bcrypt reads no more, and its Python library refuses longer ones, where Go's cuts them off.
_PASSWORD_BYTES = 72
_HASH_PREFIX_CHARACTERS = len("$2b$10$")
# A salt and a hash that belong to no password.
_DECOY_TAIL = b"." * 53
_DEFAULT_DECOY = b"$2b$10$" + _DECOY_TAIL


def _is_password(password: bytes, hashed: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - half a MiB of memory, and most have no users

    return bcrypt.checkpw(password, hashed)


class Busy(ComposeAgentError):
    """Too many passwords are being checked; the client may try again."""


class Authenticator:
    """Check passwords, remembering results; the cost of a refusal does not tell whether the user exists."""

    def __init__(self, checkpw: Callable[[bytes, bytes], bool] = _is_password) -> None:
        self._checkpw = checkpw
        self._one_at_a_time = threading.Lock()
        self._queue = threading.BoundedSemaphore(WAITING_CHECKS)
        self._secret = secrets.token_bytes(32)
        # Apart from one another, so that a flood of wrong passwords cannot push out the right ones.
        self._accepted = _Memory()
        self._refused = _Memory()

    def user(self, users: Mapping[str, bytes], authorization: str) -> str | None:
        """Return the user that an Authorization header proves, None for nobody.

        ``users`` maps names to bcrypt hashes. Raises Busy when the check has to wait for too many others.
        """
        given = _credentials(authorization)
        if given is None:
            return None
        name, password = given
        stored = users.get(name)
        hashed = stored or _decoy(users)
        key = self._key(name, password, hashed)
        accepted = key in self._accepted
        if not accepted and key not in self._refused:
            accepted = self._check(password, hashed)
            (self._accepted if accepted else self._refused).add(key)
        return name if accepted and stored else None

    def _check(self, password: bytes, hashed: bytes) -> bool:
        if not self._queue.acquire(blocking=False):
            raise Busy("too many passwords are being checked at once")
        try:
            with self._one_at_a_time:
                return self._checkpw(password[:_PASSWORD_BYTES], hashed)
        except ValueError:
            return False  # a password that bcrypt does not take is not the right one
        finally:
            self._queue.release()

    def _key(self, name: str, password: bytes, hashed: bytes) -> bytes:
        # Keyed with a secret: neither the memory nor the time of a look-up tells anything of a password.
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in (name.encode(), password, hashed):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


class _Memory:
    """A bounded set of keys that forgets the longest unused one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        with self._lock:
            if key not in self._keys:
                return False
            self._keys.move_to_end(key)
            return True

    def add(self, key: bytes) -> None:
        with self._lock:
            self._keys[key] = None
            if len(self._keys) > REMEMBERED:
                self._keys.popitem(last=False)


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _decoy(users: Mapping[str, bytes]) -> bytes:
    """Return a hash that costs as much to check as that of the dearest user."""
    dearest = max(users.values(), key=lambda hashed: hashed[4:6], default=_DEFAULT_DECOY)
    return dearest[:_HASH_PREFIX_CHARACTERS] + _DECOY_TAIL
