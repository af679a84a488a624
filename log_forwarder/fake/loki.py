"""A fake of Loki's push API, which refuses entries in Loki's own words.

::

    with FakeLoki() as fake:
        fake.too_old_before = ...  # as reject_old_samples does, in nanoseconds
        fake.behind_before = ...  # as a stream with newer entries does
        ...
        assert fake.lines('{container="shop-web-1", …}') == [...]

As the real one, it stores what it takes of a push and answers 400 for the rest, lists at most ten entries of
a stream, gives limits in whole seconds, and drops an entry with the time and line of one that it has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from log_forwarder.fake.posts import FakePosts, Post, Reply

PATH = "/loki/api/v1/push"
_MOST_LISTED = 10
_SECOND = 1_000_000_000


class FakeLoki(FakePosts):
    """The server; ``streams`` has by labels the entries ``(nanoseconds, line, metadata)`` as they came."""

    def __init__(self) -> None:
        super().__init__(self._push)
        self.streams: dict[str, list[tuple[int, str, dict[str, str]]]] = {}
        self.too_old_before = 0
        self.behind_before = 0
        self.out_of_order: set[int] = set()
        self.poison = ""

    def lines(self, stream: str) -> list[str]:
        """Return the lines of a stream."""
        return [line for _, line, _ in self.streams.get(stream, [])]

    def _push(self, post: Post) -> Reply:
        if post.path != PATH:
            return Reply(404, b"404 page not found\n")
        streams = json.loads(post.body)["streams"]
        if self.poison and self.poison.encode() in post.body:
            return Reply(400, b"loghttp.PushRequest.Streams: Value is unreadable")
        complaints = [said for each in streams if (said := self._take(each))]
        return Reply(400, "\n".join(complaints).encode()) if complaints else Reply(204)

    def _take(self, stream: dict[str, Any]) -> str:
        """Store what can be stored, and return what is said of the rest."""
        name = (
            "{"
            + ", ".join(f"{key}={json.dumps(stream['stream'][key])}" for key in sorted(stream["stream"]))
            + "}"
        )
        stored = self.streams.setdefault(name, [])
        known = {(time, line) for time, line, _ in stored}
        too_old, ignored = [], []
        for time, line, *metadata in stream["values"]:
            moment = int(time)
            if moment < self.too_old_before:
                too_old.append(moment)
            elif moment < self.behind_before or moment in self.out_of_order:
                ignored.append(moment)
            elif (moment, line) not in known:
                stored.append((moment, line, *(metadata or [{}])))
        if too_old:
            # The labels that are named have some that the server adds.
            shown = name[:-1] + ', service_name="web"}'
            return (
                f"entry for stream '{shown}' has timestamp too old: {_rfc3339(too_old[-1])}, "
                f"oldest acceptable timestamp is: {_rfc3339(self.too_old_before)}"
            )
        return self._said_of(name, ignored, len(stream["values"])) if ignored else ""

    def _said_of(self, name: str, ignored: Sequence[int], count: int) -> str:
        listed = [
            f"entry with timestamp {_go(moment)} ignored, reason: '{self._reason(moment)}',\n"
            for moment in ignored[:_MOST_LISTED]
        ]
        total = f"user 'fake', total ignored: {len(ignored)} out of {count} for stream: {name}"
        return "".join(listed) + total

    def _reason(self, moment: int) -> str:
        if moment in self.out_of_order:
            return "entry out of order"
        return (
            f"entry too far behind, entry timestamp is: {_rfc3339(moment)}, "
            f"oldest acceptable timestamp is: {_rfc3339(self.behind_before)}"
        )


def _rfc3339(moment: int) -> str:
    return datetime.fromtimestamp(moment // _SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _go(moment: int) -> str:
    """Return a time as Go prints it: without the zeros at the end of the fraction."""
    seconds = datetime.fromtimestamp(moment // _SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f".{moment % _SECOND:09d}".rstrip("0").rstrip(".")
    return f"{seconds}{fraction} +0000 UTC"
