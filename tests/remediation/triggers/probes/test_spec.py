from __future__ import annotations

import pytest

from remediation.triggers.probes.spec import OPTIONS, ProbeKind, ProbeSpec, specs_of


def labels(**probe: str) -> dict[str, str]:
    return {f"compose-agent.probe.{key.replace('_', '-')}": text for key, text in probe.items()}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"period": "5s"}, []),
        ({"tcp": "5432"}, [ProbeSpec(ProbeKind.TCP, 5432)]),
        ({"http": "8080/"}, [ProbeSpec(ProbeKind.HTTP, 8080, "/")]),
        ({"http": "8080/health?deep=1"}, [ProbeSpec(ProbeKind.HTTP, 8080, "/health?deep=1")]),
        (
            {"http": ":80/", "tcp": "81"},
            [ProbeSpec(ProbeKind.HTTP, 80, "/"), ProbeSpec(ProbeKind.TCP, 81)],
        ),
        (
            {
                "tcp": "1",
                "initial_delay": "0",
                "period": "1s",
                "timeout": "500ms",
                "failure_threshold": "5",
                "success_threshold": "2",
                "network": "front",
            },
            [ProbeSpec(ProbeKind.TCP, 1, "", 0.0, 1.0, 0.5, 5, 2, "front")],
        ),
    ],
)
def test_labels_make_probes(given: dict[str, str], expected: list[ProbeSpec]) -> None:
    assert specs_of(labels(**given)) == (expected, {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"http": "web/health"}, "expected a port and a path such as 8080/healthz, not 'web/health'"),
        ({"http": "80/a b"}, "not '80/a b'"),
        ({"http": "80/a\r\nX: y"}, "expected a port and a path"),
        ({"http": "70000/"}, "expected a port and a path"),
        ({"tcp": "0"}, "a whole number from 1 to 65535"),
        ({"exec": "ready"}, "there are no exec probes: give the service a healthcheck"),
        ({"timeout": "2m"}, "a duration up to 1m"),
        ({"timeout": "0"}, "a duration up to 1m"),
        ({"periods": "5s"}, "did you mean 'compose-agent.probe.period'?"),
    ],
)
def test_what_cannot_be_used_is_said(given: dict[str, str], said: str) -> None:
    ((_, what),) = specs_of(labels(**given))[1].items()
    assert said in what


def test_one_wrong_label_does_not_cost_the_others() -> None:
    found, problems = specs_of(labels(tcp="1", http="x"))
    assert found == [ProbeSpec(ProbeKind.TCP, 1)]
    assert list(problems) == ["probe.http"]


def test_every_option_says_what_it_is() -> None:
    assert all(option.help for option in OPTIONS)
