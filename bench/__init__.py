"""Measurements: speed, memory, loss. They print figures and ratios; tests never depend on them."""
