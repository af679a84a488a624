"""Every attribute of our spans.

Semantic conventions (1.44) first: https://opentelemetry.io/docs/specs/semconv/. What they do not have
begins with ``compose_agent.``.
"""

from typing import Final

CONTAINER_ID: Final = "container.id"
ERROR_TYPE: Final = "error.type"

ENGINE_CALL: Final = "compose_agent.engine.call"
CONFIG_REVISION: Final = "compose_agent.config.revision"
