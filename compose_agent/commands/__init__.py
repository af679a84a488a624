"""The subcommands, one module each; here roles are put together, so here they may be imported."""

COMMANDS = (
    "run",
    "export",
    "forward",
    "remediate",
    "broker",
    "manager",
    "check",
    "config",
    "health",
    "status",
    "logs",
    "actions",
    "why",
    "approve",
    "deny",
    "freeze",
    "thaw",
    "audit",
    "nodes",
    "node",
    "exec",
    "jobs",
    "people",
    "tokens",
    "version",
)
# What other processes of ours start, and people do not.
HIDDEN = ("role",)
DEFAULT = "run"
