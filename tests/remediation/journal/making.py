"""Signals, episodes and intents for the tests of what is kept of them."""

from __future__ import annotations

from typing import Any

from remediation.model import Episode, Intent, Signal, Source, Target, TargetKind

WEB = Target(TargetKind.CONTAINER, "shop-web-1")
SHOP_WEB = Target(TargetKind.SERVICE, "shop/web")
LABELS = {"name": WEB.name, "compose_project": "shop", "compose_service": "web"}


def signal(fingerprint: str = "f1", **other: Any) -> Signal:
    """Return an alert that fires about the container ``shop-web-1``."""
    values: dict[str, Any] = {
        "source": Source.ALERTMANAGER,
        "name": "ContainerUnhealthy",
        "firing": True,
        "starts_at": 1000.0,
        "received_at": 1001.0,
        "labels": LABELS,
    }
    return Signal(fingerprint=fingerprint, **(values | other))


def episode(id: str = "e1", **other: Any) -> Episode:
    """Return an open episode of the policy ``mend`` and the container ``shop-web-1``."""
    values: dict[str, Any] = {
        "policy": "mend",
        "target": WEB,
        "fingerprint": "f1",
        "alert": "ContainerUnhealthy",
        "starts_at": 1000.0,
        "opened_at": 1001.0,
        "last_signal_at": 1001.0,
        "labels": LABELS,
    }
    return Episode(id=id, **(values | other))


def intent(id: str = "i1", **other: Any) -> Intent:
    """Return a planned restart of ``shop-web-1`` in the episode ``e1``."""
    values: dict[str, Any] = {
        "episode": "e1",
        "policy": "mend",
        "target": WEB,
        "action": "restart",
        "created_at": 1001.0,
        "not_before": 1001.0,
    }
    return Intent(id=id, **(values | other))
