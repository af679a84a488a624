"""Shared ground of Compose Agent: configuration, Engine access, web, tracing and the command line."""

__version__ = "0.1.0"
