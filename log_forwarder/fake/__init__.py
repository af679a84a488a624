"""Counting sinks on loopback that hang, die, refuse and answer late on demand, to test against."""
