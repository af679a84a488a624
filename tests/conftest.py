"""Fixtures of the whole suite: the real parts of the lab."""

pytest_plugins = ["lab.fixtures"]
