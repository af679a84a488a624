"""Made-up hosts of both cgroup versions."""

from pathlib import Path

import pytest

from tests.dockerd.usage import trees


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> trees.Host:
    return trees.host(tmp_path, request.param)


@pytest.fixture
def v1(tmp_path: Path) -> trees.Host:
    return trees.host(tmp_path, 1)


@pytest.fixture
def v2(tmp_path: Path) -> trees.Host:
    return trees.host(tmp_path, 2)
