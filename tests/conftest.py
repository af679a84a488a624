"""Fixtures of the whole suite: the real parts of the lab."""

from hypothesis import settings

pytest_plugins = ["lab.fixtures"]

# Machines are shared: how long an example takes says nothing about it.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
