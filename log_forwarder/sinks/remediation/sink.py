"""The ``remediation`` sink: lines that match a pattern, as triggers to the remediation role of this host."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from compose_agent.cloudevents import CONTENT_TYPE, PATH
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from log_forwarder.event import Batch
from log_forwarder.sinks.contract import Answer, Entry, SinkContext, SinkKind, SinkUnavailable
from log_forwarder.sinks.remediation.matches import Matcher
from log_forwarder.sinks.word import SinkWord

ROLE = "remediation"
# Read at once; of most lines nothing is sent.
MOST_BYTES = 1 << 20
# Each is a request of its own, and a stop waits for the end of what was begun.
MOST_EVENTS = 50
# What is wrong with the trigger itself will be so tomorrow.
_REFUSED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_EXCERPT = 200


class RemediationSink:
    """Posts triggers one after the other, each on a connection of its own: there are few, and it is near.

    The role knows by source and id what it has taken, so that one may be sent again without harm.
    """

    most_bytes = MOST_BYTES
    most_events = MOST_EVENTS

    def __init__(self, client: LocalClient, matcher: Matcher) -> None:
        self._client = client
        self._matcher = matcher

    def encode(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event; those that are no trigger are left out."""
        return self._matcher.entries(batch)

    def send(self, entries: Sequence[Entry], *, again: bool) -> Answer:
        """Post the triggers of each entry, up to the first that is not taken now."""
        rejected: dict[int, str] = {}
        for at, entry in enumerate(entries):
            try:
                refusals = [said for each in entry.data.split(b"\n") if (said := self._post(each))]
            except SinkUnavailable:
                if at == 0:
                    raise
                return Answer(rejected, range(at, len(entries)))
            if refusals:
                rejected[at] = refusals[0]
        return Answer(rejected)

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""

    def _post(self, trigger: bytes) -> str:
        """Return why a trigger is refused for good, or nothing; raises SinkUnavailable."""
        try:
            status, body = self._client.request("POST", PATH, trigger, {"Content-Type": CONTENT_TYPE})
        except RoleNotRunning as error:
            raise SinkUnavailable(error.message, remedy=error.remedy) from error
        except ComposeAgentError as error:
            raise SinkUnavailable(error.message, remedy=error.remedy, unseen=True) from error
        if 200 <= status < 300:
            return ""
        said = f"the role {ROLE} answered {status} ({_excerpt(body) or 'nothing'})"
        if status in _REFUSED:
            return said
        remedy = None if status in _BUSY else "see its log, and compare versions with 'compose-agent version'"
        raise SinkUnavailable(said, remedy=remedy, unseen=status >= 500 and status not in _BUSY)


def _excerpt(body: bytes) -> str:
    return " ".join(body[:_EXCERPT].decode("utf-8", "replace").split())


def make(word: SinkWord, context: SinkContext) -> RemediationSink:
    """Return the sink of ``remediation://`` or ``remediation:///path/to.sock``; raises ConfigError."""
    if word.hosts or "\0" in word.path:
        raise word.problem("expected remediation://, or a socket of this host: remediation:///path/to.sock")
    path = Path(word.path) if word.path.strip("/") else None
    if path is None and context.run_dir is None:
        raise word.problem("name the role's socket: remediation:///path/to.sock")
    client = LocalClient(context.run_dir or Path(), ROLE, path=path)
    return RemediationSink(client, Matcher(context.host, context.triggers))


SINK = SinkKind(
    name=ROLE,
    schemes=(ROLE,),
    help="The remediation role of this host: lines that match a pattern, as triggers (see logs.md); the path "
    "of its socket if it is not in the run directory.",
    options={},
    make=make,
)
