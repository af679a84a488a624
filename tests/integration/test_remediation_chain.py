"""Remediation at the end of the real chain: real Engine, Prometheus, Alertmanager, alone and as a pair."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker
import pytest

from bench import scaling_chain
from bench.chain import ALERT, JOB, UNLIMITED, Chain, Remediation, policies
from bench.patients import Ward, real_ward, wait_until
from bench.remediation_plan import How, Patient
from bench.restarts import Case, Expectation, judge
from lab.alertmanager import LINES, Alertmanager, alert, pair, to_webhook
from lab.engine import PrivateEngine

pytestmark = [pytest.mark.engine, pytest.mark.lines]

PATIENCE_SECONDS = 120.0
# Something that would come twice has come by then: Alertmanager's interval here is a second.
QUIET_SECONDS = 4.0
GROUPS = 500
# By then Alertmanager's pauses between two attempts are as long as they get.
LONG_SECONDS = 120.0


@pytest.fixture
def ward(engine: PrivateEngine) -> Iterator[Ward]:
    with real_ward(engine.host) as opened:
        yield opened


@pytest.fixture
def remediation(engine: PrivateEngine) -> Iterator[Remediation]:
    with Remediation(engine.host, policies(), UNLIMITED) as started:
        started.wait_ready()
        yield started


def admit(ward: Ward, name: str) -> str:
    ward.admit(Patient(name, True, False, 0.0, 0.0, ()))
    return name


def fall_ill(ward: Ward, name: str) -> Case:
    case = Case(name, time.time(), Expectation.ONE, acknowledged=True)
    ward.fall_ill(name, How.UNHEALTHY)
    wait_until(lambda: ward.is_ill(name), "the Engine did not notice", PATIENCE_SECONDS)
    return case


def tell(alertmanagers: Sequence[Alertmanager], case: Case, ends: float | None = None) -> None:
    for each in alertmanagers:
        each.post_alerts([alert(ALERT, job=JOB, starts=case.began, ends=ends, name=case.container)])


def is_over(remediation: Remediation, name: str) -> bool:
    episode = remediation.episode(name)
    return episode is not None and bool(episode.closed_at)


def mended_once(
    ward: Ward, remediation: Remediation, case: Case, alertmanagers: Sequence[Alertmanager]
) -> None:
    """Wait until a container is well, let its alert resolve, and expect one restart and nothing after it."""
    wait_until(lambda: ward.is_well(case.container), "it was not restarted", PATIENCE_SECONDS)
    tell(alertmanagers, case, time.time())
    wait_until(lambda: is_over(remediation, case.container), "its end was not told", PATIENCE_SECONDS)
    time.sleep(QUIET_SECONDS)
    verdict = judge([case], ward.events())
    assert (verdict.good, verdict.cycles) == (True, 1), verdict


@pytest.mark.parametrize("line", LINES)
def test_an_unhealthy_container_is_restarted_and_the_alert_resolves(
    engine: PrivateEngine, ward: Ward, line: str
) -> None:
    name = admit(ward, f"chain-{line}-web")
    began = time.time()
    with Chain(engine.host, line=line) as chain:
        course = chain.run(ward, name)
        story = chain.remediation.say("why", name)
        audit = chain.remediation.say("audit", "verify")
    print(course.sentence())  # noqa: T201 - shown with -rP, and when it fails

    assert judge([Case(name, began, Expectation.ONE, acknowledged=True)], ward.events()).good
    assert course.unhealthy < course.received < course.begun < course.dies < course.starts < course.healthy
    assert course.healthy < course.verified
    assert course.healthy < course.resolved
    assert (story.returncode, audit.returncode) == (0, 0), story.stderr + audit.stderr
    assert name in story.stdout
    assert "restart" in story.stdout
    assert re.match(r"\d+ entries hold", audit.stdout)


@pytest.mark.usefixtures("busybox")
def test_a_service_with_too_much_to_do_is_scaled_up_and_down_again(
    engine: PrivateEngine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    rules, wanted = scaling_chain.hasty_rules(), scaling_chain.hasty_policies()
    with scaling_chain.project(engine, tmp_path) as shop:
        shop.compose("up", "--detach")
        with Chain(engine.host, rules=rules, wanted=wanted) as chain:
            climb = scaling_chain.climb(chain, docker_client, tmp_path)
            audit = chain.remediation.say("audit", "verify")
        listed = shop.compose("ps", "--all", "--quiet").split()
    print(climb.sentence())  # noqa: T201 - shown with -rP, and when it fails

    assert climb.two < climb.three
    assert len(listed) == 1
    assert audit.returncode == 0, audit.stderr


@pytest.mark.parametrize(("line", "seconds"), [(LINES[0], 0.0), (LINES[-1], LONG_SECONDS)])
def test_a_pair_and_a_receiver_that_was_down(
    ward: Ward, remediation: Remediation, line: str, seconds: float
) -> None:
    name = admit(ward, f"pair-{line}-web")
    with pair(to_webhook(remediation.webhook), line=line, peer_timeout="1s") as both:
        case = fall_ill(ward, name)
        remediation.kill()
        tell(both, case)
        wait_until(lambda: all(map(has_failed, both)), "they did not both try", PATIENCE_SECONDS)
        time.sleep(seconds)
        remediation.start()
        mended_once(ward, remediation, case, both)


def has_failed(alertmanager: Alertmanager) -> bool:
    return alertmanager.metric("alertmanager_notification_requests_failed_total", integration="webhook") > 0


def test_a_receiver_that_answers_slowly(ward: Ward, remediation: Remediation) -> None:
    """It takes each request and hangs, longer than Alertmanager waits; afterwards it answers them all."""
    name = admit(ward, "slow-web")
    configuration = to_webhook(remediation.webhook, group_interval="10s", webhook={"timeout": "1s"})
    with Alertmanager(configuration) as alertmanager:
        case = fall_ill(ward, name)
        assert remediation.process is not None
        remediation.process.send_signal(signal.SIGSTOP)
        tell([alertmanager], case)
        wait_until(lambda: has_failed(alertmanager), "it did not give up waiting", PATIENCE_SECONDS)
        remediation.process.send_signal(signal.SIGCONT)
        mended_once(ward, remediation, case, [alertmanager])


def test_an_alertmanager_that_was_killed(ward: Ward, remediation: Remediation) -> None:
    name = admit(ward, "killed-web")
    with Alertmanager(to_webhook(remediation.webhook)) as alertmanager:
        case = fall_ill(ward, name)
        tell([alertmanager], case)
        wait_until(lambda: remediation.episode(name) is not None, "it was not received", PATIENCE_SECONDS)
        alertmanager.kill()
        alertmanager.restart()
        tell([alertmanager], case)
        mended_once(ward, remediation, case, [alertmanager])


@pytest.mark.parametrize("line", LINES)
def test_500_groups_at_once_are_all_answered_and_none_is_sent_again(
    remediation: Remediation, line: str
) -> None:
    with Alertmanager(to_webhook(remediation.webhook), line=line) as alertmanager:
        alertmanager.post_alerts([alert("Other", name=f"web-{number}") for number in range(GROUPS)])
        wait_until(lambda: sent(alertmanager) >= GROUPS, "they were not all sent", PATIENCE_SECONDS)
        time.sleep(QUIET_SECONDS)

        assert sent(alertmanager) == GROUPS
        assert not has_failed(alertmanager)


def sent(alertmanager: Alertmanager) -> float:
    return alertmanager.metric("alertmanager_notification_requests_total", integration="webhook")
