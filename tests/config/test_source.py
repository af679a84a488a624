"""The layers together, over the real schema: what is in force, where it comes from, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from compose_agent.address import Address
from compose_agent.commands.roles import SCHEMA, RunSettings
from compose_agent.config import Config, ConfigSource, Given
from compose_agent.config.general import GeneralSettings
from compose_agent.errors import ConfigError
from exporter.settings import ExporterSettings

HOME = "expected a path, not '~nobody-here': there is no such home directory"
PEER = "expected host:port, with a name or an IPv4 address"
ADDRESS = "expected host:port, :port or [IPv6]:port"
DURATION = "expected a duration such as 30s, 5m or 1h30m"
WRONG_FILES = {
    # unknown keys, nested and dotted, with the nearest name
    "log:\n  levle: info": "{}:2: unknown option 'log.levle', did you mean 'log.level'?",
    "log.levle: info": "{}:1: unknown option 'log.levle', did you mean 'log.level'?",
    "\nexportr: {scrape-timeout: 3s}": "{}:2: unknown option 'exportr', did you mean 'exporter'?",
    "web.listen-address: :1": (
        "{}:1: unknown option 'web.listen-address', did you mean 'exporter.web.listen-address'?"
    ),
    "web:\n  listen-address: :1": "{}:1: unknown option 'web', did you mean 'exporter.web'?",
    "exporter:\n  collector:\n    hsot: true": (
        "{}:3: unknown option 'exporter.collector.hsot', did you mean 'exporter.collector.host'?"
    ),
    "zzz: 1": "{}:1: unknown option 'zzz'",
    "1: 2": "{}:1: unknown option '1'",
    "log.level.x: 1": "{}:1: unknown option 'log.level.x', did you mean 'log.level'?",
    # groups and options in each other's place
    "log: info": "{}:1: 'log' is a group: expected a mapping of options",
    "exporter:\n  - web": "{}:1: 'exporter' is a group: expected a mapping of options",
    "exporter.web: [1]": "{}:1: 'exporter.web' is a group: expected a mapping of options",
    "log:\n  level:\n    x: info": (
        "{}:2: log.level: expected one of debug, info, warning, error, not a mapping"
    ),
    "log.fluentd: ':24224'": f"{{}}:1: log.fluentd: {PEER}, not ':24224'",
    "log.fluentd: '[::1]:24224'": f"{{}}:1: log.fluentd: {PEER}, not '[::1]:24224'",
    "log.fluentd: fluentd:0": f"{{}}:1: log.fluentd: {PEER}, not 'fluentd:0'",
    "log.fluentd: fluentd": f"{{}}:1: log.fluentd: 'fluentd' is not an address, {ADDRESS}",
    "logs.triggers: {oom: '('}": (
        "{}:1: logs.triggers: oom: '(' is no regular expression: "
        "missing ), unterminated subpattern at character 1"
    ),
    "logs.triggers: {oom: [x]}": "{}:1: logs.triggers: oom: expected a regular expression, not a list",
    # twice
    "log.level: info\nlog:\n  level: debug": ("{0}:3: 'log.level' stands here a second time, first at {0}:1"),
    # wrong types and values
    "log.level: loud": "{}:1: log.level: expected one of debug, info, warning, error, not 'loud'",
    "log.level: DEBUG": (
        "{}:1: log.level: expected one of debug, info, warning, error, not 'DEBUG', did you mean 'debug'?"
    ),
    "log.level: [info]": "{}:1: log.level: expected one of debug, info, warning, error, not a list",
    "one-process: maybe": "{}:1: one-process: expected true or false, not 'maybe'",
    "one-process: [yes]": "{}:1: one-process: expected true or false, not a list",
    "exporter.stale-after: 30": f"{{}}:1: exporter.stale-after: {DURATION}, not '30'",
    "exporter.stale-after: 12:30": f"{{}}:1: exporter.stale-after: {DURATION}, not '12:30'",
    "exporter.stale-after: true": f"{{}}:1: exporter.stale-after: {DURATION}, not 'true'",
    "exporter.stale-after: {m: 1}": f"{{}}:1: exporter.stale-after: {DURATION}, not a mapping",
    "exporter.web.listen-address: 9417": (
        f"{{}}:1: exporter.web.listen-address: '9417' is not an address, {ADDRESS}, did you mean ':9417'?"
    ),
    "exporter.web.listen-address: [':1', [':2']]": (
        f"{{}}:1: exporter.web.listen-address: {ADDRESS}, not a list"
    ),
    "exporter.web.listen-address: [':1', ~]": (
        f"{{}}:1: exporter.web.listen-address: {ADDRESS}, not nothing"
    ),
    "exporter.web.listen-address: [{a: 1}]": (
        f"{{}}:1: exporter.web.listen-address: {ADDRESS}, not a mapping"
    ),
    "exporter.web.listen-address: []": (
        "{}:1: exporter.web.listen-address: expected at least one: host:port, :port or [IPv6]:port"
    ),
    "exporter.web.telemetry-path: /": (
        "{}:1: exporter.web.telemetry-path: expected a URL path such as /metrics, not '/'"
    ),
    # what makes no sense here
    "config.file: other.yml": (
        "{}:1: 'config.file' cannot stand in the file: expected it on the command line or in the environment"
    ),
    # the file as a whole
    "- log.level": "{}:1: expected a mapping of options",
    "log.level info": "{}:1: expected a mapping of options",
    "log: [": "{}:1: is not valid YAML: expected the node content, but found '<stream end>'",
}


def load(
    text: str | None, tmp_path: Path, environ: Mapping[str, str] | None = None, **flags: str | list[str]
) -> Config:
    path = tmp_path / "agent.yml"
    if text is not None:
        path.write_text(text)
    layer = {key: Given(value, f"--{key}", named=True) for key, value in flags.items()}
    return ConfigSource(SCHEMA, environ or {}, layer, path, optional=True).load()


@pytest.mark.parametrize(("text", "message"), WRONG_FILES.items(), ids=range(len(WRONG_FILES)))
def test_a_wrong_file_is_refused_with_file_line_and_what_was_expected(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert str(caught.value) == message.format(tmp_path / "agent.yml")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOG_LEVLE", "info", "unknown variable, did you mean 'COMPOSE_AGENT_LOG_LEVEL'?"),
        ("QQQ", "info", "unknown variable"),
        ("LOG_LEVEL", "loud", "expected one of debug, info, warning, error, not 'loud'"),
        ("EXPORTER_STALE_AFTER", "-1s", f"{DURATION}, not '-1s'"),
        ("EXPORTER_WEB_LISTEN_ADDRESS", "x:99999", "'x:99999' has port 99999, expected 0 to 65535"),
        ("EXPORTER_WEB_LISTEN_ADDRESS", ",", "expected at least one: host:port, :port or [IPv6]:port"),
    ],
)
def test_a_wrong_variable_is_named_once(name: str, value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load("", tmp_path, {f"COMPOSE_AGENT_{name}": value})
    assert str(caught.value) == f"environment COMPOSE_AGENT_{name}: {message}"


def test_the_variable_of_fail_points_is_no_option(tmp_path: Path) -> None:
    load("", tmp_path, {"COMPOSE_AGENT_FAILPOINTS": "actor.before-call"})


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    environ = {"COMPOSE_AGENT_X": "1", "COMPOSE_AGENT_RUN_DIR": "~nobody-here"}
    with pytest.raises(ConfigError) as caught:
        load("logg: 1\nlog.level: loud", tmp_path, environ, **{"one-process": "2"})
    file = tmp_path / "agent.yml"
    assert str(caught.value).splitlines() == [
        f"{file}:1: unknown option 'logg', did you mean 'log'?",
        "environment COMPOSE_AGENT_X: unknown variable",
        f"environment COMPOSE_AGENT_RUN_DIR: {HOME}",
        f"{file}:2: log.level: expected one of debug, info, warning, error, not 'loud'",
        "--one-process: expected true or false, not '2'",
    ]


def test_defaults_give_way_to_the_file_the_environment_and_the_command_line_in_this_order(
    tmp_path: Path,
) -> None:
    text = "log: {level: debug, format: json}\nexporter.stale-after: 2m\ndocker.host: /file.sock\n"
    environ = {"COMPOSE_AGENT_LOG_FORMAT": "logfmt", "COMPOSE_AGENT_DOCKER_HOST": "/environment.sock"}
    config = load(text, tmp_path, environ, **{"docker.host": "/flag.sock"})
    general = config.of(GeneralSettings)
    assert general.log_level == "debug"
    assert general.log_format == "logfmt"
    assert general.docker_host == "/flag.sock"
    assert config.of(ExporterSettings).stale_after == 120
    assert config.of(ExporterSettings).scrape_timeout == 9
    assert {key: given.where for key, given in config.given.items()} == {
        "log.level": f"{tmp_path}/agent.yml:1",
        "log.format": "environment COMPOSE_AGENT_LOG_FORMAT",
        "exporter.stale-after": f"{tmp_path}/agent.yml:2",
        "docker.host": "--docker.host",
    }


@pytest.mark.parametrize(
    "text",
    [
        "exporter: {web: {listen-address: [':1', '[::1]:2']}}",
        "exporter.web:\n  listen-address: ':1, [::1]:2'",
        "exporter:\n  web.listen-address:\n    - :1\n    - '[::1]:2'\n    - :1",
    ],
)
def test_keys_may_be_nested_or_dotted_and_lists_written_in_either_form(text: str, tmp_path: Path) -> None:
    addresses = load(text, tmp_path).of(ExporterSettings).listen_addresses
    assert addresses == (Address("", 1), Address("::1", 2))


def test_anchors_and_merge_keys_can_be_used(tmp_path: Path) -> None:
    config = load("log: &log {level: debug}\nexporter:\n  collector: {<<: {host: false}}\n", tmp_path)
    assert config.of(GeneralSettings).log_level == "debug"
    assert config.of(ExporterSettings).collectors["host"] is False
    assert config.given["exporter.collector.host"].where == f"{tmp_path}/agent.yml:3"


@pytest.mark.parametrize(
    "text", [None, "", "# nothing\n", "exporter:\n", "log:\n  level:\n", "exporter: {}\nlog.level: ~\n"]
)
def test_nothing_said_leaves_the_defaults(text: str | None, tmp_path: Path) -> None:
    config = load(text, tmp_path, {"COMPOSE_AGENT_LOG_LEVEL": " ", "OTHER": "x"})
    assert config.given == {}
    assert config.of(GeneralSettings) == GeneralSettings(
        docker_host=None,
        config_file=None,
        compose_files=(),
        compose_rootfs=Path("/"),
        state=None,
        run=None,
        log_level="info",
        log_format="logfmt",
        log_fluentd=None,
        log_fluentd_tag="compose-agent.{role}",
    )
    assert config.of(RunSettings) == RunSettings(
        enable_metrics=True, enable_logs=None, enable_remediation=True, register=False, one_process=False
    )


def test_a_text_means_what_is_written_whatever_yaml_makes_of_it(tmp_path: Path) -> None:
    text = "exporter.container-labels: [1.10, yes, 0x1F, 2026-01-02, '']\none-process: ON"
    config = load(text, tmp_path)
    assert config.of(ExporterSettings).container_labels == ("1.10", "yes", "0x1F", "2026-01-02")
    assert config.of(RunSettings).one_process is True


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yml: cannot be read: No such file or directory"):
        ConfigSource(SCHEMA, {}, {}, tmp_path / "none.yml").load()
