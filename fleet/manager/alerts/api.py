"""``/api/v1/alerts``: where Alertmanager sends notifications, and what became of the alerts in them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

import msgspec
from msgspec import Meta

from compose_agent.errors import StateError
from compose_agent.web.compression import compressed
from compose_agent.web.response import Response, body_of
from fleet.manager.alerts.notification import Incoming, Malformed, parse
from fleet.manager.alerts.routing import Owners, Refused, route
from fleet.manager.alerts.store import AlertShown, AlertStore, Fate, Record
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.answers import answered, problem
from fleet.manager.principal import Principal, Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight
from fleet.opamp.uid import new_uid

logger = logging.getLogger(__name__)

ALERTS = "/api/v1/alerts"
_LIMIT, _MOST = 100, 10_000
_PARAMETERS = (
    Parameter("limit", "How many at most", Annotated[int, Meta(ge=0, le=_MOST)]),
    Parameter("state", "Only alerts of which this became", Fate),
)


@dataclass(frozen=True, slots=True)
class RefusedAlert:
    """An alert that is nobody's, and why."""

    name: str
    labels: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """How many alerts of a notification are on disk for their hosts, and which are nobody's."""

    taken: int
    refused: Sequence[RefusedAlert]


class NotifiedAlert(msgspec.Struct):
    """One alert of a notification; members beyond these are handed on as they are."""

    status: Literal["firing", "resolved"]
    labels: Annotated[dict[str, str], Meta(min_length=1)]
    starts_at: str = msgspec.field(name="startsAt")
    fingerprint: Annotated[str, Meta(max_length=128)] = ""


class Notification(msgspec.Struct):
    """A notification of Alertmanager, version 4; members beyond these are handed on as they are."""

    version: Literal["4"]
    alerts: list[NotifiedAlert]
    receiver: str = ""
    group_labels: dict[str, str] | None = msgspec.field(name="groupLabels", default=None)
    left_out: Annotated[int, Meta(ge=0)] = msgspec.field(name="truncatedAlerts", default=0)


class AlertsApi:
    """Takes notifications; ``brought`` hears of each host for which something waits now.

    ``counted`` hears what became of alerts, and of how many.
    """

    def __init__(
        self,
        registry: Registry,
        owners: Owners,
        store: AlertStore,
        *,
        brought: Callable[[bytes], None],
        counted: Callable[[Fate, int], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._owners = owners
        self._store = store
        self._brought = brought
        self._counted = counted
        self._now = now

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [
            Operation(
                method="GET",
                path=ALERTS,
                summary="Alerts that came, the newest first",
                answer=self._list,
                gives=list[AlertShown],
                parameters=_PARAMETERS,
            ),
            Operation(
                method="POST",
                path=ALERTS,
                summary="A notification of Alertmanager is on disk, each of its alerts for its host",
                answer=self._receive,
                takes=Notification,
                gives=Received,
                status=202,
                refuses={422: "None of the alerts is any host's."},
                problems={422: Received},
                needs=Role.OPERATOR,
            ),
        ]

    def shown(self, principal: Principal, most: int, state: str = "") -> list[AlertShown]:
        """Return the alerts that exist for somebody, the newest first; raises StateError."""

        def keep(alert: AlertShown) -> bool:
            # One that is nobody's is in no environment: whoever sees all of them sees it.
            seen = principal.sees(alert.environment) if alert.node_id else principal.environments is None
            return seen and state in {"", alert.state}

        return self._store.latest(most, keep)

    def _list(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        query = {key: values[-1] for key, values in parse_qs(str(environ.get("QUERY_STRING", ""))).items()}
        try:
            found = self.shown(principal_of(environ), int(query.get("limit", _LIMIT)), query.get("state", ""))
        except StateError as error:
            return problem(503, str(error))
        return compressed(answered(200, found), environ)

    def _receive(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        if str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower() != "application/json":
            return problem(415, "expected Content-Type application/json")
        try:
            alerts, left_out = parse(body_of(environ))
        except Malformed as error:
            return problem(400, str(error))
        if left_out:
            logger.warning("a notification leaves out alerts: set max_alerts", extra={"left_out": left_out})
        principal = principal_of(environ)
        trace = str(environ.get("HTTP_TRACEPARENT", ""))
        record = partial(self._record, Sight(self._registry, principal), principal.name, trace)
        records = [record(each) for each in alerts]
        try:
            superseded = self._store.add(records)
        except StateError as error:
            return problem(503, f"not stored, send it again: {error}")
        self._count(records, superseded)
        for uid in dict.fromkeys(each.uid for each in records if each.fate is Fate.WAITING):
            self._brought(uid)
        return _answer(records)

    def _record(self, sight: Sight, sender: str, traceparent: str, alert: Incoming) -> Record:
        fate, reason, uid, node_id, environment = Fate.WAITING, "", b"", "", ""
        try:
            host = route(alert.labels, sight, self._owners)
        except Refused as error:
            fate, reason = Fate.REFUSED, str(error)
        else:
            uid, node_id, environment = host.uid, host.node_id, host.environment
        return Record(
            id=new_uid().hex(),
            received_at=self._now(),
            uid=uid,
            node_id=node_id,
            environment=environment,
            name=alert.name,
            fingerprint=alert.fingerprint,
            firing=alert.firing,
            labels=alert.labels,
            sender=sender,
            traceparent=traceparent[:64],
            body=alert.body if uid else b"",
            fate=fate,
            reason=reason,
        )

    def _count(self, records: Sequence[Record], superseded: int) -> None:
        for fate, number in Counter(each.fate for each in records).items():
            self._counted(fate, number)
        if superseded:
            self._counted(Fate.SUPERSEDED, superseded)


def _answer(records: Sequence[Record]) -> Response:
    refused = [
        RefusedAlert(each.name, each.labels, each.reason) for each in records if each.fate is Fate.REFUSED
    ]
    for each in refused:
        logger.warning("an alert is no host's", extra={"alert": each.name, "reason": each.reason})
    taken = len(records) - len(refused)
    # Alertmanager counts the whole as failed, and does not send it again; its log has this answer.
    return answered(202 if taken or not refused else 422, Received(taken, refused))
