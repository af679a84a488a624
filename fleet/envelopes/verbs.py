"""The names of what commands can ask for, as the manager checks them and the agents have them."""

from __future__ import annotations

from enum import StrEnum


class Verb(StrEnum):
    """What a command can ask for. On the wire it is a text: an agent may be older, or newer."""

    RESTART = "restart"
    STOP = "stop"
    START = "start"
    SCALE = "scale"
    EXEC = "exec"
    RECREATE = "recreate"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    KILL = "kill"
    FREEZE = "freeze"
    THAW = "thaw"
    INSPECT = "inspect"
    LOGS = "logs"
    PROBE = "probe"
    RELOAD = "reload"
    UPGRADE_CHECK = "upgrade-check"


# Carried out by the remediation role of the host.
BY_REMEDIATION = tuple(
    each
    for each in Verb
    if each not in (Verb.INSPECT, Verb.LOGS, Verb.PROBE, Verb.RELOAD, Verb.UPGRADE_CHECK)
)
