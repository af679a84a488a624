"""Who has logged in on the page: a cookie for each, in memory, over after a while without use."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from wsgiref.types import WSGIEnvironment

_COOKIE = "compose-agent-session"
# A browser takes this prefix for a promise: https, the whole host, and no page of another host has set it.
_SECURE_COOKIE = f"__Host-{_COOKIE}"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_BYTES = 32
# A working day, and a long lunch.
_LONGEST_SECONDS = 12 * 3600.0
_IDLE_SECONDS = 2 * 3600.0
_MOST = 10_000


@dataclass(slots=True)
class _Session:
    name: str
    since: float
    used: float


class Sessions:
    """Sessions by the hash of their cookie; what is in memory would open nothing for who reads it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def begin(self, name: str, environ: WSGIEnvironment) -> tuple[str, str]:
        """Begin a session and return the header that gives it to the browser."""
        value = secrets.token_urlsafe(_BYTES)
        now = self._clock()
        with self._lock:
            self._sessions[_key(value)] = _Session(name, now, now)
            if len(self._sessions) > _MOST:
                self._sessions.popitem(last=False)
        return _header(environ, value)

    def end(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """End the session of a request and return the header that takes the cookie away."""
        with self._lock:
            self._sessions.pop(_key(_value(environ)), None)
        name, value = _header(environ, "")
        return name, f"{value}; Max-Age=0"

    def end_all(self, name: str) -> None:
        """End every session of somebody."""
        with self._lock:
            for key in [key for key, session in self._sessions.items() if session.name == name]:
                del self._sessions[key]

    def name(self, environ: WSGIEnvironment) -> str:
        """Return whose session a request belongs to, empty for none."""
        key, now = _key(_value(environ)), self._clock()
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                return ""
            if now - session.since > _LONGEST_SECONDS or now - session.used > _IDLE_SECONDS:
                del self._sessions[key]
                return ""
            session.used = now
            self._sessions.move_to_end(key)
            return session.name


def _header(environ: WSGIEnvironment, value: str) -> tuple[str, str]:
    # Lax, so that a link in an alert opens the page; what changes something has rules of its own.
    flags = "Path=/; HttpOnly; SameSite=Lax"
    if _is_secure(environ):
        return "Set-Cookie", f"{_SECURE_COOKIE}={value}; {flags}; Secure"
    return "Set-Cookie", f"{_COOKIE}={value}; {flags}"


def _value(environ: WSGIEnvironment) -> str:
    wanted = _SECURE_COOKIE if _is_secure(environ) else _COOKIE
    for each in str(environ.get("HTTP_COOKIE", "")).split(";"):
        name, _, value = each.strip().partition("=")
        if name == wanted and _VALUE.fullmatch(value):
            return value
    return ""


def _is_secure(environ: WSGIEnvironment) -> bool:
    return environ.get("wsgi.url_scheme") == "https"


def _key(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
