"""A forwarder of our own, with one container and a counting sink, for sinks that cannot be read back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compose_agent.address import Address
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.role import ConfigState
from log_forwarder.fake.forward import ForwardServer
from log_forwarder.role import ForwarderRole
from log_forwarder.settings import ForwarderSettings
from log_forwarder.sinks import parse
from log_forwarder.verify.course import Course


@dataclass(slots=True)
class OwnCourse:
    """What a forwarder in this process has sent to a counting sink in this process."""

    role: ForwarderRole
    arrived: list[str] = field(default_factory=list)
    name: str = "a counting sink"
    ordered: bool = True

    def has_all(self, container_id: str) -> bool | None:
        """Ask the forwarder."""
        standings = [each for lane, _ in self.role.lanes() for each in lane.standings()]
        for each in standings:
            if each.container.id == container_id:
                return not each.behind_bytes and not each.unsettled
        return None

    def texts(self, marker: str) -> Iterator[str]:
        """Yield what arrived."""
        return (text for text in list(self.arrived) if marker in text)


@contextmanager
def own_forwarder(config: Config, container: str) -> Iterator[Course]:
    """Run a forwarder that ships the container of this name, with a state of its own that goes at the end.

    Docker's folders and the Engine are those of ``config``. Raises ComposeAgentError when it cannot start.
    """
    arrived: list[str] = []

    def take(_tag: str, _time: int, record: Any) -> None:
        arrived.append(str(record["log"]))

    with (
        ForwardServer(on_event=take) as server,
        tempfile.TemporaryDirectory(prefix="compose-agent-verify-") as folder,
    ):
        role = ForwarderRole(_own(config, container, Path(folder), server.port), ConfigState())
        role.start()
        try:
            yield OwnCourse(role, arrived)
        finally:
            role.stop()


def _own(config: Config, container: str, state_dir: Path, port: int) -> Config:
    settings = replace(
        config.of(ForwarderSettings),
        sinks=(parse(f"fluentd://127.0.0.1:{port}"),),
        listen_addresses=(Address("127.0.0.1", 0),),
        web_config_file=None,
        begin="beginning",
        containers=(container,),
        exclude=(),
        projects=(),
    )
    general = replace(config.of(GeneralSettings), state=state_dir, run=None)
    return Config({**config.settings, ForwarderSettings: settings, GeneralSettings: general}, config.given)
