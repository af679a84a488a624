"""The least that a forwarder in plain Python does for a line: read, decode, pack, send, await its ack.

No rotation, positions, pieces, ids, no second thread: what stands here cannot be saved. Prints JSON.

    python -m bench.forwarder_floor DOCKER_ROOT PORT [--gzip]
"""

from __future__ import annotations

import argparse
import base64
import calendar
import hashlib
import json
import resource
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import msgpack
import msgspec

from compose_agent.typed import json_decoder

_READ_BYTES = 1 << 20
_IN_FLIGHT = 4
_GZIP_LEVEL, _GZIP_WINDOW = 1, 31
_WAIT_SECONDS = 60.0


class _Record(msgspec.Struct, gc=False):
    log: str
    stream: str
    time: str


class _Link:
    """A connection with up to four chunks that are not acknowledged."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _WAIT_SECONDS)
        self._answers = msgpack.Unpacker()
        self._open = 0

    def send(self, body: bytes, option: Mapping[str, object]) -> None:
        """Send a chunk, once there is room for one."""
        self.settle(_IN_FLIGHT - 1)
        chunk = base64.b64encode(hashlib.blake2b(body, digest_size=16).digest()).decode()
        self._socket.sendall(msgpack.packb(["docker.bench", body, {**option, "chunk": chunk}]))
        self._open += 1

    def settle(self, most: int = 0) -> None:
        """Wait until at most so many chunks are not acknowledged."""
        while self._open > most:
            for _ in self._answers:
                self._open -= 1
            if self._open > most:
                self._answers.feed(self._socket.recv(65536))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def ship(root: Path, port: int, *, gzip: bool) -> int:
    """Send every line of every container, and return their number."""
    with closing(_Link(port)) as link:
        return sum(_ship(log, link, gzip=gzip) for log in sorted(root.glob("containers/*/*-json.log")))


def _ship(log: Path, link: _Link, *, gzip: bool) -> int:
    pack = _packer(log)
    count = 0
    for lines in _blocks(log):
        body = b"".join([pack(line) for line in lines])
        option: dict[str, object] = {"size": len(lines)}
        if gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            body = packer.compress(body) + packer.flush()
            option["compressed"] = "gzip"
        link.send(body, option)
        count += len(lines)
    link.settle()
    return count


def _blocks(path: Path) -> Iterator[list[bytes]]:
    rest = b""
    with path.open("rb", buffering=0) as file:
        while block := file.read(_READ_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            yield lines


def _packer(log: Path) -> Callable[[bytes], bytes]:
    known = json.loads((log.parent / "config.v2.json").read_text())
    pack: Callable[[object], bytes] = msgpack.Packer(autoreset=True).pack
    decode = json_decoder(_Record).decode
    metadata = {
        "container_id": known["ID"],
        "container_name": known["Name"],
        "image": known["Config"]["Image"],
        "compose_project": known["Config"]["Labels"]["com.docker.compose.project"],
        "compose_service": known["Config"]["Labels"]["com.docker.compose.service"],
    }
    constant = bytes([0x80 | len(metadata) + 2])
    constant += b"".join(pack(key) + pack(text) for key, text in metadata.items()) + pack("source")
    heads = {stream: constant + pack(stream) + pack("log") for stream in ("stdout", "stderr")}

    def packed(line: bytes) -> bytes:
        record = decode(line)
        fraction = record.time[20:-1]
        moment = _second(record.time[:19]) + int(fraction.ljust(9, "0") or 0).to_bytes(4, "big")
        return b"\x92\xd7\x00" + moment + heads[record.stream] + pack(record.log[:-1])

    return packed


@lru_cache(maxsize=16)
def _second(text: str) -> bytes:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")).to_bytes(4, "big")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--gzip", action="store_true")
    asked = parser.parse_args()
    before = _spent()
    lines = ship(asked.root, asked.port, gzip=asked.gzip)
    spent = _spent() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"lines": lines, "cpu_seconds": round(spent, 3), "rss_mib": round(peak, 1)}))


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
