"""A role that writes down what is done to it, to run under a real Runner or Supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.types import WSGIApplication

from compose_agent.config import Config, Given, Schema, Section, kinds, option, resolve
from compose_agent.config.general import GeneralSettings
from compose_agent.errors import ComposeAgentError
from compose_agent.role import ConfigState, RoleSpec
from compose_agent.tracing.settings import TracingSettings


@dataclass(frozen=True, slots=True)
class FakeSettings:
    word: str = option("word", kinds.string, "first", "What the role says.")
    fixed: str = option("fixed", kinds.string, "first", "What it says until the next start.", restart=True)


SCHEMA = Schema(
    [
        Section("", GeneralSettings, "General"),
        Section("tracing", TracingSettings, "Tracing"),
        Section("fake", FakeSettings, "Fake"),
    ]
)


def config_of(run_dir: Path, **given: str) -> Config:
    """Return a configuration; ``word`` stands for ``fake.word``, ``log_level`` for ``log.level``."""
    names = {"word": "fake.word", "fixed": "fake.fixed", "log_level": "log.level"}
    layer = {names[key]: Given(value, f"f.yml:{key}") for key, value in given.items()}
    return resolve(SCHEMA, [{**layer, "run-dir": Given(str(run_dir), "--run-dir")}])


@dataclass
class FakeRole:
    """``fail_to_start`` and ``refuse`` are raised by start and by apply, as long as they are set."""

    config: Config
    state: ConfigState
    fail_to_start: ComposeAgentError | None = None
    refuse: ComposeAgentError | None = None
    done: list[str] = field(default_factory=list)

    def start(self) -> None:
        if self.fail_to_start:
            raise self.fail_to_start
        self.done.append("start")

    def apply(self, config: Config) -> None:
        if self.refuse:
            raise self.refuse
        self.config = config
        self.done.append(f"apply {self.word}")

    def stop(self) -> None:
        self.done.append("stop")

    @property
    def word(self) -> str:
        return self.config.of(FakeSettings).word

    def listeners(self) -> tuple[str, ...]:
        return ("http://127.0.0.1:1",)

    def reasons(self) -> tuple[str, ...]:
        return ()

    def routes(self) -> WSGIApplication | None:
        return None


@dataclass
class Made:
    """A specification of the role, and the roles that were made by it.

    ``fails`` are raised by the start of one role after the other.
    """

    name: str = "fake"
    fails: list[ComposeAgentError] = field(default_factory=list)
    roles: list[FakeRole] = field(default_factory=list)

    @property
    def role(self) -> FakeRole:
        return self.roles[-1]

    def spec(self) -> RoleSpec:
        def make(config: Config, state: ConfigState) -> FakeRole:
            self.roles.append(FakeRole(config, state, self.fails.pop(0) if self.fails else None))
            return self.role

        return RoleSpec(self.name, FakeSettings, "Fake", make, lambda _config: None)
