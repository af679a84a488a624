"""A fake of the remediation role's interface for triggers, on a unix socket, with faults on demand.

::

    with FakeTriggers(folder / "remediation.sock") as fake:
        fake.replies = [Reply(503)]  # refuses the next one
        fake.unseen = 1  # takes the next one, and dies before it answers
        fake.hangs.set()  # takes nothing and does not answer, until it is cleared
        ...
        assert [each["id"] for each in fake.triggers] == [...]

It takes CloudEvents 1.0 in structured mode, one in a request, refuses what is none with the reason, and
keeps those of one source and id once. Leaving the block is dying.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from compose_agent.cloudevents import CONTENT_TYPE, PATH, checked
from log_forwarder.fake.posts import FakePosts, Post, Reply

_PAUSE_SECONDS = 0.01


class FakeTriggers(FakePosts):
    """The server; ``triggers`` has each trigger once, in their order, ``duplicates`` counts the others."""

    def __init__(self, path: Path) -> None:
        super().__init__(self._answer, path)
        self.path = path
        self.triggers: list[dict[str, Any]] = []
        self.duplicates = 0
        self.unseen = 0
        self.hangs = threading.Event()
        self._taken: set[tuple[str, str]] = set()
        self._gone = threading.Event()
        self._lock = threading.Lock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gone.set()
        super().__exit__(kind, error, trace)

    def _answer(self, post: Post) -> Reply | None:
        while self.hangs.is_set():
            if self._gone.wait(_PAUSE_SECONDS):
                return None
        if post.path != PATH:
            return Reply(404, b"not found\n")
        if post.headers.get("content-type", "").partition(";")[0] != CONTENT_TYPE:
            return Reply(415, f"expected {CONTENT_TYPE}\n".encode())
        try:
            trigger = checked(post.body)
        except ValueError as error:
            return Reply(400, f"{error}\n".encode())
        return self._take(trigger)

    def _take(self, trigger: dict[str, Any]) -> Reply | None:
        with self._lock:
            name = trigger["source"], trigger["id"]
            if name in self._taken:
                self.duplicates += 1
            else:
                self._taken.add(name)
                self.triggers.append(trigger)
            if self.unseen:
                self.unseen -= 1
                return None
        return Reply(202)
