"""The bundle, up on an Engine of its own, with the demo beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.bundle import Bundle
from lab.engine import PrivateEngine


@pytest.fixture(scope="session")
def builder() -> Iterator[PrivateEngine]:
    """Start an Engine whose builds reach the package registry, and whose ports are the host's."""
    with PrivateEngine("28", share_network=True) as engine:
        yield engine


@pytest.fixture(scope="session")
def bundle(builder: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """Have the images made, and whatever is started taken down at the end."""
    with Bundle(builder, tmp_path_factory.mktemp("bundle"), profiles=["demo"]) as made:
        yield made


@pytest.fixture(scope="session")
def core(bundle: Bundle) -> float:
    """Start the services that have no profile, and return how many seconds passed until all were healthy."""
    services = ["broker", "exporter", "logs", "remediation", "alertmanager", "prometheus"]
    return bundle.up(*services)


@pytest.fixture(scope="session")
def demo(core: float, bundle: Bundle) -> Bundle:  # noqa: ARG001 - the core comes first
    """Start the sample services as well."""
    bundle.up()
    return bundle
