"""Who belongs to which group, by labels, and how each member stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from compose_agent.config import Option, kinds
from compose_agent.dockerd.model import PROJECT_LABEL, Container
from compose_agent.labels import PREFIX
from remediation.arguments import name
from remediation.failover.model import Attachment, Group, Life, Member, Mode, Role
from remediation.triggers.labels import read_area

AREA = "failover"
_LIVES = {
    "running": Life.RUNNING,
    "paused": Life.RUNNING,
    "restarting": Life.RUNNING,
    "created": Life.STOPPED,
    "exited": Life.STOPPED,
    "removing": Life.GONE,
    "dead": Life.GONE,
}

OPTIONS: tuple[Option, ...] = (
    Option(
        "failover.group", name, None, "The group of services or replicas that take over from one another."
    ),
    Option("failover.role", kinds.choice(*Role), Role.STANDBY, "Who of the group runs first."),
    Option(
        "failover.mode",
        kinds.choice(*Mode),
        Mode.ACTIVE_PASSIVE,
        "Whether one of the group runs at a time, or all do and those that are ill leave its network.",
    ),
    Option("failover.alias", kinds.string, None, "The name by which the one that runs is to be found."),
    Option("failover.network", kinds.string, None, "The group's network; unset: the container's only one."),
)


def groups_of(
    containers: Iterable[Container], ailing: Collection[str] = (), died: Collection[str] = ()
) -> tuple[dict[Group, list[Member]], dict[str, str]]:
    """Return the groups with their members, and what is wrong with labels, by container.

    ``ailing`` and ``died`` are full ids: of those that probes or a restart loop find ill, and of those seen
    to die by themselves. What has ended otherwise was stopped. A group is of one Compose project.
    """
    found: dict[str, list[tuple[dict[str, Any], Member]]] = {}
    policies: dict[str, str] = {}
    problems: dict[str, str] = {}
    for container in containers:
        values, wrong = read_area(container.labels, AREA, OPTIONS)
        if wrong:
            problems[container.name] = "; ".join(f"label {PREFIX}{key}: {wrong[key]}" for key in wrong)
        elif values.get("failover.group") and not container.one_off:
            key = f"{container.compose_project}/{values['failover.group']}"
            found.setdefault(key, []).append((values, _member(container, values, ailing, died)))
            policies[container.id] = container.restart_policy
    groups: dict[Group, list[Member]] = {}
    for key, each in found.items():
        if sentence := _disagreement(each) or _comes_back(each, policies):
            problems |= dict.fromkeys((member.name for _, member in each), sentence)
        else:
            groups[_group(key, [values for values, _ in each])] = [member for _, member in each]
    return groups, problems


def named(containers: Iterable[Container]) -> set[str]:
    """Return the names of all groups that labels speak of, also where they do not fit."""
    label = f"{PREFIX}failover.group"
    return {f"{each.compose_project}/{each.labels[label]}" for each in containers if label in each.labels}


def attachment_of(inspect: Mapping[str, Any], network: str = "") -> Attachment | None:
    """Return how a container is in a network, by its inspect; without a name, in its first by name.

    A network may have the name that its Compose project's file has for it.
    """
    networks = (inspect.get("NetworkSettings") or {}).get("Networks") or {}
    project = ((inspect.get("Config") or {}).get("Labels") or {}).get(PROJECT_LABEL, "")
    names = (network, f"{project}_{network}") if network else sorted(networks)
    name = next((each for each in names if each in networks), "")
    if not name:
        return None
    endpoint = networks[name] or {}
    short = str(inspect.get("Id", ""))[:12]
    aliases = map(str, endpoint.get("Aliases") or ())
    address = str((endpoint.get("IPAMConfig") or {}).get("IPv4Address") or "")
    # The Engine adds the short id by itself.
    return Attachment(name, tuple(alias for alias in aliases if alias != short), address)


def _member(
    container: Container, values: Mapping[str, Any], ailing: Collection[str], died: Collection[str]
) -> Member:
    life = _LIVES[container.state]
    if life is Life.STOPPED and container.id in died:
        life = Life.DIED
    is_ill = container.health == "unhealthy" or container.id in ailing
    return Member(container.name, container.id, Role(values["failover.role"]), life, is_ill)


def _disagreement(members: list[tuple[dict[str, Any], Member]]) -> str:
    if len({values["failover.mode"] for values, _ in members}) > 1:
        return f"labels {PREFIX}failover.mode of one group differ"
    if len({values["failover.alias"] for values, _ in members if values["failover.alias"]}) > 1:
        return f"labels {PREFIX}failover.alias of one group differ"
    return ""


def _comes_back(members: list[tuple[dict[str, Any], Member]], policies: Mapping[str, str]) -> str:
    """Return who would be started by a restart of the Engine though it was fenced, as a sentence."""
    names = [member.name for _, member in members if policies[member.id] == "always"]
    if not names or members[0][0]["failover.mode"] != Mode.ACTIVE_PASSIVE:
        return ""
    return (
        f"the restart policy of {', '.join(names)} is 'always', by which a restart of the Engine starts also"
        " who was stopped: make it 'unless-stopped'"
    )


def _group(name: str, values: list[dict[str, Any]]) -> Group:
    def first(key: str) -> str:
        return next((str(each[key]) for each in values if each[key]), "")

    return Group(name, Mode(first("failover.mode")), first("failover.alias"), first("failover.network"))
