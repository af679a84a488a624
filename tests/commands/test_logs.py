"""The subcommands of ``compose-agent logs``, inside this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.cli import commands
from compose_agent.errors import ConfigError
from log_forwarder.fake.bulk import FakeBulk


def run(*arguments: str | Path) -> None:
    commands.main(["logs", *map(str, arguments)], standalone_mode=False)


def test_setup_prints_a_sentence_for_each_thing_done(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeBulk() as fake:
        server = f"http://127.0.0.1:{fake.port}"
        run(
            "setup", f"--sink=elasticsearch://127.0.0.1:{fake.port}/logs-docker-default", f"--kibana={server}"
        )
        assert len(fake.objects) == 2
    installed, created = capsys.readouterr().out.splitlines()
    assert installed.startswith("installed the index template compose-agent-logs-logs-docker-default for")
    assert created == f"created the data view logs-docker-default in {server}"


def test_setup_refuses_what_a_start_would_refuse() -> None:
    with pytest.raises(ConfigError, match="there is no option 'strem', did you mean 'stream'"):
        run("setup", "--sink=elasticsearch://127.0.0.1:1?strem=0")
