from __future__ import annotations

import html.parser
import time
from collections.abc import Callable
from dataclasses import replace

import flask
import pytest
from flask.testing import FlaskClient

from compose_agent.dockerd.inventory import Link
from compose_agent.dockerd.model import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL, Container, Engine
from compose_agent.dockerd.overview import Overview
from compose_agent.dockerd.overview.build import host_overview, row
from compose_agent.dockerd.overview.order import COLUMNS as SORT_KEYS
from compose_agent.dockerd.overview.rates import UNKNOWN, Rates
from compose_agent.dockerd.overview.wire import from_json
from compose_agent.dockerd.usage import Sample
from exporter.collectors import registered
from exporter.page import make_page
from exporter.page.columns import COLUMNS

NOW = 1_800_000_000.0
MIB = 1024 * 1024
UP = Link(True, NOW - 7200, "")
DOWN = Link(False, NOW - 90, "no Engine at unix:///run/docker.sock (Connection refused): start Docker")
EVIL = "<img src=x onerror=alert(1)>\"'&"
# CPU seconds for a page of 300 containers; a shared machine may take twice what an idle one does.
MOST_CPU_SECONDS = 0.05

SAMPLE = Sample(1.0, None, None, None, None, None, MIB, MIB, None, None, None, 3, None, {})

Open = Callable[..., FlaskClient]


def container(name: str, project: str = "shop", service: str = "web", **changes: object) -> Container:
    labels = {PROJECT_LABEL: project, SERVICE_LABEL: service, NUMBER_LABEL: "1"} if project else {}
    base = Container(
        id=name.encode().hex().ljust(64, "0"),
        name=name,
        image="nginx:1",
        image_id="sha256:1",
        state="running",
        pid=100,
        started_at=NOW - 7200,
        labels=labels,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def overview(*containers: Container, link: Link = UP, complete: bool = True) -> Overview:
    cpu = {each.name: Rates(cpu_cores=0.1 * n) for n, each in enumerate(containers)}
    rows = tuple(
        row(each, SAMPLE if each.alive else None, cpu[each.name] if each.alive else UNKNOWN, NOW)
        for each in containers
    )
    engine = Engine(name="box", version="28.5.2", os="Debian", cpus=2, memory_bytes=1024 * MIB)
    return Overview(NOW, host_overview(engine, link, rows, None, 0.25, complete=complete), rows)


SHOP = overview(
    container("shop-web-1", health="healthy", memory_limit_bytes=2 * MIB),
    container("shop-db-1", service="db", health="unhealthy"),
    container("blog-app-1", "blog", "app", restart_count=4),
    container("lonely", "", "", state="exited", pid=0, exit_code=3, finished_at=NOW - 60),
)


@pytest.fixture
def visit() -> Open:
    def make(found: Overview = SHOP, telemetry_path: str = "/metrics") -> FlaskClient:
        app = flask.Flask("exporter", static_folder=None)
        app.register_blueprint(make_page(lambda: found, telemetry_path))
        return app.test_client()

    return make


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: tags with attributes, names in order, the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def with_class(self, tag: str, name: str) -> list[dict[str, str | None]]:
        return [a for found, a in self.tags if found == tag and name in (a.get("class") or "").split()]

    def rows(self) -> list[str]:
        """Return the names in the order of the table."""
        names = [a["title"] or "" for tag, a in self.tags if tag == "th" and a.get("scope") == "row"]
        return [name.partition(" ")[0] for name in names]


def read(client: FlaskClient, path: str = "/") -> Page:
    answer = client.get(path)
    assert answer.status_code == 200
    return Page(answer.get_data(as_text=True))


def test_the_page_shows_the_host_and_every_container_in_words(visit: Open) -> None:
    text = read(visit()).text
    for said in ("box", "Docker 28.5.2", "25.0 %", "running healthy", "running unhealthy", "exited code 3"):
        assert said in text


def test_containers_stand_by_project_with_those_outside_compose_last(visit: Open) -> None:
    page = read(visit())
    assert page.rows() == ["blog-app-1", "shop-db-1", "shop-web-1", "lonely"]
    assert "shop 2 of 2 running" in page.text
    assert "outside Compose 0 of 1 running" in page.text


def test_the_query_string_sorts_and_filters_without_a_script(visit: Open) -> None:
    client = visit()
    assert read(client, "/?sort=-cpu").rows() == ["blog-app-1", "shop-db-1", "shop-web-1", "lonely"]
    assert read(client, "/?sort=cpu&q=shop").rows() == ["shop-web-1", "shop-db-1"]
    assert read(client, "/?state=exited").rows() == ["lonely"]
    assert "1 of 4 container matching" in read(client, "/?q=lonely").text


def test_the_sorted_column_says_so_and_its_link_turns_it_round(visit: Open) -> None:
    page = read(visit(), "/?sort=-cpu&q=shop&state=running")
    (heading,) = [a for tag, a in page.tags if tag == "th" and a.get("aria-sort")]
    assert (heading["class"], heading["aria-sort"]) == ("cpu", "descending")
    assert any(a.get("href") == "?sort=cpu&q=shop&state=running" for tag, a in page.tags if tag == "a")


def test_the_form_keeps_sort_and_state(visit: Open) -> None:
    page = read(visit(), "/?sort=-memory&state=running&q=a")
    inputs = {a.get("name"): a for tag, a in page.tags if tag == "input"}
    assert (inputs["q"]["value"], inputs["state"]["value"]) == ("a", "running")
    assert any(a.get("value") == "-memory" and "selected" in a for tag, a in page.tags if tag == "option")


@pytest.mark.parametrize("query", ["?sort=nonsense", "?state=nonsense", "?sort=", "?sort=-", "?q=%ff%00"])
def test_a_query_that_is_not_valid_still_gives_a_page(visit: Open, query: str) -> None:
    read(visit(), f"/{query}")


def test_nothing_that_comes_from_outside_becomes_markup(visit: Open) -> None:
    hostile = container(EVIL, EVIL, EVIL, image=EVIL)
    link = Link(False, NOW, EVIL)
    for path in ("/", "/?sort=name", f"/?q={EVIL}", "/?fragment=1"):
        page = read(visit(overview(hostile, link=link)), path)
        assert not [a for tag, a in page.tags if tag == "img" and "onerror" in a]
        assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert EVIL in read(visit(overview(hostile))).text


def test_the_page_needs_nothing_that_its_policy_forbids(visit: Open) -> None:
    answer = visit().get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = Page(answer.get_data(as_text=True))
    assert not [a for tag, a in page.tags if "style" in a or tag == "style"]
    assert all(a.get("src") for tag, a in page.tags if tag == "script")
    addresses = [a.get(key) or "" for _, a in page.tags for key in ("src", "href")]
    assert not [address for address in addresses if "//" in address or address.startswith("/")]


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("page.css", "text/css"),
        ("frame.css", "text/css"),
        ("live.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_what_the_page_needs_is_served_from_the_package(visit: Open, file: str, kind: str) -> None:
    answer = visit().get(f"/static/{file}")
    assert (answer.status_code, answer.mimetype) == (200, kind)
    answer.close()


def test_a_fragment_holds_the_parts_that_change_and_no_frame(visit: Open) -> None:
    page = read(visit(), "/?fragment=1&sort=-cpu")
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["host", "containers"]
    assert not [tag for tag, _ in page.tags if tag in ("html", "form", "script")]


def test_a_lost_engine_is_said_with_reason_and_remedy_and_its_last_word_marked(visit: Open) -> None:
    page = read(visit(overview(container("a"), link=DOWN)))
    assert "The Docker Engine has not answered for 1 min: no Engine at unix:///run/docker.sock" in page.text
    assert "start Docker" in page.text
    assert "last known state, 1 min old" in page.text
    assert page.with_class("section", "stale")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (overview(), "There is no container on this host"),
        (overview(link=DOWN), "Nothing is known yet"),
        (overview(complete=False), "Reading the containers"),
        (overview(container("a"), complete=False), "still reading"),
    ],
)
def test_an_empty_page_says_why(visit: Open, found: Overview, said: str) -> None:
    assert said in read(visit(found)).text


def test_a_filter_without_a_match_leads_back_to_all(visit: Open) -> None:
    page = read(visit(), "/?q=nothing&sort=-cpu")
    assert "No container matches “nothing”" in page.text
    assert any(a.get("href") == "?sort=-cpu" for tag, a in page.tags if tag == "a")


def test_bars_are_of_the_limit_or_in_another_tone_of_the_host(visit: Open) -> None:
    page = read(visit(overview(container("a", memory_limit_bytes=MIB), container("b"))), "/?sort=name")
    tones = [(a["class"] or "").split()[1] for a in page.with_class("svg", "bar")]
    # The host's CPU, then CPU (no limit) and memory of each container; 1 MiB of 1 MiB is full.
    assert tones == ["fine", "share", "full", "share", "share"]


def test_every_state_has_a_mark_of_its_own_level(visit: Open) -> None:
    page = read(visit())
    assert [(a["class"] or "").split()[1] for a in page.with_class("span", "mark")] == [
        "ok",
        "bad",
        "ok",
        "bad",
    ]


def test_the_table_has_caption_headings_and_row_names(visit: Open) -> None:
    tags = read(visit()).tags
    assert [tag for tag, _ in tags if tag in ("caption", "h1", "h2")] == ["h1", "h2", "caption"]
    assert sum(a.get("scope") == "col" for tag, a in tags if tag == "th") == len(COLUMNS)
    assert sum(a.get("scope") == "row" for tag, a in tags if tag == "th") == 4


def test_every_column_of_the_table_can_be_sorted_by() -> None:
    assert {column.key for column in COLUMNS} <= SORT_KEYS.keys()


def test_links_lead_to_what_else_is_served(visit: Open) -> None:
    page = read(visit(telemetry_path="/prometheus"))
    links = {a.get("href") for tag, a in page.tags if tag == "a"}
    assert {"prometheus", "v1/containers", "-/healthy", "-/ready", "docs"} <= links


def test_metrics_on_the_pages_path_keep_it(visit: Open) -> None:
    assert visit(telemetry_path="/").get("/").status_code == 404


def test_the_json_form_is_the_overview_and_takes_the_same_query(visit: Open) -> None:
    client = visit()
    assert from_json(client.get("/v1/containers?sort=name").get_json()).host == SHOP.host
    found = from_json(client.get("/v1/containers?q=shop&sort=-cpu").get_json())
    assert [each.name for each in found.containers] == ["shop-db-1", "shop-web-1"]


@pytest.mark.parametrize("query", ["sort=nonsense", "state=nonsense"])
def test_a_script_is_told_what_is_valid(visit: Open, query: str) -> None:
    answer = visit().get(f"/v1/containers?{query}")
    assert answer.status_code == 400
    assert "choose one of" in answer.get_data(as_text=True)


def test_the_page_is_compressed_for_those_who_take_it(visit: Open) -> None:
    answer = visit().get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.data.startswith(b"\x1f\x8b")


def test_the_manual_names_every_metric_key_and_column(visit: Open) -> None:
    text = read(visit(), "/docs").text
    metrics = [family.name for each in registered() for family in each.families]
    keys = list(SHOP.containers[0].__dataclass_fields__)
    for name in (*metrics, *keys, *(column.label for column in COLUMNS), *SORT_KEYS):
        assert name in text


def test_300_containers_cost_little(visit: Open) -> None:
    many = overview(*(container(f"p{n % 20}-web-{n}", f"p{n % 20}") for n in range(300)))
    client = visit(many)
    client.get("/")
    best = min(_cpu_seconds(lambda: client.get("/?fragment=1")) for _ in range(5))
    assert best < MOST_CPU_SECONDS


def _cpu_seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started
