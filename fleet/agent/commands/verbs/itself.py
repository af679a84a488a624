"""What concerns the agent itself: to read its configuration anew, and whether it could be newer."""

from __future__ import annotations

from compose_agent import __version__
from compose_agent.dockerd.client import EngineClient
from compose_agent.errors import ConfigError
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from fleet.agent.commands.verbs.contract import Means, Outcome, Refused
from fleet.envelopes.command import Command, Stage

SUPERVISOR = "supervisor"
_VERSION = "version"


class Reload:
    """Have all roles of this host take their configuration anew; the same again changes nothing."""

    name = "reload"
    repeatable = False

    def __init__(self, supervisor: LocalClient) -> None:
        self._supervisor = supervisor

    def check(self, command: Command) -> None:
        """Take anything."""

    def run(self, command: Command, _means: Means) -> Outcome:
        """Ask the supervisor, which keeps what was in force when something is wrong."""
        if command.dry_run:
            return Outcome(Stage.DONE, "this is a dry run: it would read its configuration anew")
        try:
            revision = self._supervisor.reload()
        except ConfigError as error:
            return Outcome(Stage.FAILED, str(error), {"problems": [str(each) for each in error.problems]})
        except RoleNotRunning as error:
            raise Refused("the agent was started as a single role, without a supervisor") from error
        return Outcome(Stage.DONE, f"configuration revision {revision}", {"revision": revision})


class UpgradeCheck:
    """Whether the agent's version is the manager's, and which containers run an older image than there is."""

    name = "upgrade-check"
    repeatable = False

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    def check(self, command: Command) -> None:
        """Take anything."""

    def run(self, command: Command, _means: Means) -> Outcome:
        """Compare versions, and the image of each container with the one that its name means now."""
        wanted = command.arguments.get(_VERSION, "")
        tags = {tag: each["Id"] for each in self._engine.list_images() for tag in each.get("RepoTags") or ()}
        older = [
            {"name": str((each.get("Names") or [""])[0]).removeprefix("/"), "image": each["Image"]}
            for each in self._engine.list_containers()
            if tags.get(_tagged(str(each.get("Image", ""))), each.get("ImageID")) != each.get("ImageID")
        ]
        differs = bool(wanted) and wanted != __version__
        said = [f"the agent has version {__version__}" + (f", the manager {wanted}" if differs else "")]
        if older:
            said.append(f"{len(older)} containers run another image than their tag means now")
        result = {"version": __version__, "wanted": wanted, "differs": differs, "containers": older}
        return Outcome(Stage.DONE, "; ".join(said), result)


def _tagged(image: str) -> str:
    """Return an image's name with the tag that it means."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
