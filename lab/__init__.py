"""Real parts for the demo, the tests and the benches: Engines, images, a sample project, Prometheus.

Nothing here goes into the wheel.  Every part is private: it has its own folders, processes and
networks, takes nothing from the user's Engine, and leaves no trace when it is stopped.
"""

from __future__ import annotations

from compose_agent.errors import ComposeAgentError


class LabError(ComposeAgentError):
    """A real part could not be had, started or removed."""
