"""The page for people at ``/``: how everything stands, what is done, why, and the buttons."""

from remediation.page.routes import RemediationPage

__all__ = ["RemediationPage"]
