"""Spans, made with the OpenTelemetry API alone: without an SDK underneath they cost next to nothing.

Names of attributes that OpenTelemetry's semantic conventions do not have stand in :mod:`.attributes`.
"""

from opentelemetry import trace

from compose_agent import __version__


def tracer(name: str) -> trace.Tracer:
    """Return the tracer of a module; ``name`` is the module's ``__name__``."""
    return trace.get_tracer(name, __version__)
