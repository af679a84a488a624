"""A sink with its courier, as a lane runs them."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from log_forwarder.couriers import courier_for
from log_forwarder.deadletters import FILE_NAME, DeadLetters
from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox, Tally
from log_forwarder.sinks.contract import Sink

PATIENCE_SECONDS = 60.0
_EVERYTHING = 2**40


class Delivery:
    """Delivers in a thread of its own from the start; ``finish`` waits until all is settled."""

    def __init__(self, sink: Sink, folder: Path, batches: Sequence[Batch] = ()) -> None:
        self.outbox = Outbox(_EVERYTHING)
        self.abandon, self._stop = threading.Event(), threading.Event()
        self.courier = courier_for("sink", sink, self.outbox, DeadLetters(folder), self.abandon)
        self._thread = threading.Thread(target=self.courier.run, args=(self._stop,), daemon=True)
        self.put(batches)
        self._thread.start()

    def put(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.outbox.put(batch, 0)

    def give_up(self) -> None:
        self.abandon.set()
        self._thread.join(PATIENCE_SECONDS)

    def finish(self) -> Tally:
        self.outbox.close()
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)
        late = self._thread.is_alive()
        self.give_up()
        assert not late, f"not delivered: {self.courier.health.error}"
        return self.outbox.tally()


def dead_letters(folder: Path) -> list[dict[str, Any]]:
    """Return the letters that deliveries with this state directory left, oldest first."""
    path = folder / FILE_NAME
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def dead_lines(folder: Path) -> list[str]:
    """Return the lines in those letters."""
    return [letter["event"]["log"] for letter in dead_letters(folder)]
