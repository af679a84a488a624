"""The agent's half of the protocol: what it says next, and what it makes of an answer. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet.agent.configs.keeper import Remote
from fleet.agent.identity import Identity
from fleet.opamp.capabilities import AgentCan, ServerAsks, ServerCan
from fleet.opamp.opamp_pb2 import AgentToServer, ServerErrorResponseType_Unavailable, ServerToAgent

CAPABILITIES = (
    AgentCan.REPORT_STATUS
    | AgentCan.REPORT_EFFECTIVE_CONFIG
    | AgentCan.REPORT_HEALTH
    | AgentCan.REPORT_HEARTBEAT
    | AgentCan.ACCEPT_CONNECTION_SETTINGS
)
# Where the host lets the manager set something.
REMOTE_CAPABILITIES = AgentCan.ACCEPT_REMOTE_CONFIG | AgentCan.REPORT_REMOTE_CONFIG
# What is left out of a message while it is the same as in the one before.
_PARTS = (
    "agent_description",
    "health",
    "effective_config",
    "remote_config_status",
    "custom_capabilities",
)
# What is sent only to a server that says it can take it; the others are part of every status.
_WANTED_IF = {"effective_config": ServerCan.ACCEPT_EFFECTIVE_CONFIG}
_EVERYTHING = ~0
# The specification's least pause where a server is overloaded and does not say for how long.
UNAVAILABLE_SECONDS = 30.0
# A server that is wrong about its own load is not to silence an agent for ever.
_LONGEST_RETRY_SECONDS = 600.0
# A server that is wrong about the interval is not to silence an agent for ever either.
_LONGEST_INTERVAL_SECONDS = 86_400.0
_LONGEST_ERROR = 500
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Orders:
    """What an answer asks for: seconds between heartbeats, seconds of silence, a message at once."""

    interval: float | None = None
    pause: float | None = None
    at_once: bool = False
    error: str = ""


class Conversation:
    """One connection's worth of messages; ``report`` gives what there is to say, without uid and number.

    ``remote`` takes what the manager sets; None where it may set nothing.
    """

    def __init__(
        self,
        identity: Identity,
        report: Callable[[], AgentToServer],
        sequence: int = 0,
        remote: Remote | None = None,
    ) -> None:
        self._identity = identity
        self._report = report
        self._remote = remote
        self._said: dict[str, bytes] = {}
        self._server_can = _EVERYTHING
        self.sequence = sequence
        self.ill = False  # as it was said last

    def heartbeat(self) -> AgentToServer:
        """Return what has changed, at first everything."""
        if self._remote:
            self._remote.spoke()
        message = self._whole()
        self.ill = not message.health.healthy
        for name in _PARTS:
            part = getattr(message, name).SerializeToString(deterministic=True)
            if self._said.get(name) == part or not self._takes(name):
                message.ClearField(name)
            self._said[name] = part
        return message

    def numbered(self, message: AgentToServer) -> AgentToServer:
        """Make a message the next one; who calls sends it before any other."""
        message.instance_uid = self._identity.uid
        message.sequence_num = self.sequence
        message.capabilities = CAPABILITIES | (REMOTE_CAPABILITIES if self._remote else 0)
        self.sequence += 1
        return message

    def has_news(self) -> bool:
        """Tell whether there is something to say before the next heartbeat."""
        report = self._whole()
        return any(
            self._said.get(name) != getattr(report, name).SerializeToString(deterministic=True)
            for name in _PARTS
            if self._takes(name)
        )

    def is_urgent(self) -> bool:
        """Tell whether something is to be said at once; asking costs nothing."""
        if self._remote is None:
            return False
        status = self._remote.status().SerializeToString(deterministic=True)
        return self._remote.waits() or status != self._said.get("remote_config_status")

    def begin_anew(self) -> None:
        """Say everything with the next message: it goes over another connection."""
        self._said.clear()

    def goodbye(self) -> AgentToServer:
        """Return the last message."""
        message = AgentToServer()
        message.agent_disconnect.SetInParent()
        return message

    def take(self, reply: ServerToAgent) -> Orders:
        """Return what an answer asks for, and do what concerns the identity."""
        if reply.HasField("error_response"):
            return _after_error(reply)
        self._server_can = reply.capabilities or self._server_can
        at_once = bool(reply.flags & ServerAsks.FULL_STATE)
        if self._remote:
            self._remote.answered()
            if reply.HasField("remote_config"):
                self._remote.offer(reply.remote_config)
        new_uid = reply.agent_identification.new_instance_uid
        if new_uid and new_uid != self._identity.uid and self._identity.adopt(new_uid):
            at_once = True
        if at_once:
            self._said.clear()
        # No interval, which is what an offer of something else has, means that it stays as it is.
        offered = reply.connection_settings.opamp.heartbeat_interval_seconds
        interval = min(float(offered), _LONGEST_INTERVAL_SECONDS) if offered else None
        return Orders(interval=interval, at_once=at_once)

    def _takes(self, part: str) -> bool:
        """Tell whether the server takes a part of the messages; until it has said so, it takes all."""
        return part not in _WANTED_IF or bool(self._server_can & _WANTED_IF[part])

    def _whole(self) -> AgentToServer:
        message = self._report()
        if self._remote:
            message.remote_config_status.CopyFrom(self._remote.status())
        return message


def _after_error(reply: ServerToAgent) -> Orders:
    error = reply.error_response
    told = error.error_message[:_LONGEST_ERROR]
    if error.type != ServerErrorResponseType_Unavailable:
        return Orders(error=told or "the manager refuses a message")
    wanted = error.retry_info.retry_after_nanoseconds / _NANOSECONDS or UNAVAILABLE_SECONDS
    return Orders(pause=min(wanted, _LONGEST_RETRY_SECONDS), error=told)
