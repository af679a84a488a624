"""Pytest plug-in with a real Engine for the whole session: ``pytest_plugins = ["lab.fixtures"]``.

An Engine that cannot be had fails the tests that ask for it; they are never skipped.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import docker
import pytest
from playwright.sync_api import Browser

from lab import busybox as image
from lab.agent import Agent
from lab.browser import browsing
from lab.engine import PrivateEngine
from lab.lines import LINES

# An image import or a container start waits for a disk that is shared with everything else.
CALL_TIMEOUT_S = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--engine-line``; the environment's LAB_ENGINE_LINE is its default."""
    parser.addoption(
        "--engine-line",
        choices=LINES,
        default=os.environ.get("LAB_ENGINE_LINE") or LINES[0],
        help="line of the private Docker Engine (default: LAB_ENGINE_LINE, or %(default)s)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, with a test that failed, what the agents and Engines among its fixtures have written."""
    report = yield
    if report.when == "call" and report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Agent | PrivateEngine):
                report.sections.append((f"log of {name}", value.logs()))
    return report


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """Start a private Engine for the session; a test that stops it has to bring it back."""
    with PrivateEngine(request.config.getoption("--engine-line")) as started:
        yield started


@pytest.fixture(scope="session")
def docker_client(engine: PrivateEngine) -> Iterator[docker.DockerClient]:
    """Connect to the private Engine."""
    client = docker.DockerClient(base_url=engine.host, timeout=CALL_TIMEOUT_S)
    yield client
    client.close()


@pytest.fixture(scope="session")
def busybox(docker_client: docker.DockerClient) -> str:
    """Make a tiny image with busybox in it, and return its tag."""
    return image.ensure_image(docker_client)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser; for one module, because Playwright holds the thread's event loop meanwhile."""
    with browsing() as started:
        yield started
