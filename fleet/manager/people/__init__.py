"""People and programs at the manager: who asks, and what they may do and see."""
