"""Long campaigns: random disturbances, run after run, each of which can be replayed by its seed."""
