"""Couriers carry batches from an outbox to a sink, again and again until each is settled."""

from log_forwarder.couriers.request import RequestCourier
from log_forwarder.couriers.window import WindowCourier

__all__ = ["RequestCourier", "WindowCourier"]
