"""Guards forms against pages of others that have a person's browser send them (cross-site request forgery).

A form is taken when both are right:

- The browser says that a page of our own has sent it: ``Sec-Fetch-Site: same-origin``, or from browsers and
  on addresses without that header an ``Origin`` that is the address which was asked. Another port of the same
  host is another origin.
- The form carries a token that only somebody who could read our page has. It belongs to a cookie of the
  browser (``SameSite=Strict``, not readable for scripts) and to the user, and is made with a secret of this
  process: nobody can make one for a cookie that they have slipped in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

from compose_agent.errors import ComposeAgentError

# Browsers send Origin with a form only where the page's policy lets them name it.
REFERRER_POLICY = ("Referrer-Policy", "same-origin")
TOKEN_FIELD = "token"  # noqa: S105 - a name
_COOKIE = "compose-agent-form"
_COOKIE_BYTES = 24
_VALUE = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


class Forged(ComposeAgentError):
    """A form that did not come from our page, or from an earlier run of it; nothing was done."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What goes out with a page: the token for its forms, and headers."""

    token: str
    headers: tuple[tuple[str, str], ...]


class FormGuard:
    """Gives passes to pages and checks the forms that come back."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def give(self, environ: WSGIEnvironment) -> Pass:
        """Return what goes out with a page; a browser that has our cookie keeps it."""
        if known := _cookie(environ):
            return Pass(self._token(known, environ), (REFERRER_POLICY,))
        made = secrets.token_urlsafe(_COOKIE_BYTES)
        secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
        # Without a path it holds for the folder of the page, also where a proxy puts us under one.
        cookie = f"{_COOKIE}={made}; HttpOnly; SameSite=Strict{secure}"
        return Pass(self._token(made, environ), (REFERRER_POLICY, ("Set-Cookie", cookie)))

    def check(self, environ: WSGIEnvironment, token: str) -> None:
        """Raise Forged unless a form with this token came from a page that a pass went out with."""
        if not is_same_origin(environ):
            raise Forged("another page has sent this form", remedy="open the page itself, and press there")
        known, given = _cookie(environ), token.encode("utf-8", "replace")
        if not known or not hmac.compare_digest(self._token(known, environ).encode(), given):
            raise Forged(
                "this form is from before the agent was started, or without its cookie",
                remedy="let the browser keep cookies for this address, open the page again, and press there",
            )

    def _token(self, cookie: str, environ: WSGIEnvironment) -> str:
        # The user's name cannot run into the cookie, whose length is fixed.
        text = f"{cookie}{environ.get('REMOTE_USER', '')}"
        return hmac.new(self._secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def is_same_origin(environ: WSGIEnvironment) -> bool:
    """Tell whether a request is from a page of our own, or from what is no browser."""
    if site := environ.get("HTTP_SEC_FETCH_SITE"):
        return bool(site == "same-origin")
    origin = environ.get("HTTP_ORIGIN")
    # What is no browser has neither; it still needs a token.
    return origin is None or _host(str(origin)) == str(environ.get("HTTP_HOST", "")).lower()


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _cookie(environ: WSGIEnvironment) -> str:
    """Return our cookie's value, empty if there is none that could be ours."""
    for each in str(environ.get("HTTP_COOKIE", "")).split(";"):
        name, _, value = each.strip().partition("=")
        if name == _COOKIE and _VALUE.fullmatch(value):
            return value
    return ""
