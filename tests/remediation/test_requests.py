"""What is asked of the actor for an intent."""

from __future__ import annotations

from remediation.calls.rendering import Occasion
from remediation.model import TargetKind
from remediation.requests import requests_for
from remediation.world import World
from tests.remediation.samples import NOW, container, intent, replica


def asked(world: World, **more: object) -> list[tuple[str, str]]:
    """Return verbs and names of targets."""
    names = {each.id: each.name for each in world.containers}
    requests = requests_for(intent(**more), world)  # type: ignore[arg-type]
    return [(each.verb, names.get(each.target, each.target)) for each in requests]


def test_a_container_is_restarted_by_its_id() -> None:
    world = World((web := container("web"), container("other")))
    (request,) = requests_for(intent(arguments={"timeout": 3}), world)
    assert (request.id, request.verb, request.target, request.arguments) == (
        "i1.0",
        "restart",
        web.id,
        {"timeout": 3},
    )


def test_who_lives_in_its_network_is_restarted_after_it() -> None:
    vpn = container("vpn")
    inner = container("inner", network_mode=f"container:{vpn.id}")
    innermost = container("innermost", network_mode=f"container:{inner.id}")
    stopped = container("stopped", network_mode=f"container:{vpn.id}", state="exited")
    world = World((innermost, inner, stopped, vpn))
    wanted = [("restart", "vpn"), ("restart", "inner"), ("restart", "innermost")]
    assert asked(world, target="vpn") == wanted
    assert asked(world, target="vpn", action="stop") == [("stop", "vpn")]


def test_containers_that_share_each_others_network_are_asked_for_once() -> None:
    one, two = container("one"), container("two")
    one = container("one", network_mode=f"container:{two.id}")
    two = container("two", network_mode=f"container:{one.id}")
    assert asked(World((one, two)), target="one") == [("restart", "one"), ("restart", "two")]


def test_a_service_is_restarted_replica_by_replica_and_scaled_as_a_whole() -> None:
    world = World([replica("shop", "web", number) for number in (10, 2, 1)])
    service = {"target": "shop/web", "kind": TargetKind.SERVICE}
    assert asked(world, **service) == [("restart", f"shop-web-{number}") for number in (1, 2, 10)]
    (scale,) = requests_for(
        intent("shop/web", TargetKind.SERVICE, action="scale", arguments={"by": -1, "min": 1, "max": 3}),
        world,
    )
    assert (scale.verb, scale.target, scale.arguments) == ("compose_scale", "shop/web", {"to": 2})


def test_arguments_are_for_what_the_policy_names_and_not_for_who_follows() -> None:
    vpn = container("vpn")
    world = World((container("inner", network_mode=f"container:{vpn.id}"), vpn))
    requests = requests_for(intent("vpn", arguments={"timeout": 3}), world)
    assert [each.arguments for each in requests] == [{"timeout": 3}, {}]
    replicas = World([replica("shop", "web", number) for number in (1, 2)])
    requests = requests_for(intent("shop/web", TargetKind.SERVICE, arguments={"timeout": 3}), replicas)
    assert [each.arguments for each in requests] == [{"timeout": 3}, {"timeout": 3}]


def test_what_is_gone_leaves_nothing_to_ask_for() -> None:
    assert asked(World(())) == []


def test_others_are_called_once_for_all_replicas_and_also_when_nothing_is_left() -> None:
    call = intent(
        "shop/web", TargetKind.SERVICE, action="http", arguments={"url": "http://h/", "body": '"${a}"'}
    )
    for world in (World([replica("shop", "web", number) for number in (1, 2)]), World(())):
        (request,) = requests_for(call, world, Occasion({"a": 'x"'}, NOW))
        assert (request.id, request.verb, request.target) == ("i1.0", "http", "service:shop/web")
        assert request.arguments["body"] == r'"x\""'
