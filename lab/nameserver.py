"""A name server that knows one name: ``python -m lab.nameserver ADDRESS NAME IP``.

It answers over UDP on port 53 of ADDRESS: questions for the IPv4 address of NAME with IP, those for another
kind of record of NAME with nothing, and all others with "no such name" (RFC 1035, 4.1).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress

_PORT = 53
_HEAD = struct.Struct("!6H")
_IPV4, _INTERNET = 1, 1
_ANSWER, _RECURSION, _NO_SUCH_NAME = 0x8400, 0x0080, 3
# Where the question begins, as a pointer to the name in it.
_POINTER = 0xC000 | _HEAD.size
_SECONDS = 1


def answer(question: bytes, name: str, address: str) -> bytes:
    """Return the answer to a packet with one question."""
    number = _HEAD.unpack_from(question)[0]
    asked, end = _name(question, _HEAD.size)
    kind = struct.unpack_from("!H", question, end)[0]
    known = asked.lower() == name.lower()
    found = b""
    if known and kind == _IPV4:
        packed = ipaddress.IPv4Address(address).packed
        found = struct.pack("!HHHIH", _POINTER, _IPV4, _INTERNET, _SECONDS, len(packed)) + packed
    flags = _ANSWER | _RECURSION | (0 if known else _NO_SUCH_NAME)
    return _HEAD.pack(number, flags, 1, bool(found), 0, 0) + question[_HEAD.size : end + 4] + found


def _name(packet: bytes, at: int) -> tuple[str, int]:
    """Return the name that begins at ``at``, and where what comes behind it begins."""
    labels = []
    while size := packet[at]:
        labels.append(packet[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return ".".join(labels), at + 1


def main(argv: Sequence[str] | None = None) -> None:
    """Answer for ever."""
    own, name, address = argv or sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((own, _PORT))
        print("READY", flush=True)
        while True:
            question, peer = server.recvfrom(512)
            with suppress(OSError):  # a rule that drops what is sent is an error of the one who sends
                server.sendto(answer(question, name, address), peer)


if __name__ == "__main__":
    main()
