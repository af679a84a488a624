"""The writing container on the fake Engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.dockerd.model import Container
from compose_agent.errors import ComposeAgentError
from log_forwarder.transforms import Counters, TransformSettings, make_pipeline
from log_forwarder.transforms.registry import options
from log_forwarder.verify.lines import Plan
from log_forwarder.verify.writer import Writer, body, choose_image

PLAN = Plan("composeagentverify0123456789ab", 1000)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[EngineClient]:
    made = EngineClient(Endpoint(engine.url, "test"))
    yield made
    made.close()


def test_it_writes_until_its_process_ends_and_is_gone_afterwards(
    engine: FakeEngine, client: EngineClient
) -> None:
    with Writer(client, PLAN) as writer:
        assert writer.name == "compose-agent-verify-0123456789ab"
        assert not writer.done()
        engine.die(writer.name, 0)
        assert writer.done()
        assert engine.inspect(writer.name)["Config"]["Image"] == "busybox:latest"
        assert engine.inspect(writer.name)["HostConfig"]["LogConfig"]["Config"] == PLAN.rotation()
    assert client.list_containers() == []


def test_a_shell_that_fails_is_no_loss_of_lines(engine: FakeEngine, client: EngineClient) -> None:
    with Writer(client, PLAN) as writer:
        engine.die(writer.name, 127)
        with pytest.raises(ComposeAgentError, match="ended with 127: name an image that has a shell"):
            writer.done()
    assert client.list_containers() == []


def test_one_that_does_not_start_is_removed(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_fault(Fault("POST /containers/*/start", "error", times=1, message='exec: "sh": not found'))
    with pytest.raises(ComposeAgentError, match=r'busybox:latest writes no lines .*exec: "sh".* has a shell'):
        Writer(client, PLAN).__enter__()
    assert client.list_containers() == []


def test_an_image_that_is_not_there_is_not_pulled(client: EngineClient) -> None:
    with pytest.raises(ComposeAgentError, match="this host has no image nowhere:1: pull it first"):
        Writer(client, PLAN, "nowhere:1").__enter__()


def test_somebody_else_s_removal_is_no_failure(engine: FakeEngine, client: EngineClient) -> None:
    with Writer(client, PLAN) as writer:
        engine.remove(writer.name)


def test_without_kept_logs_there_is_nothing_to_verify() -> None:
    with FakeEngine(info={"LoggingDriver": "none"}) as engine:
        client = EngineClient(Endpoint(engine.url, "test"))
        with pytest.raises(ComposeAgentError, match="its log driver is 'none'"):
            Writer(client, PLAN).__enter__()
        client.close()


@pytest.mark.parametrize(
    ("driver", "log"),
    [
        ("json-file", {"Type": "json-file", "Config": PLAN.rotation()}),
        ("local", {"Type": "local", "Config": PLAN.rotation()}),
        ("journald", {}),
    ],
)
def test_the_log_driver_is_the_host_s_own(driver: str, log: dict[str, Any]) -> None:
    assert body(PLAN, "busybox", driver)["HostConfig"]["LogConfig"] == log


def test_its_labels_switch_every_transform_off() -> None:
    configured = {each.key: None for each in options()} | {"sample": 0.1, "exclude-lines": (".",)}
    labels = body(PLAN, "busybox", "json-file")["Labels"]
    one = Container("1" * 64, "x", "busybox", "sha256:1", "running", labels=labels)
    pipeline, problems = make_pipeline(TransformSettings(configured), one, Counters(*[_ignore] * 3))
    assert problems == []
    assert pipeline.empty


def _ignore(count: int, name: str) -> None: ...


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        ([["debian:12"], ["registry:5000/library/alpine:3", "a:1"], None], "registry:5000/library/alpine:3"),
        ([["busybox:1"], ["alpine:3"]], "busybox:1"),
        ([["notbusybox:1"], ["ubuntu:24.04"]], "ubuntu:24.04"),
    ],
)
def test_the_smallest_image_with_a_shell_is_chosen(tags: list[list[str] | None], chosen: str) -> None:
    assert choose_image([{"RepoTags": each} for each in tags]) == chosen


def test_without_such_an_image_one_has_to_be_named() -> None:
    with pytest.raises(ComposeAgentError, match=r"neither busybox, alpine, debian nor ubuntu.*--image"):
        choose_image([{"RepoTags": ["nginx:1"]}, {"RepoTags": ["<none>:<none>"]}])
