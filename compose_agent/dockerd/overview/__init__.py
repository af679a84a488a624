"""What a person sees of a host and its containers: one view-model for the page, ``status`` and JSON.

:class:`Observer` reads and remembers, everything behind it is pure: :mod:`rates` makes rates out of two
readings, :mod:`build` the rows, :mod:`order` sorts and filters them, :mod:`words` says them, :mod:`wire`
writes and reads the JSON form.
"""

from compose_agent.dockerd.overview.model import ContainerRow, HostOverview, Overview
from compose_agent.dockerd.overview.observer import Observer
from compose_agent.dockerd.overview.order import Order, View

__all__ = ["ContainerRow", "HostOverview", "Observer", "Order", "Overview", "View"]
