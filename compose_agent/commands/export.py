"""``compose-agent export``: the exporter alone."""

from compose_agent.commands.alone import role_command
from compose_agent.commands.roles import EXPORTER

command = role_command(EXPORTER, "export", "Serve Docker data as Prometheus metrics, and a page for people.")
