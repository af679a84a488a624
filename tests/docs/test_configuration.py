from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from compose_agent.commands.roles import SCHEMA
from compose_agent.config.document import render

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "configuration.md"


def test_the_page_is_what_the_definitions_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(SCHEMA), "run scripts/regenerate"


@pytest.fixture
def regenerate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script as a module, for a folder with two files to generate."""
    loader = SourceFileLoader("regenerate", str(ROOT / "scripts" / "regenerate"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    module = module_from_spec(spec)
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "FILES", {"docs/one.md": lambda: "one\n", "two.md": lambda: "two\n"})
    return module


def test_regenerate_tells_what_is_stale_and_mends_it(
    regenerate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.md").write_text("two\n")
    assert regenerate.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/one.md is not what scripts/regenerate writes\n"
    assert regenerate.main([]) == 0
    assert capsys.readouterr().out == "wrote docs/one.md\n"
    assert (tmp_path / "docs" / "one.md").read_text() == "one\n"
    assert regenerate.main(["--check"]) == 0


def test_regenerate_refuses_what_it_does_not_know(
    regenerate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert regenerate.main(["--chek"]) == 2
    assert capsys.readouterr().err == "scripts/regenerate takes --check only, not --chek\n"


def test_the_configuration_page_is_among_the_generated_files() -> None:
    source = (ROOT / "scripts" / "regenerate").read_text(encoding="utf-8")
    assert '"docs/configuration.md": configuration' in source
