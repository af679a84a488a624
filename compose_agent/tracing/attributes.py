"""Every attribute of our spans; what they mean stands in :mod:`.registry`.

Semantic conventions (1.44) first: https://opentelemetry.io/docs/specs/semconv/. What they do not have
begins with ``compose_agent.``; ``alerting.`` is how Alertmanager names the same in its own spans.
"""

from __future__ import annotations

from typing import Final

CONTAINER_ID: Final = "container.id"
CONTAINER_NAME: Final = "container.name"
# There is no convention for Compose; that for labels of containers says the same.
COMPOSE_PROJECT: Final = "container.label.com.docker.compose.project"
COMPOSE_SERVICE: Final = "container.label.com.docker.compose.service"
ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
URL_PATH: Final = "url.path"
SERVER_ADDRESS: Final = "server.address"
NETWORK_TRANSPORT: Final = "network.transport"

ALERT_NAME: Final = "alerting.alert.name"
ALERT_FINGERPRINT: Final = "alerting.alert.fingerprint"

ACTION: Final = "compose_agent.action"
APPROVED_BY: Final = "compose_agent.approved_by"
AGAIN: Final = "compose_agent.again"
ATTEMPT: Final = "compose_agent.attempt"
CONFIG_REVISION: Final = "compose_agent.config.revision"
DECISION: Final = "compose_agent.decision"
DETAIL: Final = "compose_agent.detail"
DRY_RUN: Final = "compose_agent.dry_run"
ENGINE_CALL: Final = "compose_agent.engine.call"
EPISODE: Final = "compose_agent.episode.id"
HELPED: Final = "compose_agent.helped"
INTENT: Final = "compose_agent.intent.id"
LINES: Final = "compose_agent.lines"
LINK: Final = "compose_agent.link"
NEXT_ACTION: Final = "compose_agent.next_action"
POLICY: Final = "compose_agent.policy"
REASON: Final = "compose_agent.reason"
REQUEST: Final = "compose_agent.request.id"
RESULT: Final = "compose_agent.result"
RUNG: Final = "compose_agent.rung"
SIGNALS: Final = "compose_agent.signals"
SINK: Final = "compose_agent.sink"
STATE: Final = "compose_agent.state"
TARGET: Final = "compose_agent.target"
VERB: Final = "compose_agent.verb"
