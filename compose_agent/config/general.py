"""Options that all roles share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import kinds
from compose_agent.config.options import option

SYSTEM_STATE_DIR = Path("/var/lib/compose-agent")


def _parse_peer(text: str) -> Address:
    address = kinds.address.parse(text)
    # fluent-logger knows IPv4 only.
    if not address.host or ":" in address.host or not address.port:
        raise ValueError(text)
    return address


_peer = kinds.Kind("address", "host:port, with a name or an IPv4 address", _parse_peer)


@dataclass(frozen=True, slots=True)
class GeneralSettings:
    """Where the Engine listens, where state lies, how logs look."""

    docker_host: str | None = option(
        "docker.host",
        kinds.string,
        None,
        "Where the Docker Engine listens: a path, unix://, tcp:// or ssh://. Unset: DOCKER_HOST, the Docker "
        "CLI's context, then the usual sockets of Docker, rootless Docker and Podman.",
        restart=True,
    )
    config_file: Path | None = option(
        "config.file",
        kinds.path,
        None,
        "The configuration file, which is watched. Unset: /etc/compose-agent/compose-agent.yml, if any.",
        restart=True,
        in_file=False,
    )
    compose_files: tuple[Path, ...] = option(
        "compose-file",
        kinds.path,
        None,
        "Compose file whose x-compose-agent fields are read: options at top level, over those of the "
        "configuration file, and labels of its services; repeatable, watched. See docs/compose-extension.md.",
        restart=True,
        multiple=True,
        in_file=False,
    )
    compose_rootfs: Path = option(
        "compose-rootfs",
        kinds.path,
        "/",
        "Where the host's root is seen, for the x-compose-agent fields in the Compose files that labels of "
        "containers name. In a container those files are found only if they are mounted there.",
        restart=True,
    )
    state: Path | None = option(
        "state-dir",
        kinds.path,
        None,
        "Where state lies. Unset: /var/lib/compose-agent for root, else $XDG_STATE_HOME/compose-agent.",
        restart=True,
    )
    run: Path | None = option(
        "run-dir",
        kinds.path,
        None,
        "Where the roles' local sockets lie. Unset: run below the state directory.",
        restart=True,
    )
    log_level: str = option(
        "log.level",
        kinds.choice("debug", "info", "warning", "error"),
        "info",
        "The least level that is logged.",
    )
    log_format: str = option(
        "log.format", kinds.choice("logfmt", "json"), "logfmt", "logfmt for people, json for machines."
    )
    log_fluentd: Address | None = option(
        "log.fluentd",
        _peer,
        None,
        "Where Fluentd or Fluent Bit gets a copy of the agent's own log, without a promise that all of it "
        "arrives. See docs/cli.md.",
    )
    log_fluentd_tag: str = option(
        "log.fluentd-tag",
        kinds.string,
        "compose-agent.{role}",
        "Tag of that copy; {role} stands for exporter, logs or supervisor.",
    )

    def state_dir(self, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
        """Return the state directory of this user."""
        if self.state:
            return self.state
        if (os.getuid() if uid is None else uid) == 0:
            return SYSTEM_STATE_DIR
        home = Path(environ.get("HOME") or "/")
        return Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "compose-agent"

    def run_dir(self) -> Path:
        """Return the folder of the roles' local sockets."""
        return self.run or self.state_dir() / "run"
