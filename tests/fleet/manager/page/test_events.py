"""Pages that are followed: what is sent, when, and to whom."""

from __future__ import annotations

import asyncio
import http.client
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from fleet.manager.page import events
from fleet.manager.page.events import fragment, view_of
from fleet.manager.page.pulse import Pulse
from tests.fleet.manager.serving import WAIT_SECONDS, HandAgent, Manager, serving


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


class Stream:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.response = response

    def event(self) -> tuple[str, str]:
        """Return name and data of the next event that has data."""
        name, lines = "", []
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            key, _, value = text.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                lines.append(value)
            elif not text and lines:
                return name, "\n".join(lines)
        return "end", ""

    def until(self, words: str) -> str:
        """Return the first fragment with these words in it."""
        while True:
            name, data = self.event()
            assert name == "fragment", f"the stream ends without {words}"
            if words in data:
                return data


@contextmanager
def following(manager: Manager, view: str, **headers: str) -> Iterator[Stream]:
    parts = urlsplit(manager.url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=WAIT_SECONDS)) as connection:
        connection.request("GET", f"/events?view={quote(view)}", headers=headers)
        yield Stream(connection.getresponse())


def test_a_page_is_sent_and_sent_again_when_it_has_changed(manager: Manager) -> None:
    with following(manager, "?q=web") as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert "No agent has come yet" in stream.until("<section")
        HandAgent(manager, "web-1", host_name="h1").say(described=True)
        found = stream.until("web-1")
        assert "<html" not in found
        HandAgent(manager, "db-1").say(described=True)
        assert "db-1" not in stream.until("1 that match, 2 in all")


def test_a_node_is_followed_by_its_own_page(manager: Manager) -> None:
    agent = HandAgent(manager, "web 1")
    agent.say(described=True)
    with following(manager, "node?id=web%201") as stream:
        stream.until("online")
        agent.connection.close()
        stream.until("offline")


def test_it_comes_compressed_piece_by_piece(manager: Manager) -> None:
    HandAgent(manager, "web-1").say(described=True)
    with following(manager, "", **{"Accept-Encoding": "gzip"}) as stream:
        assert stream.response.headers["Content-Encoding"] == "gzip"
        unpacker, text = zlib.decompressobj(zlib.MAX_WBITS | 16), b""
        while b"web-1" not in text:
            piece = stream.response.read1()
            assert piece
            text += unpacker.decompress(piece)


@pytest.mark.parametrize(
    ("view", "status"),
    [
        ("nowhere", 404),
        ("metrics", 404),
        ("api/v1/nodes", 400),
        ("node?id=nobody", 404),
        ("events", 404),
        ("//x/", 404),
    ],
)
def test_there_is_nothing_to_follow_but_pages(view: str, status: int, manager: Manager) -> None:
    with following(manager, view) as stream:
        assert stream.response.status == status


def test_a_manager_that_stops_ends_its_streams(tmp_path: Path) -> None:
    with serving(tmp_path) as manager, following(manager, "") as stream:
        stream.until("<section")
        stopping = threading.Thread(target=manager.role.stop)
        stopping.start()
        assert stream.event()[0] == "end"
        stopping.join(WAIT_SECONDS)
        assert not stopping.is_alive()


def test_more_than_so_many_are_told_to_come_again(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 1)
    with following(manager, "") as first:
        first.until("<section")
        with following(manager, "") as second:
            assert second.response.status == 503
            assert second.response.headers["Retry-After"]


@pytest.mark.parametrize(
    ("view", "path", "query"),
    [
        ("", "/", "fragment=1"),
        ("node?id=a%26b", "/node", "id=a%26b&fragment=1"),
        ("../node", "/../node", "fragment=1"),
    ],
)
def test_what_is_rendered_is_what_the_page_itself_asks(view: str, path: str, query: str) -> None:
    made = view_of(
        {"QUERY_STRING": f"view={quote(view)}", "HTTP_ACCEPT_ENCODING": "gzip", "HTTP_COOKIE": "a"}
    )
    assert made == {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_COOKIE": "a",
    }


def test_no_line_of_a_page_is_a_line_of_the_protocol() -> None:
    assert (
        fragment(b"a\r\nevent: x\n\nid: 3")
        == b"event: fragment\ndata: a\ndata: event: x\ndata: \ndata: id: 3\n\n"
    )


def test_a_beat_wakes_who_waits_from_any_thread() -> None:
    async def waits(pulse: Pulse) -> bool:
        with pulse.felt() as changed:
            threading.Thread(target=pulse.beat).start()
            async with asyncio.timeout(WAIT_SECONDS):
                return await changed.wait()

    pulse = Pulse()
    assert asyncio.run(waits(pulse))
    pulse.beat()  # nobody waits any more
