"""Which Engine is played: what differs between the 20.10 line (API 1.41) and those after it.

Shapes and words were taken from Engines 20.10.24 (API 1.41) and 28.5.2 (API 1.51); what lies between is
played like the newer one. For 1.52 (Engine 29) the API's version history is followed.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]

# The Engine release that made each API version current.
_RELEASES: dict[Version, str] = {
    (1, 41): "20.10.24",
    (1, 42): "23.0.6",
    (1, 43): "24.0.9",
    (1, 44): "25.0.5",
    (1, 45): "26.1.4",
    (1, 46): "27.1.2",
    (1, 47): "27.5.1",
    (1, 48): "28.0.4",
    (1, 49): "28.1.1",
    (1, 50): "28.3.3",
    (1, 51): "28.5.2",
    (1, 52): "29.0.4",
}
JSON_ERRORS_SINCE: Version = (1, 23)  # older clients get errors as plain text
NO_LEGACY_EVENT_FIELDS_SINCE: Version = (1, 52)
LIST_HEALTH_SINCE: Version = (1, 52)


def parse_version(text: str) -> Version:
    """Return ``"1.41"`` as ``(1, 41)``; raise ``ValueError`` for anything else."""
    major, minor = text.split(".")
    return int(major), int(minor)


def version_text(version: Version) -> str:
    """Return ``(1, 41)`` as ``"1.41"``."""
    return f"{version[0]}.{version[1]}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The API versions an Engine speaks and the habits that come with them."""

    api: Version
    minimum: Version

    @property
    def modern(self) -> bool:
        """Whether ``stop`` comes before ``die``, ``die`` has a duration, and messages start small."""
        return self.api >= (1, 42)

    @property
    def release(self) -> str:
        """The version of the Engine's release."""
        return _RELEASES.get(self.api, "29.0.4" if self.api > (1, 52) else "20.10.24")

    def not_running(self, container_id: str) -> str:
        """Return the words for what needs a running container."""
        return f"{'container' if self.modern else 'Container'} {container_id} is not running"

    def cannot_kill(self, reference: str, container_id: str) -> str:
        """Return the words for a signal to a container that does not run."""
        verb = "cannot" if self.modern else "Cannot"
        return f"{verb} kill container: {reference}: {self.not_running(container_id)}"

    def invalid_signal(self, reference: str, signal: str) -> str:
        """Return the words for a signal that does not exist."""
        if self.modern:
            return f"cannot kill container: {reference}: invalid signal: {signal}"
        return f"Invalid signal: {signal}"

    def has_run(self, command_id: str) -> str:
        """Return the words for a command of ``exec`` that is started a second time."""
        return f"{'exec' if self.modern else 'Error: Exec'} command {command_id} has already run"

    def is_running(self, command_id: str) -> str:
        """Return the words for a command of ``exec`` that is started while it runs."""
        return f"{'exec' if self.modern else 'Error: Exec'} command {command_id} is already running"

    def cannot_remove(self, reference: str, container_id: str, state: str) -> str:
        """Return the words for a removal without force of a container in ``state``."""
        if self.modern:
            advice = "stop the container before removing or force remove"
            return f'cannot remove container "{reference}": container is {state}: {advice}'
        advice = "Stop the container before attempting removal or force remove"
        return f"You cannot remove a {state} container {container_id}. {advice}"

    def invalid_filter(self, key: str, value: str | None = None, choices: tuple[str, ...] = ()) -> str:
        """Return the words for an unknown filter, or for a value that its filter does not take."""
        if value is None:
            return f"invalid filter '{key}'" if self.modern else f"Invalid filter '{key}'"
        if self.modern:
            noun = "state" if key == "status" else key
            known = f"must be one of {', '.join(choices)}"
            return f"invalid filter '{key}={value}': invalid value for {noun} ({value}): {known}"
        if key == "health":
            return f"Unrecognised filter value for health: {value}"
        return f"Invalid filter '{key}={value}'"


def dialect(api_version: str, min_api_version: str | None = None) -> Dialect:
    """Return the dialect of an Engine whose newest API is ``api_version`` (``"1.41"`` … ``"1.52"``)."""
    api = parse_version(api_version)
    if min_api_version is not None:
        return Dialect(api, parse_version(min_api_version))
    if api >= (1, 52):
        return Dialect(api, (1, 44))
    return Dialect(api, (1, 24) if api >= (1, 44) else (1, 12))
