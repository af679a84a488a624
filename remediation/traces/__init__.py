"""The trace of each action.

An action's id is the id of its trace, so whoever has one has the other. What is decided and found out stands
in the audit, and becomes spans from there (``follower``), each exactly once whatever ends this process; what
takes time in this process is a span of the SDK while it happens (``attempts``, ``receipt``).
"""
