from __future__ import annotations

import pytest

from compose_agent.dockerd.verbs.compose.plan import (
    Add,
    Discard,
    Finished,
    GiveUp,
    Remove,
    Step,
    Wait,
    Wish,
    next_step,
)
from compose_agent.dockerd.verbs.compose.siblings import Service
from tests.dockerd.verbs.compose.samples import NEVER, identity, inspected, service

MINE, OTHERS = "wish-1", "wish-2"


def wish(to: int, *numbers: int, marked: bool = True) -> Wish:
    return Wish(to, {identity(number): number for number in numbers}, MINE, marked)


def running(*numbers: int) -> Service:
    return service(*map(inspected, numbers))


def short(step: Step) -> object:
    """Return a step as its name and the number of its replica."""
    match step:
        case Add(source=source, number=number):
            return f"add {number} from {source.number}"
        case Remove(replica=replica) | Discard(replica=replica) | Wait(replica=replica):
            return f"{type(step).__name__.lower()} {replica.number}"
        case Finished() | GiveUp():
            return type(step).__name__.lower()


@pytest.mark.parametrize(
    ("wanted", "found", "step"),
    [
        (wish(2, 1), running(1), "add 2 from 1"),
        (wish(4, 1, 3), running(1, 3), "add 4 from 1"),
        (wish(2, 1, 2), running(1, 2), "finished"),
        (wish(1, 1, 2, 3), running(1, 2, 3), "remove 3"),
        (wish(1, 1, 2, 3), running(1, 2), "remove 2"),
        # A clone of an earlier call that got as far as its start counts, one that did not is made anew.
        (wish(3, 1), service(inspected(1), inspected(2, request=MINE)), "add 3 from 1"),
        (
            wish(2, 1),
            service(inspected(1), inspected(2, request=MINE, status="created", started=NEVER)),
            "discard 2",
        ),
        (
            wish(2, 1),
            service(inspected(1), inspected(2, request=OTHERS, status="created", started=NEVER)),
            "finished",
        ),
        # Clones that other requests have made are no strangers.
        (wish(3, 1), service(inspected(1), inspected(2, request=OTHERS)), "add 3 from 1"),
        (wish(3, 1), running(1, 2), "giveup"),
        (wish(1, 1, 2), running(1, 2, 3), "giveup"),
        (wish(3, 1, marked=False), running(1, 2), "add 3 from 1"),
        (wish(3, 1, 2), running(2), "giveup"),
        (wish(1, 1, 2, 3), running(2, 3), "giveup"),
        # As many as wanted are as many as wanted, whoever made them.
        (wish(2, 1), running(1, 2), "finished"),
        (wish(2, 1), running(3, 4), "finished"),
        (wish(2, 1), service(inspected(1, health="unhealthy")), "giveup"),
        (wish(1, 1, 2), service(inspected(1, status="exited"), inspected(2)), "giveup"),
        (wish(1, 1, 2), service(inspected(1), inspected(2, status="exited")), "remove 2"),
        (wish(1, 1, 2), service(inspected(1, status="exited"), inspected(2, status="exited")), "remove 2"),
        (wish(1, 1, 2), service(inspected(1), inspected(2, status="removing")), "wait 2"),
    ],
)
def test_the_next_step(wanted: Wish, found: Service, step: str) -> None:
    assert short(next_step(wanted, found)) == step


def test_a_clone_that_ran_and_is_gone_is_an_operators_decision() -> None:
    step = next_step(wish(2, 1), running(1), frozenset({"shop-web-2"}))
    assert step == GiveUp("somebody removed shop-web-2 again, and that is left as it is")


def test_a_name_that_is_taken_is_left_out() -> None:
    listed = [{"Id": "x", "Names": ["/shop-web-2"]}, {"Id": "y", "Names": ["/shop-web-3"]}]
    found = service(inspected(1), listed=listed)
    assert short(next_step(wish(2, 1), found)) == "add 4 from 1"


@pytest.mark.parametrize("to", [1, 2, 5])
@pytest.mark.parametrize("there", [1, 2, 3, 4])
def test_step_by_step_it_comes_to_exactly_so_many(there: int, to: int) -> None:
    wanted = wish(to, *range(1, there + 1))
    replicas = {number: inspected(number) for number in range(1, there + 1)}
    for _ in range(10):
        step = next_step(wanted, service(*replicas.values()))
        if isinstance(step, Add):
            replicas[step.number] = inspected(step.number, request=MINE)
        elif isinstance(step, Remove):
            del replicas[step.replica.number]
    assert sorted(replicas) == list(range(1, to + 1))
