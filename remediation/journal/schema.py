"""The tables. What is searched for has a column, everything else stands in ``data``, as JSON."""

from __future__ import annotations

from pathlib import Path

from compose_agent.audit.table import AUDIT_TABLES
from compose_agent.statedb import StateFile

# That an episode has one live intent, and that a policy has one open episode for a target, is held by
# indexes: a mistake in the code that decides cannot lead to a second action.
_TABLES = """
CREATE TABLE inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, signal TEXT NOT NULL);

CREATE TABLE occurrences (
    fingerprint TEXT NOT NULL, starts_at REAL NOT NULL,
    firing INTEGER NOT NULL, count INTEGER NOT NULL, last_at REAL NOT NULL,
    PRIMARY KEY (fingerprint, starts_at)
) WITHOUT ROWID;
CREATE INDEX occurrences_by_age ON occurrences (last_at);

CREATE TABLE episodes (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, policy TEXT NOT NULL, target TEXT NOT NULL,
    name TEXT NOT NULL, fingerprint TEXT NOT NULL, alert TEXT NOT NULL, closed_at REAL NOT NULL,
    data TEXT NOT NULL
);
CREATE UNIQUE INDEX episodes_open ON episodes (policy, target) WHERE closed_at = 0;
CREATE INDEX episodes_by_target ON episodes (policy, target, number);
CREATE INDEX episodes_by_name ON episodes (name);
CREATE INDEX episodes_by_fingerprint ON episodes (fingerprint);
CREATE INDEX episodes_by_alert ON episodes (alert);
CREATE INDEX episodes_by_age ON episodes (closed_at) WHERE closed_at > 0;

CREATE TABLE intents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, episode TEXT NOT NULL, target TEXT NOT NULL,
    name TEXT NOT NULL, state TEXT NOT NULL, not_before REAL NOT NULL, started_at REAL NOT NULL,
    data TEXT NOT NULL
);
CREATE UNIQUE INDEX intents_live ON intents (episode) WHERE state IN ('planned', 'executing', 'verifying');
CREATE INDEX intents_by_episode ON intents (episode, number);
CREATE INDEX intents_by_state ON intents (state, not_before, number);
CREATE INDEX intents_by_target ON intents (target, started_at);

CREATE TABLE buckets (key TEXT PRIMARY KEY, at REAL NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE breakers (key TEXT PRIMARY KEY, at REAL NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE flags (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def state_file(state_dir: Path) -> StateFile:
    """Return where remediation keeps its state."""
    loss = "what was done, what is still to be done, and the audit are then not known any more"
    return StateFile(state_dir, "remediation", "remediation role", loss, [_TABLES + AUDIT_TABLES])
