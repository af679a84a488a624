from __future__ import annotations

import pytest

from compose_agent.dockerd.model import Container
from log_forwarder.event import metadata
from log_forwarder.sinks.fluentd.tags import DEFAULT_TAG, FIELDS, TagTemplate
from tests.log_forwarder.sinks.fluentd.samples import ALONE, HOST, WEB, compose_labels


def _named(name: str, project: str = "", service: str = "") -> Container:
    labels = compose_labels(project, service) if project or service else {}
    return Container("a" * 64, name, "image:1", "sha256:1", "running", labels=labels)


@pytest.mark.parametrize(
    ("template", "container", "tag"),
    [
        (DEFAULT_TAG, WEB, "docker.shop.web"),
        (DEFAULT_TAG, ALONE, "docker.lone_ly"),
        (DEFAULT_TAG, _named("x", project="shop"), "docker.shop.x"),
        (DEFAULT_TAG, _named("x", service="web"), "docker.x.web"),
        (DEFAULT_TAG, _named("x", "my.app", "a b*{c}"), "docker.my_app.a_b__c_"),
        (DEFAULT_TAG, _named("x", "größe", "web"), "docker.gr__e.web"),
        (DEFAULT_TAG, _named(""), "docker"),
        ("{container_name}.{compose_service}", ALONE, "lone_ly"),
        ("logs.{host}.{image}", WEB, "logs.host-1.nginx_1_27"),
        ("a.{compose_project}-{compose_number}.b", WEB, "a.shop-1.b"),
        ("plain", WEB, "plain"),
        ("{compose_project}", _named("odd/name"), "odd_name"),
    ],
)
def test_a_tag_is_made_of_what_is_known(template: str, container: Container, tag: str) -> None:
    assert TagTemplate.parse(template).render(metadata(container, HOST)) == tag


@pytest.mark.parametrize(
    ("template", "wrong"),
    [
        ("docker.{compose_projekt}", "there is no field 'compose_projekt', did you mean 'compose_project'?"),
        ("docker..x", "a tag has no empty part, expected such as "),
        ("", "a tag has no empty part, expected such as "),
        ("docker.*", "'*' cannot stand in a tag"),
        ("docker.{", "'{' cannot stand in a tag"),
        ("a b", "' ' cannot stand in a tag"),
    ],
)
def test_a_template_that_makes_no_tag_is_refused(template: str, wrong: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        TagTemplate.parse(template)
    assert wrong in str(refused.value)


def test_the_fields_are_those_of_the_metadata() -> None:
    assert set(FIELDS) == set(metadata(WEB, HOST))
