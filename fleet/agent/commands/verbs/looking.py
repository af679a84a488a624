"""What only looks at containers: their list, everything about one, its last lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.logstream import LogStream
from compose_agent.errors import EngineNotFound
from fleet.agent.commands.verbs.contract import Means, Outcome, Refused
from fleet.envelopes.command import Command, Stage

DEFAULT_LINES, MOST_LINES = 100, 5000
# A message has at most 4 MiB, and somebody is to read it.
_MOST_LOG_BYTES = 1 << 20
_HIDDEN = "***"
_NO = ("false", "no", "off", "0")
_LOGS_LABEL = "compose-agent.logs"


class Inspect:
    """Everything about one container, values of environment variables hidden; or the list of all."""

    name = "inspect"
    repeatable = False

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def check(self, command: Command) -> None:
        """Take anything."""

    def run(self, command: Command, _means: Means) -> Outcome:
        """Ask the Engine."""
        if not command.target:
            containers = [_short(each) for each in self._engine.list_containers()]
            return Outcome(Stage.DONE, f"{len(containers)} containers", {"containers": containers})
        found = look(self._engine, command.target)
        return Outcome(Stage.DONE, "", {"container": _without_secrets(found)})


class Logs:
    """The last lines of a container: ``lines`` of them, since ``since`` (Unix seconds)."""

    name = "logs"
    repeatable = False

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def check(self, command: Command) -> None:
        """Refuse without a container, and what is no number."""
        if not command.target:
            raise Refused("logs needs a container")
        _lines(command)

    def run(self, command: Command, _means: Means) -> Outcome:
        """Ask the Engine; a container that keeps its log to itself is left alone."""
        found = look(self._engine, command.target)
        config = found.get("Config") or {}
        if str((config.get("Labels") or {}).get(_LOGS_LABEL, "")).lower() in _NO:
            raise Refused(f"{command.target} has the label {_LOGS_LABEL}=false, so its log stays on its host")
        since = command.arguments.get("since", "")
        stream = self._engine.last_logs(
            found["Id"], tty=bool(config.get("Tty")), lines=_lines(command), since=since
        )
        lines, cut = _read(stream)
        words = f"{len(lines)} lines" + (", the oldest left out" if cut else "")
        return Outcome(Stage.DONE, words, {"lines": lines, "cut": cut})


def look(engine: EngineClient, name: str) -> dict[str, Any]:
    """Return everything about a container, by name or id; raises Refused when there is none."""
    try:
        return engine.inspect(name)
    except EngineNotFound as error:
        raise Refused(f"there is no container '{name}' on this host") from error


def _lines(command: Command) -> int:
    text = command.arguments.get("lines", str(DEFAULT_LINES))
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= MOST_LINES):
        raise Refused(f"lines: expected a number from 1 to {MOST_LINES}, not '{text}'")
    return int(text)


def _read(stream: LogStream) -> tuple[list[dict[str, str]], bool]:
    """Return the lines, oldest first, and whether some had to be left out."""
    lines: list[dict[str, str]] = []
    size, cut = 0, False
    with stream:
        for pieces in stream:
            for stream_name, at, data in pieces:
                text = data.decode("utf-8", "replace").removesuffix("\n")
                lines.append({"stream": stream_name, "time": at, "text": text})
                size += len(data)
            while size > _MOST_LOG_BYTES and len(lines) > 1:
                size -= len(lines.pop(0)["text"]) + 1
                cut = True
    return lines, cut


def _short(listed: Mapping[str, Any]) -> dict[str, Any]:
    names = listed.get("Names") or [""]
    return {
        "name": str(names[0]).removeprefix("/"),
        "id": listed["Id"],
        "image": listed.get("Image", ""),
        "state": listed.get("State", ""),
        "status": listed.get("Status", ""),
    }


def _without_secrets(inspected: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(inspected.get("Config") or {})
    config["Env"] = [f"{str(each).partition('=')[0]}={_HIDDEN}" for each in config.get("Env") or []]
    return {**inspected, "Config": config}
