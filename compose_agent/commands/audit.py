"""``compose-agent audit``: whether what remediation or the manager wrote down is still what they wrote."""

from __future__ import annotations

from typing import Any

import click

from compose_agent.commands.remediation_options import config_of, general_flags
from compose_agent.config.general import GeneralSettings
from compose_agent.errors import ComposeAgentError
from fleet.manager.people.audit import verify_audit as verify_managers
from remediation.journal import verify_audit


def _verify(**parameters: Any) -> None:
    # From the file itself, also while the role runs: who is checked is not asked.
    state_dir = config_of(parameters).of(GeneralSettings).state_dir()
    verdict = verify_managers(state_dir) if parameters["manager"] else verify_audit(state_dir)
    if verdict.broken:
        raise ComposeAgentError(
            f"the audit is broken at entry {verdict.broken}: {verdict.why}; {verdict.entries} before it hold",
            remedy="keep the file, and find out who could write it",
        )
    click.echo(f"{verdict.entries} entries hold; the last is {verdict.last.seq}, {verdict.last.hash.hex()}")


command = click.Group(
    "audit",
    help="Check what remediation, or the manager, wrote down.",
    commands=[
        click.Command(
            "verify",
            callback=_verify,
            help="Check that no entry of the audit was changed or taken out. Keep what it prints somewhere "
            "else to know later that nobody has made a new one.",
            params=[
                click.Option(["--manager"], is_flag=True, help="Check the manager's audit instead."),
                *general_flags(),
            ],
        )
    ],
)
