"""docker_container_info and the container labels on it."""

import pytest

from exporter.collectors.container_info import COLLECTOR, label_pairs
from exporter.exposition import container_label_text, render
from tests.exporter.build import box, settings
from tests.exporter.parsed import families


def labels_of(container_labels: str | None, /, **labels: str) -> dict[str, str]:
    """Return the labels of the rendered series; ``__`` in a key stands for a point."""
    container = box(
        image="nginx:1",
        restart_policy="always",
        labels={key.replace("__", "."): v for key, v in labels.items()},
    )
    values = COLLECTOR.make(settings(container_labels=container_labels and container_labels.split()))(
        container
    )
    text = "".join(render(COLLECTOR.families, values, container_label_text(container)))
    (family,) = families(text)
    (sample,) = family.samples
    assert sample.value == 1
    found: dict[str, str] = sample.labels
    return found


FACTS = {
    "name": "web",
    "id": "c" * 12,
    "compose_project": "",
    "compose_service": "",
    "image": "nginx:1",
    "image_id": "sha256:1",
    "compose_number": "",
    "restart_policy": "always",
    "network_mode": "default",
    "log_driver": "",
}


def test_without_a_glob_no_container_label_is_shown() -> None:
    assert labels_of(None, a="b", secret="c") == FACTS


@pytest.mark.parametrize(
    ("globs", "shown"),
    [
        ("*", {"label_a", "label_org_opencontainers_image_title", "label_org_x"}),
        ("a", {"label_a"}),
        ("org.*", {"label_org_opencontainers_image_title", "label_org_x"}),
        ("org.opencontainers.* a", {"label_org_opencontainers_image_title", "label_a"}),
        ("[ab]", {"label_a"}),
        ("org", set()),
        ("A", set()),
    ],
)
def test_globs_choose_labels_by_their_whole_key(globs: str, shown: set[str]) -> None:
    found = labels_of(globs, a="1", org__opencontainers__image__title="2", org__x="3")
    assert found.keys() - FACTS.keys() == shown


@pytest.mark.parametrize(
    ("labels", "pairs"),
    [
        ({}, []),
        ({"a.b": "1"}, [("label_a_b", "1")]),
        ({"a_b": "2", "a.b": "1", "a-b": "0"}, [("label_a_b", "0")]),
        ({"z": "1", "a": "2"}, [("label_a", "2"), ("label_z", "1")]),
        ({"": "1"}, [("label_", "1")]),
        ({"ünï": "1"}, [("label__n_", "1")]),
        ({"٣": "1"}, [("label__", "1")]),
        ({"name": "1", "id": "2"}, [("label_id", "2"), ("label_name", "1")]),
        ({"a\nb": "1", "a b": "2"}, [("label_a_b", "1")]),
    ],
)
def test_keys_become_label_names_each_once(labels: dict[str, str], pairs: list[tuple[str, str]]) -> None:
    assert label_pairs(labels) == pairs


def test_labels_called_like_fixed_ones_do_not_meet_them() -> None:
    found = labels_of("*", name="n", id="i", image="m", compose_project="p")
    assert {key: found[key] for key in FACTS} == FACTS
    assert found["label_name"] == "n"


def test_many_labels_of_64_kib_are_cut() -> None:
    found = labels_of("*", **{f"key{n}": "x" * 65536 for n in range(20)})
    assert {len(value) for key, value in found.items() if key.startswith("label_")} == {1024}
