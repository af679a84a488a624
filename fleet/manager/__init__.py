"""The manager: what it knows of every node, how it hears of them, and where it shows them.

::

    WebSocket, HTTP ──> Endpoint ──> Desk ──> Registry ──> Writer ──> Store
                                               │  ▲ sweep
                                               ▼
                                  API, page, metrics, discovery
"""
