"""Sends over a WebSocket what its agent has not asked for, from any thread."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

logger = logging.getLogger(__name__)

# An agent that does not take them is sent no more; what is lost is sent again when it connects anew.
MOST_WAITING = 64
# RFC 6455, 7.4.1.
POLICY_CODE = 1008
# A peer that does not take what it is sent holds memory.
_SEND_SECONDS = 20.0


class Pusher:
    """One connection's; made on its loop. ``send`` is the ASGI connection's."""

    __slots__ = ("_closed", "_ending", "_frames", "_loop", "_send", "_task")

    def __init__(self, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._frames: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = False

    def push(self, frame: bytes) -> bool:
        """Send a frame soon, behind those before; return False when the agent does not take any more."""
        if self._closed or len(self._frames) >= MOST_WAITING:
            return False
        self._frames.append(frame)
        try:
            self._loop.call_soon_threadsafe(self._kick)
        except RuntimeError:  # the loop has ended, and the manager with it
            return False
        return True

    def end(self, reason: str) -> None:
        """Close the connection soon, from any thread; its agent is told the reason."""
        self.close()
        with suppress(RuntimeError):  # the loop has ended, and the manager with it
            self._loop.call_soon_threadsafe(self._end, reason)

    def close(self) -> None:
        """Send nothing any more."""
        self._closed = True
        self._frames.clear()

    def _kick(self) -> None:
        if self._task is None and self._frames:
            self._task = self._loop.create_task(self._deliver())

    def _end(self, reason: str) -> None:
        self._ending = self._loop.create_task(self._say_end(reason))

    async def _say_end(self, reason: str) -> None:
        with suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send({"type": "websocket.close", "code": POLICY_CODE, "reason": reason})

    async def _deliver(self) -> None:
        try:
            while self._frames:
                async with asyncio.timeout(_SEND_SECONDS):
                    await self._send({"type": "websocket.send", "bytes": self._frames.popleft()})
        except (TimeoutError, OSError, RuntimeError) as error:
            self.close()  # who receives on the connection notices its end
            logger.debug("a message did not reach its agent", extra={"error": repr(error)})
        finally:
            self._task = None
