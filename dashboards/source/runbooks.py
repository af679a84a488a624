"""The runbooks of all alerts, where one is when an alert leads here."""

from __future__ import annotations

from pathlib import Path

import yaml

from dashboards.source.model import Dashboard, Panel, Row
from dashboards.source.panels import panel_id

_ALERTS = Path(__file__).resolve().parents[2] / "alerts"
_UID = "compose-agent-runbooks"
# What the remediation role raises by itself.
_RAISED = ("ComposeAgentGaveUp",)


def address(alert: str) -> str:
    """Return where Grafana shows the runbook of an alert, without the server."""
    return f"/d/{_UID}?viewPanel={panel_id(alert)}"


def _alerts(path: Path) -> list[str]:
    rules = [
        rule
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
    return list(dict.fromkeys(rule["alert"] for rule in rules if "alert" in rule))


def _panel(alert: str) -> Panel:
    text = (_ALERTS / "runbooks" / f"{alert}.md").read_text(encoding="utf-8")
    _, _, body = text.partition("\n\n")
    return Panel(alert, f"What to do about {alert}.", "text", text=body, width=12, height=14)


def dashboard() -> Dashboard:
    """Return the dashboard as the folder of runbooks is now."""
    rows = [
        Row(path.stem.capitalize(), [*map(_panel, _alerts(path))], collapsed=True)
        for path in sorted(_ALERTS.glob("rules/*.yml"))
    ]
    rows.append(Row("Raised by remediation", [*map(_panel, _RAISED)], collapsed=True))
    return Dashboard(
        uid=_UID,
        title="Runbooks",
        description="What each alert means, what the agent does about it, what to check, and how to stop it.",
        rows=rows,
    )
