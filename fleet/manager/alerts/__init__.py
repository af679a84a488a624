"""Alertmanager's webhook of the fleet: each alert goes to the host that owns what it is about.

::

    Alertmanager ──> AlertsApi ──> route ──> AlertStore (on disk, then 202)
                                                  │ waiting, in the order in which they came
                                             Dispatcher ══link══> agent ──> remediation of the host
"""

from fleet.manager.alerts.parts import Alerts

__all__ = ["Alerts"]
