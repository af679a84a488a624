"""``compose-agent forward``: the log forwarder alone."""

from compose_agent.commands.alone import role_command
from compose_agent.commands.roles import FORWARDER

command = role_command(FORWARDER, "forward", "Ship container logs to Fluentd, Elasticsearch and others.")
