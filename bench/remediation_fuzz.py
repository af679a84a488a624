"""Send random and damaged requests to the receiver's routes behind the real server, and look at the answers.

    python -m bench.remediation_fuzz 100000 --seed 1

Requests that end where they say go over connections that are kept; the others each have one of their own.
Whatever is sent, no answer may be a 5xx (but for 501 and 505, which the protocol asks for), every whole
request must have an answer, and the server must go on to take what is right. A case can be sent again by
itself: ``--only NUMBER``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

import msgspec

from bench.fuzzed_requests import KEY, TOKEN, Case, case
from compose_agent.address import Address
from compose_agent.typed import convert
from compose_agent.web.response import routed
from compose_agent.web.server import WebServer
from remediation.model import Signal
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.routes import Receiver, trigger_routes, webhook_routes
from remediation.receiver.signatures import Signatures

_CLIENTS = 4
_BODY_LIMIT = 1 << 20
# A server that waits for a body that does not come gives up after half a minute.
_ANSWER_SECONDS = 120.0
_SHOWN = 20
_NOTHING = 0
_END, _CONTINUE = b"\r\n\r\n", b"HTTP/1.1 100 "
# What HTTP itself has for versions and transfer codings that nobody knows; the application never sees those.
_OF_THE_PROTOCOL = (501, 505)
# For who asks last of all whether it is still there.
_GOOD = b'{"version":"4","alerts":[]}'


@dataclass
class Found:
    """What was answered: how often each status, and which cases were answered wrongly."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[int, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, number: int, one: Case, status: int) -> None:
        """Count an answer; ``status`` 0 for none."""
        with self.lock:
            self.statuses[status] += 1
            if is_fault(status) or (status == _NOTHING and one.whole):
                self.wrong.append((number, f"status {status}"))


class Client:
    """One connection, kept while it can be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._kept: socket.socket | None = None

    def send(self, one: Case) -> int:
        """Return the status of the answer, 0 if there is none."""
        if not one.whole:
            return self._send_alone(one.data)
        for fresh in (False, True):
            sock = self._kept if self._kept and not fresh else self._connect()
            self._kept = None
            with suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(one.data)
            status, keep = _answer(sock)
            if keep:
                self._kept = sock
            else:
                sock.close()
            if status:
                return status
        return _NOTHING

    def close(self) -> None:
        """Close the connection."""
        if self._kept:
            self._kept.close()

    def _send_alone(self, data: bytes) -> int:
        with self._connect() as sock:
            with suppress(OSError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            answered = bytearray()
            with suppress(ConnectionResetError):
                while piece := sock.recv(65536):
                    answered += piece
        statuses = [_status(each) for each in bytes(answered).split(b"\r\n") if each.startswith(b"HTTP/1.")]
        return max(statuses, default=_NOTHING)

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER_SECONDS)


def _answer(sock: socket.socket) -> tuple[int, bool]:
    """Return the status of one answer, and whether the connection is good for another."""
    data = b""
    with suppress(ConnectionResetError):
        while (piece := sock.recv(65536)) or data:
            data += piece
            if data.startswith(_CONTINUE):  # not yet the answer
                data = data.partition(_END)[2]
            head, end, body = data.partition(_END)
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if end)
            if end and len(body) >= int(fields[b"content-length"]):
                return _status(head), fields.get(b"connection") != b"close"
            if not piece:
                break
    return _status(data), False


def _status(head: bytes) -> int:
    parts = head.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else _NOTHING


def is_fault(status: int) -> bool:
    """Tell whether an answer says that the server is at fault."""
    return status >= 500 and status not in _OF_THE_PROTOCOL


def send_all(cases: Iterable[tuple[int, Case]], port: int) -> Found:
    """Send cases by a few clients at once."""
    found, waiting, lock = Found(), iter(cases), threading.Lock()

    def work() -> None:
        client = Client(port)
        while True:
            with lock:
                drawn = next(waiting, None)
            if drawn is None:
                break
            found.note(*drawn, client.send(drawn[1]))
        client.close()

    with ThreadPoolExecutor(_CLIENTS) as pool:
        for each in [pool.submit(work) for _ in range(_CLIENTS)]:
            each.result()
    return found


def campaign(
    numbers: Sequence[int], seed: int, progress: Callable[[int], None] = lambda _done: None
) -> dict[str, object]:
    """Send each case to a receiver that lets everybody in, and to one that asks for proof; return figures."""
    kept: Counter[bool] = Counter()

    def receive(signals: Sequence[Signal]) -> None:
        msgspec.json.encode(signals)  # as whoever stores them does
        kept.update(signal.firing for signal in signals)

    def cases() -> Iterable[tuple[int, Case]]:
        for done, number in zip(count(1), numbers, strict=False):
            progress(done)
            yield number, case(seed, number)

    figures: dict[str, object] = {}
    for name, access in (("open", _open), ("guarded", _guarded)):
        receiver = Receiver(receive, Doors(Access(), _BODY_LIMIT))
        receiver.doors = Doors(access(receiver), _BODY_LIMIT)
        app = routed({**webhook_routes(receiver), **trigger_routes(receiver)})
        with WebServer(Address("127.0.0.1", 0), app) as server:
            assert isinstance(server.address, Address)
            found = send_all(cases(), server.address.port)
            asking = Client(server.address.port)
            alive = asking.send(_good())
            asking.close()
        figures[name] = {
            "statuses": {str(status): number for status, number in sorted(found.statuses.items())},
            "server_errors": sum(number for status, number in found.statuses.items() if is_fault(status)),
            "wrong": sorted(found.wrong)[:_SHOWN],
            "alive": alive == 202,
            "refused": _by_reason(receiver),
        }
    return {"requests": 2 * len(numbers), "seed": seed, "signals": kept.total(), **figures}


def _open(_receiver: Receiver) -> Access:
    return Access()


def _guarded(receiver: Receiver) -> Access:
    signatures = Signatures(lambda: [KEY], receiver.replays, lambda: 1_800_000_000.0)
    return Access(tokens=lambda: [TOKEN.encode()], signatures=signatures, required=True)


def _by_reason(receiver: Receiver) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, why), number in receiver.received.refused.items():
        found[str(why)] += number
    return dict(sorted(found.items()))


def _good() -> Case:
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(_GOOD)}\r\n\r\n"
    return Case(head.encode() + _GOOD, whole=True)


def all_well(figures: dict[str, object]) -> bool:
    """Tell whether nothing was answered wrongly, and both servers went on."""
    sides = [convert(figures[name], dict[str, object]) for name in ("open", "guarded")]
    return all(side["alive"] and not side["wrong"] for side in sides)


def main(argv: Sequence[str] | None = None) -> int:
    """Send them and print figures; the exit status tells whether all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "requests", type=int, nargs="?", default=100_000, help="in all, half of them to each receiver"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    numbers = range(asked.requests // 2) if asked.only is None else range(asked.only, asked.only + 1)
    if asked.only is not None:
        print(repr(case(asked.seed, asked.only).data[:2000]), file=sys.stderr)
    began = time.monotonic()
    figures = campaign(numbers, asked.seed)
    figures["seconds"] = round(time.monotonic() - began, 1)
    figures["rss_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    figures["load_average"] = os.getloadavg()[0]
    print(json.dumps(figures))
    return 0 if all_well(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
