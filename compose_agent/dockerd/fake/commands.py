"""How commands of ``exec`` end: by themselves, or with their container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose_agent.dockerd.fake.signals import KILL

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.events import EventLog
    from compose_agent.dockerd.fake.model import Command, Container
    from compose_agent.dockerd.fake.store import Store


def end(events: EventLog, command: Command, exit_code: int) -> None:
    """Let a command end; one that does not run stays as it is."""
    if command.running:
        command.running, command.exit_code = False, exit_code
        events.container(command.container, "exec_die", execID=command.id, exitCode=str(exit_code))


def end_all(store: Store, events: EventLog, container: Container) -> None:
    """End the commands of a container that ends; those that never ran are forgotten, the others are not."""
    for command in [each for each in store.commands.values() if each.container is container]:
        if command.pid == 0:
            del store.commands[command.id]
        end(events, command, 128 + KILL)
