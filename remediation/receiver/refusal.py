"""Why a request is not taken, and what its sender is told."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus

from compose_agent.errors import ComposeAgentError
from compose_agent.web.response import Response

# Alertmanager logs the beginning of an answer, and some of it came out of the request.
_MOST_CHARACTERS = 200


class Why(StrEnum):
    """The reasons; they are the label of a metric."""

    ADDRESS = "address"  # not on the allow-list
    BROWSER = "browser"  # a page that somebody looks at has sent it
    NO_CREDENTIALS = "no_credentials"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a word
    WRONG_SIGNATURE = "wrong_signature"
    STALE_SIGNATURE = "stale_signature"
    REPLAYED = "replayed"
    BUSY = "busy"  # the memory of signatures is full
    RATE = "rate"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY_ALERTS = "too_many_alerts"
    MEDIA_TYPE = "media_type"
    COMPRESSED = "compressed"
    NOT_UTF8 = "not_utf8"
    MALFORMED = "malformed"
    NOT_DURABLE = "not_durable"


_STATUS = {
    Why.ADDRESS: HTTPStatus.FORBIDDEN,
    Why.BROWSER: HTTPStatus.FORBIDDEN,
    Why.NO_CREDENTIALS: HTTPStatus.UNAUTHORIZED,
    Why.WRONG_TOKEN: HTTPStatus.UNAUTHORIZED,
    Why.WRONG_SIGNATURE: HTTPStatus.UNAUTHORIZED,
    Why.STALE_SIGNATURE: HTTPStatus.UNAUTHORIZED,
    Why.REPLAYED: HTTPStatus.UNAUTHORIZED,
    Why.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Why.RATE: HTTPStatus.TOO_MANY_REQUESTS,
    Why.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Why.TOO_DEEP: HTTPStatus.BAD_REQUEST,
    Why.TOO_MANY_ALERTS: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Why.MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Why.COMPRESSED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Why.NOT_UTF8: HTTPStatus.BAD_REQUEST,
    Why.MALFORMED: HTTPStatus.BAD_REQUEST,
    Why.NOT_DURABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_RETRY = ("Retry-After", "1")
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: (("WWW-Authenticate", 'Bearer realm="compose-agent"'),),
    HTTPStatus.TOO_MANY_REQUESTS: (_RETRY,),
    HTTPStatus.SERVICE_UNAVAILABLE: (_RETRY,),
}
# These say the same whatever was wrong: to explain it would help who tries.
_SILENT = {HTTPStatus.UNAUTHORIZED: "unauthorized", HTTPStatus.FORBIDDEN: "forbidden"}


class Refusal(ComposeAgentError):
    """A request that is not taken; the message is for its sender, where one is allowed to know."""

    def __init__(self, why: Why, message: str = "") -> None:
        super().__init__(" ".join(message.split())[:_MOST_CHARACTERS] or why)
        self.why = why
        self.status = _STATUS[why]

    def response(self) -> Response:
        """Return the answer."""
        text = _SILENT.get(self.status, self.message)
        return Response.text(self.status, text, *_HEADERS.get(self.status, ()))
