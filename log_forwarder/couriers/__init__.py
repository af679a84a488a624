"""Couriers carry batches from an outbox to a sink, again and again until each is settled."""

import threading
from typing import Protocol

from log_forwarder.couriers.request import RequestCourier
from log_forwarder.couriers.state import Health
from log_forwarder.couriers.window import WindowCourier
from log_forwarder.deadletters import DeadLetters
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import RequestSink, Sink

__all__ = ["Courier", "RequestCourier", "WindowCourier", "courier_for"]


class Courier(Protocol):
    """Delivers what is in its outbox."""

    @property
    def health(self) -> Health:
        """How delivery goes."""

    def run(self, stop: threading.Event) -> None:
        """Deliver until ``stop`` is set and everything is settled, or until it is told to abandon that."""


def courier_for(
    name: str, sink: Sink, outbox: Outbox, letters: DeadLetters, abandon: threading.Event
) -> Courier:
    """Return the courier for a sink of this kind; ``name`` is the sink's. ``abandon`` makes it give up."""
    if isinstance(sink, RequestSink):
        return RequestCourier(name, sink, outbox, letters, abandon)
    return WindowCourier(name, sink, outbox, letters, abandon)
