"""The bit masks of the protocol: what each side can do, and what it asks of the other."""

from __future__ import annotations

from enum import IntFlag


class AgentCan(IntFlag):
    """``AgentToServer.capabilities``."""

    REPORT_STATUS = 0x1
    ACCEPT_REMOTE_CONFIG = 0x2
    REPORT_EFFECTIVE_CONFIG = 0x4
    ACCEPT_CONNECTION_SETTINGS = 0x100
    ACCEPT_RESTART = 0x400
    REPORT_HEALTH = 0x800
    REPORT_REMOTE_CONFIG = 0x1000
    REPORT_HEARTBEAT = 0x2000


class ServerCan(IntFlag):
    """``ServerToAgent.capabilities``."""

    ACCEPT_STATUS = 0x1
    OFFER_REMOTE_CONFIG = 0x2
    ACCEPT_EFFECTIVE_CONFIG = 0x4
    OFFER_CONNECTION_SETTINGS = 0x20
    ACCEPT_CONNECTION_REQUEST = 0x40


class AgentAsks(IntFlag):
    """``AgentToServer.flags``."""

    NEW_INSTANCE_UID = 0x1


class ServerAsks(IntFlag):
    """``ServerToAgent.flags``."""

    FULL_STATE = 0x1
