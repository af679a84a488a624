"""The agent's link to a manager: who this host is, how it is, and the connection that tells so.

::

    identity, facts, roles' health, configuration ──> Report ──> Conversation ──> Transport
                                                                      ▲        WebSocket or HTTP
                                                                      └── Link: loop, back-off, fall-back
                                                                            ▲
                                                                        Watchdog
"""
