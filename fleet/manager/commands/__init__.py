"""Commands at the manager: given over the API, kept until their agents have said how they ended.

::

    API ──> Issuer ──> Store (manager.db) ──> Dispatcher ══OpAMP══> agent
                          ▲                        │ ▲
                          └── stages, ends ────────┘ └── reports, arrivals, time

A command is on disk before it is sent, and that it may have been sent is on disk before that. So the manager
says of a command that it has expired only when it was never sent, or its agent says so; one that was sent and
is not answered is ``unanswered`` until the agent is back, and asked about then by sending it once more.
"""
