"""From the scaler to the actor, in the real role with the policies that come with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose_agent.dockerd.fake import FakeEngine
from lab.agent import Agent
from remediation.journal import look

WEB = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
    "com.docker.compose.config-hash": "1",
    "compose-agent.remediate": "scale",
    "compose-agent.scale.metric": "cpu",
    "compose-agent.scale.target": "80%",
    # Fewer than this are too few, whatever is measured.
    "compose-agent.scale.min": "3",
    "compose-agent.scale.max": "5",
}


@pytest.mark.parametrize(("label", "reason"), [("scale", ""), ("restart", "not_opted_in")])
def test_what_the_scaler_wants_is_asked_of_the_actor(tmp_path: Path, label: str, reason: str) -> None:
    options = [f"--state-dir={tmp_path}"]
    with FakeEngine() as docker:
        docker.add_container("shop-web-1", labels={**WEB, "compose-agent.remediate": label})
        with Agent(docker.url, options, command="remediate", role="remediation") as agent:

            def decided() -> bool:
                with look(tmp_path) as view:
                    return any(each.reason or each.facts for _, each in view.latest_intents(9))

            agent.wait_until(decided)
        with look(tmp_path) as view:
            ((_, intent),) = view.latest_intents(9)
    assert (intent.policy, intent.action, str(intent.target)) == (
        "service-scale",
        "scale",
        "service:shop/web",
    )
    assert intent.reason == reason
    if not reason:
        (request,) = intent.facts["requests"]
        assert (request["verb"], request["target"]) == ("compose_scale", "shop/web")
        assert request["arguments"]["to"] == 3
