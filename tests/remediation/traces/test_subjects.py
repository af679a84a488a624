from __future__ import annotations

from compose_agent.dockerd.model import Container
from remediation.model import Target, TargetKind
from remediation.traces.subjects import Subjects
from tests.remediation.journal.making import intent

OLD = Container("a" * 64, "shop-web-1", "i", "i", "running", labels={"com.docker.compose.project": "shop"})
NEW = Container("b" * 64, "shop-web-1", "i", "i", "running")
OTHER = Container("c" * 64, "other", "i", "i", "running")


def test_a_container_is_named_with_what_belongs_to_it() -> None:
    assert Subjects(lambda: [OTHER, OLD]).of(intent()) == {
        "container.id": "a" * 64,
        "container.name": "shop-web-1",
        "container.label.com.docker.compose.project": "shop",
    }


def test_the_one_that_was_acted_on_comes_before_its_successor() -> None:
    asked = intent(facts={"requests": [{"target": OLD.id}]})
    assert Subjects(lambda: [NEW, OLD]).of(asked)["container.id"] == OLD.id
    assert Subjects(lambda: [NEW]).of(asked)["container.id"] == NEW.id


def test_one_that_is_gone_has_its_name() -> None:
    assert Subjects(list).of(intent()) == {"container.name": "shop-web-1"}


def test_services_and_groups() -> None:
    service = intent(target=Target(TargetKind.SERVICE, "shop/web"))
    assert Subjects(list).of(service) == {
        "container.label.com.docker.compose.project": "shop",
        "container.label.com.docker.compose.service": "web",
    }
    assert Subjects(list).of(intent(target=Target(TargetKind.GROUP, "shop/db"))) == {}
