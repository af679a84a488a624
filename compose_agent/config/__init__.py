"""Configuration: one typed definition gives flags, environment, file keys and documentation.

A role declares a frozen dataclass whose fields are made with :func:`option`; a :class:`Schema` joins the
roles' sections; :func:`resolve` lays the layers over one another and returns the settings, or a
:class:`~compose_agent.errors.ConfigError` that lists every problem with its place.
"""

from compose_agent.config import kinds
from compose_agent.config.options import Option, option, option_map
from compose_agent.config.resolve import Config, Given, Layer, resolve
from compose_agent.config.schema import Schema, Section
from compose_agent.config.source import ConfigSource

__all__ = [
    "Config",
    "ConfigSource",
    "Given",
    "Layer",
    "Option",
    "Schema",
    "Section",
    "kinds",
    "option",
    "option_map",
    "resolve",
]
