"""Agents' credentials at the manager: who may join, and what each then proves itself with.

::

    join token ──> Pass ──> first message: Doorman ──> asked for a credential: Credentials ──> offer
                                                        │ signs, or makes a key; on disk
    its own credential ──> Pass of one uid <────────────┘
"""
