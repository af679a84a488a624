"""What the Engine's events prove about a container since a moment before the call.

An Engine goes on with a stop when its client has gone, so that what was begun before a crash may still be
under way. Its events tell, as long as it remembers them: it keeps 256, and a restart of it forgets them all,
but also ends every request that was under way.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.stream import Event
from compose_agent.dockerd.verbs.containers import engine_clock
from compose_agent.dockerd.verbs.contract import Facts

# What a stop or a restart may take beyond the stop timeout before nobody believes in it any more; the Engine
# alone waits up to 10 s for the end of what it has killed.
OVERDUE_SECONDS = 30.0
_NANOSECONDS = 10**9
_DEFAULT_STOP_SIGNAL = int(signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The container's events since the facts were noted; ``complete`` when none of them can be missing.

    ``now_ns`` is the Engine's clock.
    """

    events: tuple[Event, ...]
    complete: bool
    now_ns: int

    def stop_begun(self, facts: Facts) -> Event | None:
        """Return the first event that shows a stop: the stop signal, SIGKILL, or the stop itself.

        A death alone shows none, because processes also die by themselves; nor does another signal.
        """
        # Podman does not say which signal it was.
        signals = {str(facts["stop_signal"]), str(int(signal.SIGKILL)), ""}
        for event in self.events:
            sent = event.action == "kill" and event.attributes.get("signal", "") in signals
            if sent or event.action == "stop":
                return event
        return None

    def happened(self, action: str) -> bool:
        """Tell whether there is an event of that name."""
        return any(event.action == action for event in self.events)

    def is_overdue(self, since_ns: int, facts: Facts) -> bool:
        """Tell whether a stop that was begun at that moment should have ended long ago."""
        seconds = float(facts["stop_seconds"]) + OVERDUE_SECONDS
        return self.now_ns >= since_ns + round(seconds * _NANOSECONDS)


def gather(client: EngineClient, facts: Facts) -> Evidence:
    """Ask the Engine for what it remembers."""
    now_ns = engine_clock(client)
    since_ns = int(facts["engine_ns"])
    history = client.past_events(1, now_ns)
    own = (each for each in history.events if each.container_id == facts["id"])
    return Evidence(tuple(each for each in own if each.time_ns > since_ns), history.reaches(since_ns), now_ns)


def signal_number(name: str) -> int | None:
    """Return the number of ``SIGTERM``, ``term``, ``15`` or ``SIGRTMIN+3``; None when there is none."""
    text = name.strip().upper().removeprefix("SIG")
    if text.isdecimal():
        return int(text) if 0 < int(text) < signal.NSIG else None
    base, _, offset = text.partition("+")
    found = signal.Signals.__members__.get(f"SIG{base}")
    if found is None or not (offset or "0").isdecimal():
        return None
    number = int(found) + int(offset or 0)
    return number if number < signal.NSIG else None


def stop_signal(configured: str) -> int:
    """Return the number of a container's stop signal; SIGTERM when it has none of its own."""
    return signal_number(configured) or _DEFAULT_STOP_SIGNAL
