from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.dockerd.verbs import counts
from compose_agent.dockerd.verbs.compose.siblings import REQUEST_LABEL
from compose_agent.labels import AREAS, PREFIX
from log_forwarder.transforms import hints
from remediation.arguments import MOST_REPLICAS
from remediation.labels import LABELS, labels_of
from remediation.triggers.probes.spec import HttpProbe


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("remediate", "restart, scale", {"restart", "scale"}),
        ("remediate", "true", {"restart"}),
        ("remediate", "false", set()),
        ("remediate", "", set()),
        ("scale.max", "12", 12),
        ("failover.role", "standby", "standby"),
        ("probe.http", "8080/healthz?full=1", HttpProbe(8080, "/healthz?full=1")),
        ("probe.http", ":80/", HttpProbe(80, "/")),
        ("exec.ready", "pg_isready -U 'a b'", ("pg_isready", "-U", "a b")),
        ("probe.timeout", "500ms", 0.5),
        ("exec.drop-caches", "rm -rf /cache", ("rm", "-rf", "/cache")),
    ],
)
def test_a_label_is_read(key: str, text: str, value: object) -> None:
    assert labels_of({PREFIX + key: text}) == ({key: value}, {})


NO_LABEL = "there is no such label"


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("remediate", "restrat,scale", "'restrat' allows nothing, did you mean 'restart'?"),
        ("scale.max", "0", "expected a whole number from 1 to 500, not '0'"),
        ("scale.maximum", "3", f"{NO_LABEL}, did you mean 'compose-agent.scale.max'?"),
        ("scal.max", "3", f"{NO_LABEL}, did you mean 'compose-agent.scale.max'?"),
        ("remedaite", "restart", f"{NO_LABEL}, did you mean 'compose-agent.remediate'?"),
        ("probe.http", "/healthz", "expected a port and a path such as 8080/healthz, not '/healthz'"),
        ("probe.http", "80/a b", "expected a port and a path such as 8080/healthz, not '80/a b'"),
        ("probe.http", "8080", "expected a port and a path such as 8080/healthz, not '8080'"),
        (
            "probe.exec",
            "x",
            "there are no exec probes: give the service a healthcheck, which the Engine runs",
        ),
        ("exec.x", "echo 'a", "'echo 'a' is no command: no closing quotation"),
        ("exec.x", " ", "expected a command, in words as a shell would split them, not ''"),
        ("exec.", "x", f"{NO_LABEL}, did you mean 'compose-agent.exec'?"),
        ("exec", "x", f"{NO_LABEL}, did you mean 'compose-agent.exec'?"),
        ("exec.x", "x" * 2001, "expected at most 2000 characters"),
    ],
)
def test_a_label_that_cannot_be_read_is_explained(key: str, text: str, problem: str) -> None:
    assert labels_of({PREFIX + key: text}) == ({}, {key: problem})


def test_labels_of_others_are_theirs() -> None:
    labels = {"compose-agent.logs.parser": "json", "compose-agent.logs": "false", "com.example": "x"}
    assert labels_of(labels) == ({}, {})


def test_the_mark_of_a_replica_that_the_agent_made_is_no_setting() -> None:
    assert labels_of({REQUEST_LABEL: "i1.0"}) == ({}, {})


@given(st.dictionaries(st.sampled_from([option.key for option in LABELS]), st.text()))
def test_any_text_is_read_or_explained(labels: dict[str, str]) -> None:
    values, problems = labels_of({PREFIX + key: text for key, text in labels.items()})
    assert {*values, *problems} == set(labels)
    assert not set(values) & set(problems)


def test_every_label_is_of_an_area_that_has_one_reader() -> None:
    areas = {option.key.partition(".")[0] for option in LABELS}
    assert areas | {hints.LABEL_PREFIX.removeprefix(PREFIX).strip(".")} == set(AREAS)


def test_the_verb_can_do_what_the_labels_can_say() -> None:
    assert counts.MOST_REPLICAS == MOST_REPLICAS
