"""``python -m compose_agent``."""

from compose_agent.cli import main

main()
