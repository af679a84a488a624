"""Metrics of agents that only their link reaches: asked for by Prometheus, answered by the agent."""

from fleet.manager.relay.api import RelayApi
from fleet.manager.relay.relay import Relay

__all__ = ["Relay", "RelayApi"]
