"""Who may import whom, held over the syntax tree of everything that is shipped."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("exporter", "log_forwarder", "remediation", "broker", "fleet")
SHARED = "compose_agent"
# Where roles are put together.
COMMANDS = "compose_agent/commands"
# A library, and the folders and files that may import it; nothing for those that nobody may.
ONLY_IN = {
    "docker": ("compose_agent/dockerd",),
    "flask": ROLES,
    "jinja2": ("compose_agent/web/page",),
    "fluent": ("compose_agent/log_fluentd.py",),
    "opentelemetry.sdk": ("compose_agent/tracing",),
    "opentelemetry.proto": ("compose_agent/tracing/fake",),
    "opentelemetry.exporter": (),
}
NEVER_SHIPPED = ("lab", "tests", "bench", "scripts")


@dataclass(frozen=True)
class Import:
    file: str
    line: int
    module: str

    def is_of(self, package: str) -> bool:
        return f"{self.module}.".startswith(f"{package}.")

    def stands_in(self, place: str) -> bool:
        """Tell whether it is in this file, or in this folder."""
        return f"{self.file}/".startswith(f"{place}/")


def imports_of(path: Path, root: Path) -> Iterator[Import]:
    """Yield every import of a file, also those inside functions."""
    file = path.relative_to(root).as_posix()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: imports are written out"
            # "from opentelemetry import sdk" imports opentelemetry.sdk
            yield from (Import(file, node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def broken_rules(root: Path) -> list[str]:
    """Return what breaks a rule below ``root``, as ``file:line: …``."""
    shipped = [path for package in (SHARED, *ROLES) for path in sorted((root / package).rglob("*.py"))]
    found = (each for path in shipped for each in imports_of(path, root))
    return [f"{each.file}:{each.line}: {wrong}" for each in found if (wrong := wrong_with(each))]


def wrong_with(each: Import) -> str | None:
    for role in ROLES:
        if each.is_of(role) and not each.stands_in(role) and not each.stands_in(COMMANDS):
            return f"imports the role {role}"
    for library, folders in ONLY_IN.items():
        if each.is_of(library) and not any(map(each.stands_in, folders)):
            return f"imports {library}"
    for package in NEVER_SHIPPED:
        if each.is_of(package):
            return f"imports {package}, which is not shipped"
    if each.is_of(COMMANDS.replace("/", ".")) and not each.stands_in(COMMANDS) and each.file != CLI:
        return "imports the commands"
    return None


CLI = "compose_agent/cli.py"


def test_everything_that_is_shipped_keeps_the_rules() -> None:
    assert broken_rules(ROOT) == []


@pytest.mark.parametrize(
    ("file", "code", "wrong"),
    [
        ("exporter/x.py", "import remediation.policy", "imports the role remediation"),
        ("exporter/x.py", "from log_forwarder import y", "imports the role log_forwarder"),
        ("compose_agent/x.py", "from exporter.settings import y", "imports the role exporter"),
        ("compose_agent/web/x.py", "def f():\n    import flask", "imports flask"),
        ("compose_agent/web/x.py", "import docker.errors", "imports docker"),
        ("exporter/x.py", "from docker import APIClient", "imports docker"),
        ("exporter/x.py", "from opentelemetry import sdk", "imports opentelemetry.sdk"),
        ("compose_agent/web/x.py", "import opentelemetry.sdk.trace", "imports opentelemetry.sdk"),
        ("exporter/x.py", "from fluent import sender", "imports fluent"),
        ("compose_agent/log_fluentd_more.py", "import fluent.handler", "imports fluent"),
        ("exporter/x.py", "import lab", "imports lab, which is not shipped"),
        ("compose_agent/x.py", "from tests.x import y", "imports tests, which is not shipped"),
        ("exporter/x.py", "from compose_agent.commands.roles import SCHEMA", "imports the commands"),
    ],
)
def test_a_broken_rule_is_found(file: str, code: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert [each.partition(": ")[2] for each in broken_rules(tmp_path)] == [wrong]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("exporter/x.py", "import flask\nfrom compose_agent.config import option\nfrom exporter.y import z"),
        ("compose_agent/commands/x.py", "from exporter.settings import ExporterSettings"),
        ("compose_agent/dockerd/x.py", "import docker"),
        ("compose_agent/log_fluentd.py", "from fluent.asynchandler import FluentHandler"),
        ("compose_agent/tracing/x.py", "from opentelemetry.sdk import trace\nimport dockerfile, exporters"),
    ],
)
def test_what_is_allowed_is_no_broken_rule(file: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert broken_rules(tmp_path) == []
