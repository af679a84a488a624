"""What the manager sets on this host, agent's side.

::

    offer ──> Keeper ──> trial on disk ──> reload of the supervisor ──> an answer of the manager ──> kept
                              │ refused: reason                              │ none in time
                              └──────────── the configuration before ────────┘
"""

from fleet.agent.configs.keeper import Keeper

__all__ = ["Keeper"]
