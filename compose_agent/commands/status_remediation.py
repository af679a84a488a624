"""The line of ``status`` about remediation: frozen, what is under way, who has to be asked, what was done."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich.text import Text

from compose_agent.commands.roles import REMEDIATION
from compose_agent.commands.status_columns import STYLES
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.overview import words
from compose_agent.errors import ComposeAgentError
from compose_agent.typed import convert
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from remediation import telling
from remediation.overview import Overview

PATH = "/v1/overview"
# The containers are what was asked for; they do not wait for this line.
_TIMEOUT_SECONDS = 2.0


class RemediationStatus:
    """Asks the remediation role of this host, if one runs."""

    def __init__(self, config: Config) -> None:
        self._client = LocalClient(config.of(GeneralSettings).run_dir(), REMEDIATION.name, _TIMEOUT_SECONDS)
        # An Engine that is named on the command line may not be the one that the role acts on.
        named = config.given.get("docker.host")
        self._asked = not (named and named.where.startswith("--"))

    def lines(self) -> list[Text]:
        """Return the line; nothing when no role runs."""
        if not self._asked:
            return []
        try:
            return [line(convert(self._client.get_json(PATH), Overview))]
        except RoleNotRunning:
            return []
        except (ComposeAgentError, msgspec.ValidationError) as error:
            return [Text(words.printable(f"Remediation cannot be asked: {error}"), STYLES["warn"])]


def line(overview: Overview) -> Text:
    """Return an overview as one line."""
    said = Text("Remediation: ")
    said.append_text(Text(" · ").join(Text(words.printable(text), style) for text, style in _parts(overview)))
    return said


def _parts(overview: Overview) -> Iterator[tuple[str, str]]:
    """Yield what there is to say, with its style."""
    wrong = [overview.frozen, *overview.reasons]
    yield from ((each, STYLES["bad"]) for each in wrong if each)
    if overview.dry_run:
        yield "dry run", STYLES["warn"]
    if overview.given_up:
        yield f"{len(overview.given_up)} given up", STYLES["bad"]
    if overview.approvals:
        yield f"{overview.approvals} to approve", STYLES["warn"]
    yield f"{overview.live_count - overview.approvals} under way", ""
    if row := overview.last:
        ago = words.duration(max(0.0, overview.at - row.started_at))
        yield f"last {row.action} of {telling.target_name(row)} {ago} ago, {row.state}", ""
