"""``compose-agent remediate``: the remediation role alone."""

from compose_agent.commands.alone import role_command
from compose_agent.commands.roles import REMEDIATION

command = role_command(REMEDIATION, "remediate", "Turn alerts into restart and scale actions.")
