"""``compose-agent manager``: the other end of the agents' links."""

from compose_agent.commands.alone import role_command
from compose_agent.commands.roles import MANAGER

command = role_command(
    MANAGER, "manager", "Run the manager: agents of many hosts register here and are shown with their state."
)
