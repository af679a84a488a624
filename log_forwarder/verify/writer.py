"""The container that writes the lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from compose_agent.errors import ComposeAgentError, EngineNotFound, EngineRefused
from log_forwarder.selection import LOGS_LABEL
from log_forwarder.transforms.hints import LABEL_PREFIX, NOTHING
from log_forwarder.transforms.registry import options
from log_forwarder.verify.lines import Plan

# Images with a shell that many hosts have, the smallest first; nothing is pulled for a check.
KNOWN_IMAGES = ("busybox", "alpine", "debian", "ubuntu")
_NAME = "compose-agent-verify"
# Drivers of Docker that take a size; with others the host's own way of keeping logs is what is verified.
_ROTATING = ("json-file", "local")
_ENDED = ("exited", "dead")
_NO_SHELL = "name an image that has a shell with --image"


class EngineCalls(Protocol):
    """What is asked of an :class:`~compose_agent.dockerd.client.EngineClient`."""

    def info(self) -> dict[str, Any]: ...  # noqa: D102
    def list_images(self) -> list[dict[str, Any]]: ...  # noqa: D102
    def create(self, name: str, body: Mapping[str, Any]) -> str: ...  # noqa: D102
    def start(self, container_id: str) -> None: ...  # noqa: D102
    def inspect(self, container_id: str) -> dict[str, Any]: ...  # noqa: D102
    def remove(self, container_id: str) -> None: ...  # noqa: D102


class Writer:
    """Starts the container when it is entered, and removes it with its log at the end.

    Without ``image`` one of :data:`KNOWN_IMAGES` is taken. Raises EngineError, and ComposeAgentError when
    the image has no shell.
    """

    def __init__(self, engine: EngineCalls, plan: Plan, image: str | None = None) -> None:
        self._engine = engine
        self._plan = plan
        self._image = image
        self.name = f"{_NAME}-{plan.marker[-12:]}"
        self.container_id = ""

    def __enter__(self) -> Self:
        image = self._image or choose_image(self._engine.list_images())
        driver = str(self._engine.info().get("LoggingDriver", ""))
        if driver == "none":
            raise ComposeAgentError("the Engine keeps no logs: its log driver is 'none'")
        try:
            self.container_id = self._engine.create(self.name, body(self._plan, image, driver))
        except EngineNotFound as error:
            raise ComposeAgentError(f"this host has no image {image}", remedy="pull it first") from error
        try:
            self._start(image)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def done(self) -> bool:
        """Tell whether every line is written."""
        state = self._engine.inspect(self.container_id).get("State") or {}
        if state.get("Status") not in _ENDED:
            return False
        if code := state.get("ExitCode"):
            raise ComposeAgentError(f"the container {self.name} ended with {code}", remedy=_NO_SHELL)
        return True

    def _start(self, image: str) -> None:
        try:
            self._engine.start(self.container_id)
        except EngineRefused as error:
            raise ComposeAgentError(f"{image} writes no lines ({error})", remedy=_NO_SHELL) from error

    def _remove(self) -> None:
        with suppress(EngineNotFound):
            self._engine.remove(self.container_id)


def body(plan: Plan, image: str, driver: str) -> dict[str, Any]:
    """Return what the Engine is asked to make; ``driver`` is the host's own log driver."""
    log = {"Type": driver, "Config": plan.rotation()} if driver in _ROTATING else {}
    # Transforms may leave lines out; this is about those that are to arrive.
    labels = {LOGS_LABEL: "true"} | {f"{LABEL_PREFIX}{each.key}": NOTHING for each in options()}
    return {
        "Image": image,
        "Entrypoint": ["sh", "-c"],
        "Cmd": [plan.script()],
        "Labels": labels,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {"NetworkMode": "none", "LogConfig": log},
    }


def choose_image(images: Iterable[Mapping[str, Any]]) -> str:
    """Return an image of the host that surely has a shell; ComposeAgentError if there is none."""
    tags = sorted(tag for each in images for tag in each.get("RepoTags") or ())
    for known in KNOWN_IMAGES:
        for tag in tags:
            if tag.rpartition(":")[0].rpartition("/")[2] == known:
                return str(tag)
    names = ", ".join(KNOWN_IMAGES[:-1]) + f" nor {KNOWN_IMAGES[-1]}"
    raise ComposeAgentError(f"this host has neither {names} among its images", remedy=_NO_SHELL)
