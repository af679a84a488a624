"""``compose-agent broker``: the only process with the Engine's socket, for the hardened set-up."""

from compose_agent.commands.alone import role_command
from compose_agent.commands.roles import BROKER

command = role_command(
    BROKER, "broker", "Hold the Engine's socket for the other roles: an exact list of questions and verbs."
)
