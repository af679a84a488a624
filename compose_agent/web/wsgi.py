"""Apply a web configuration file to any WSGI application: rate limit, headers, users."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compose_agent.web.auth import CHALLENGE, Authenticator, Busy
from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

    from compose_agent.web.webconfig import RateLimit, WebConfig
    from compose_agent.web.webfile import WebConfigFile

# Set where neither the application nor the web configuration says otherwise.
DEFAULT_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
}
_TOO_MANY = Response.text(429, "too many requests", ("Retry-After", "1"))
_UNAUTHORIZED = Response.text(401, "unauthorized", ("WWW-Authenticate", CHALLENGE))


class WebConfigMiddleware:
    """Let through to ``app`` what the web configuration in force lets through.

    Unauthenticated requests get 401, those over the rate limit 429. The application sees the user as
    ``REMOTE_USER``. Without a ``web`` file everything passes, with the default headers.
    """

    def __init__(
        self,
        app: WSGIApplication,
        web: WebConfigFile | None = None,
        authenticator: Authenticator | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._web = web
        self._authenticator = authenticator or Authenticator()
        self._clock = clock
        self._bucket: TokenBucket | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or let the application do so."""
        if self._web is None:
            return self._app(environ, _with_headers(start_response, {}))
        config = self._web.current().config
        answer = self._refusal(config, environ) or self._app
        return answer(environ, _with_headers(start_response, config.headers))

    def _refusal(self, config: WebConfig, environ: WSGIEnvironment) -> Response | None:
        if config.rate_limit and not self._bucket_for(config.rate_limit).take():
            return _TOO_MANY
        if not config.users:
            return None
        try:
            user = self._authenticator.user(config.users, environ.get("HTTP_AUTHORIZATION", ""))
        except Busy:
            return _TOO_MANY
        if user is None:
            return _UNAUTHORIZED
        environ["REMOTE_USER"] = user
        environ["AUTH_TYPE"] = "Basic"
        return None

    def _bucket_for(self, limit: RateLimit) -> TokenBucket:
        bucket = self._bucket
        if bucket is None or bucket.limit != limit:
            bucket = self._bucket = TokenBucket(limit, self._clock)
        return bucket


def _with_headers(start_response: StartResponse, configured: Mapping[str, str]) -> StartResponse:
    forced = {name.lower() for name in configured}

    def start(
        status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        kept = [(name, value) for name, value in headers if name.lower() not in forced]
        present = {name.lower() for name, _ in kept} | forced
        missing = [(name, value) for name, value in DEFAULT_HEADERS.items() if name.lower() not in present]
        return start_response(status, [*kept, *configured.items(), *missing], exc_info)

    return start
