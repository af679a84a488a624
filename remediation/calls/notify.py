"""The verb ``notify``: tell people, by a webhook, an alert at Alertmanager, or an annotation in Grafana."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.typed import convert
from remediation.alertmanager import ACTION_ALERT, Alertmanager
from remediation.calls.http import Arguments, credentials, post
from remediation.grafana import Grafana
from remediation.httpapi import HttpError
from remediation.traces.ids import intent_of
from remediation.traces.mention import for_alert

# What an error of a request says that no call can be made of: it is not asked for again.
_NOT_SET = 400


class Notice(Arguments, rename="kebab", frozen=True, kw_only=True):
    """What to say, and how; ``labels`` go with an alert, and as tags with an annotation (see rendering)."""

    url: str = ""
    through: str
    text: str
    at: float
    labels: dict[str, str]


class Notify:
    """See the module; ``alertmanager`` gives the one that is configured at the moment."""

    name = "notify"

    def __init__(self, alertmanager: Callable[[], Alertmanager | None]) -> None:
        self._alertmanager = alertmanager

    def send(self, request: VerbRequest) -> None:
        """Say it; raises HttpError, and ConfigError for a secret that cannot be read."""
        notice = convert(request.arguments, Notice)
        match notice.through:
            case "webhook":
                _call(notice, request.id)
            case "grafana":
                _annotate(notice, request.id)
            case _:
                self._raise(notice, request.id)

    def _raise(self, notice: Notice, key: str) -> None:
        alertmanager = self._alertmanager()
        if alertmanager is None:
            raise HttpError(
                "there is no Alertmanager", remedy="set remediation.alertmanager.url", status=_NOT_SET
            )
        labels = {"alertname": ACTION_ALERT, **notice.labels}
        alertmanager.raise_alert(labels, {"summary": notice.text, **for_alert(intent_of(key))}, key=key)


def _call(notice: Notice, key: str) -> None:
    # What Slack, Mattermost, Rocket.Chat and Google Chat take; some of them take nothing beside it.
    body = msgspec.json.encode({"text": notice.text}).decode()
    post(msgspec.structs.replace(notice, body=body, method="POST"), key)


def _annotate(notice: Notice, key: str) -> None:
    grafana = Grafana(notice.url, seconds=notice.timeout, credentials=credentials(notice))
    try:
        tags = [f"{name}:{value}" for name, value in notice.labels.items()]
        grafana.annotate(notice.at, notice.text, tags, key=key)
    finally:
        grafana.close()
