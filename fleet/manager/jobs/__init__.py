"""Jobs: one order for many nodes, or one that is split into parts, each for any node that has room.

::

    API ──> Driver ──> plan (pure) ──> Issuer ──> commands
              ▲                                      │ stages
              └──────────────────────────────────────┘

A part is given out as a command, which is on disk together with the part that says so: a manager that is
killed goes on with what there is, and gives no part out twice.
"""
