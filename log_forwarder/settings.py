"""The log forwarder's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compose_agent.address import Address
from compose_agent.config import kinds, option
from compose_agent.web.options import listen_addresses, web_config_file
from log_forwarder.transforms.patterns import Pattern, named_regexes

if TYPE_CHECKING:
    from log_forwarder.sinks.word import SinkWord


def _sink(text: str) -> SinkWord:
    from log_forwarder.sinks import parse  # noqa: PLC0415 - loads every sink's libraries

    return parse(text)


# Each holds some 40 MB, and what is read of a container is never divided.
_MOST_WORKERS = 64

sink = kinds.Kind("sink", "a sink such as fluentd://host:24224", _sink)


@dataclass(frozen=True, slots=True)
class ForwarderSettings:
    """Whose lines are shipped, from where, to where."""

    sinks: tuple[SinkWord, ...] = option(
        "sink",
        sink,
        None,
        "Where lines go, in one word, such as fluentd://host:24224?tls=1; repeatable. See docs/logs.md.",
        multiple=True,
    )
    listen_addresses: tuple[Address, ...] = listen_addresses("127.0.0.1:9418", "the forwarder's own metrics")
    web_config_file: Path | None = web_config_file()
    triggers: Mapping[str, Pattern] | None = option(
        "triggers",
        named_regexes,
        None,
        "Patterns of lines that the remediation role is told of, by name, where remediation:// is a sink.",
    )
    docker_root: Path | None = option(
        "docker-root",
        kinds.path,
        None,
        "Docker's data root, as this process sees it. Unset: what the Engine says, or /var/lib/docker.",
        restart=True,
    )
    engine: bool = option(
        "engine",
        kinds.boolean,
        "true",
        "Ask the Engine for the logs of containers whose files cannot be read. Without it names, labels and "
        "images come from Docker's own folders only.",
        restart=True,
    )
    begin: str = option(
        "from",
        kinds.choice("auto", "beginning", "now"),
        "auto",
        "Where to begin with a container that a sink has no position for: at the beginning of what Docker "
        "kept, now, or (auto) at the beginning if the container is younger than the forwarder's state, else "
        "now.",
    )
    containers: tuple[str, ...] = option(
        "containers",
        kinds.string,
        None,
        "Globs of names of the containers whose lines are shipped; repeatable. Unset: all.",
        multiple=True,
    )
    exclude: tuple[str, ...] = option(
        "exclude",
        kinds.string,
        None,
        "Globs of names of containers whose lines are not shipped; repeatable.",
        multiple=True,
    )
    projects: tuple[str, ...] = option(
        "projects",
        kinds.string,
        None,
        "Compose projects whose lines are shipped; repeatable. Unset: all, and what is outside Compose.",
        multiple=True,
    )
    workers: int = option(
        "workers",
        kinds.whole_number(1, _MOST_WORKERS),
        "1",
        "How many processes share the containers, for hosts that write more than one core can ship. Each has "
        "a queue of its own for each sink; the spool is divided among them.",
        restart=True,
    )
    queue_size: int = option(
        "queue-size",
        kinds.size,
        "8MiB",
        "How much of the logs is read ahead of each sink's confirmations; the rest waits in Docker's files.",
        restart=True,
    )
    spool_size: int = option(
        "spool.size",
        kinds.size,
        "1GiB",
        "The most that is copied of files that Docker is about to remove before every sink has them; 0 "
        "copies nothing.",
        restart=True,
    )
    dead_letters_size: int = option(
        "dead-letters.size",
        kinds.size,
        "256MiB",
        "How large the file of dead letters may become. At the limit delivery waits with the next line that "
        "a sink will never take, until they are sent again or moved away.",
    )
    drain_timeout: float = option(
        "drain-timeout",
        kinds.duration,
        "5s",
        "How long a stop waits for sinks to confirm what was read; the rest is sent at the next start. Under "
        "run and with workers a stop takes 8 seconds at the most, whatever this says.",
    )
    stall_after: float = option(
        "stall-after",
        kinds.positive_duration,
        "25s",
        "After how long without any confirmation of what was sent the forwarder is not ready.",
    )
