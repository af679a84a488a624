"""Imports every module that a role may need, for a process from which others are forked."""

from __future__ import annotations

import importlib
import pkgutil

import broker
import compose_agent
import remediation

for _package in (broker, compose_agent, remediation):
    for _found in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        # That one is the program itself.
        if not _found.name.endswith(".__main__"):
            importlib.import_module(_found.name)
