"""The page for people at ``/``, its JSON twin ``/v1/containers``, and the manual at ``/docs``."""

from exporter.page.view import make_page

__all__ = ["make_page"]
