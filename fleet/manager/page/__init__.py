"""The manager's page: the table of nodes at ``/``, one node at ``/node?id=…``."""

from fleet.manager.page.view import NodesPage

__all__ = ["NodesPage"]
