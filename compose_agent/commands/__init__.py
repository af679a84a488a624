"""The subcommands, one module each; here roles are put together, so here they may be imported."""

COMMANDS = ("run", "export", "check", "health", "version")
DEFAULT = "run"
