"""The subcommands, one module each; here roles are put together, so here they may be imported."""

COMMANDS = ("run", "export", "forward", "broker", "check", "health", "status", "logs", "version")
# What other processes of ours start, and people do not.
HIDDEN = ("role",)
DEFAULT = "run"
