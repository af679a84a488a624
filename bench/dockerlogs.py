"""A Docker host's log folders, written as dockerd's json-file driver writes them, without a dockerd.

    python -m bench.dockerlogs --root DIR --lines 1200000 --rate 20000 --max-size 10m --max-file 3

prints one JSON object at the end: what was written, container by container. ``--backlog``: at full speed.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.dockerfolder import Identity, identity, make_folder
from bench.jsonfile_driver import JsonFileLog, Rotation, head, pieces, time_text
from bench.numbered import is_long, stream_of, text_of

# Short enough that a reader sees a steady flow, long enough that pacing costs nothing.
_STEP_SECONDS = 0.01
# In a backlog: lines of one container before it is the next one's turn.
_BACKLOG_TURN = 1000
_SIZE = re.compile(r"(\d+)([kmg]?)b?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Written:
    """What one container has written."""

    id: str
    name: str
    lines: int
    bytes: int
    rotations: int


class Source:
    """One container that writes numbered lines."""

    def __init__(self, root: Path, who: Identity, rotation: Rotation, long_every: int = 0) -> None:
        self.who = who
        self.lines = 0
        self.log = JsonFileLog(make_folder(root, who, rotation), rotation)
        self._long_every = long_every
        self._short = who.id[:12]

    def write(self, count: int) -> None:
        """Write the next lines, all now; nothing for a count below 1."""
        if count < 1:
            return
        now = time.time_ns()
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
        # A nanosecond apart, as times of one burst are: close, and seldom equal.
        first = min(now % 10**9, 10**9 - 1 - count)
        start = self.lines
        records: list[bytes] = []
        while self.lines < start + count:
            stamp = time_text(second, first + self.lines - start)
            records.extend(self._records(stamp))
        self.log.write(records, stamp)

    def written(self) -> Written:
        """Return what has been written so far."""
        return Written(self.who.id, self.who.name, self.lines, self.log.bytes, self.log.rotations)

    def _records(self, stamp: str) -> list[bytes]:
        """Return the records of the next line; of the next two where these are long and interleaved."""
        number = self.lines
        if not is_long(number, self._long_every):
            self.lines += 1
            text = text_of(self._short, number)
            return [head(text + "\n", stream_of(number)) + stamp.encode() + b'"}\n']
        self.lines += 2
        return list(interleaved(self._short, (number, number + 1), self._long_every, stamp))


def interleaved(short: str, numbers: Sequence[int], long_every: int, stamp: str) -> Iterator[bytes]:
    """Yield the pieces of long lines in turns, all with the time of the first, as the copier does."""
    left = [(stream_of(number), pieces(text_of(short, number, long_every))) for number in numbers]
    for turn in range(max(len(cut) for _, cut in left)):
        for stream, cut in left:
            if turn < len(cut):
                yield head(cut[turn], stream) + stamp.encode() + b'"}\n'


def shares(containers: int, *, even: bool) -> list[float]:
    """Return each container's part of the rate: 1/2, 1/4, 1/8 … and the last as much as the one before."""
    if even:
        return [1 / containers] * containers
    halves = [0.5**place for place in range(1, containers + 1)]
    return [*halves[:-1], 1 - sum(halves[:-1])]


class Writer:
    """All containers of a host, and how they share what is written."""

    def __init__(
        self, root: Path, rotation: Rotation, parts: Sequence[float], *, long_every: int = 0, seed: int = 0
    ) -> None:
        self._parts = parts
        self.stopped = False
        self.sources = [
            Source(root, identity(number, seed), rotation, long_every) for number in range(len(parts))
        ]

    def run(self, lines: int, rate: float) -> None:
        """Write ``lines`` lines at ``rate`` lines a second, however long that takes."""
        started = time.monotonic()
        while self.total() < lines and not self.stopped:
            due = min(lines, (time.monotonic() - started) * rate)
            self._catch_up(due)
            time.sleep(_STEP_SECONDS)
        self.close()

    def stop(self, *_: object) -> None:
        """Write no more; also the handler of SIGTERM."""
        self.stopped = True

    def backlog(self, lines: int) -> None:
        """Write ``lines`` lines as fast as possible."""
        for done in range(0, lines, _BACKLOG_TURN):
            self._catch_up(min(lines, done + _BACKLOG_TURN))
        self.close()

    def total(self) -> int:
        """Return how many lines are written."""
        return sum(source.lines for source in self.sources)

    def written(self) -> list[Written]:
        """Return what has been written so far."""
        return [source.written() for source in self.sources]

    def close(self) -> None:
        """Close all files."""
        for source in self.sources:
            source.log.close()

    def _catch_up(self, due: float) -> None:
        """Have every container write its part of ``due``; the last one what is left of it."""
        left = int(due)
        for source, part in zip(self.sources[:-1], self._parts, strict=False):
            share = int(due * part)
            left -= share
            source.write(share - source.lines)
        self.sources[-1].write(left - self.sources[-1].lines)


def parse_size(text: str) -> int:
    """Return the bytes of Docker's ``10m``, ``512k``, ``1g``, ``1000``."""
    if (found := _SIZE.fullmatch(text.lower())) is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 10m, not '{text}'")
    return int(found[1]) << 10 * " kmg".index(found[2] or " ")


def _tens(text: str) -> int:
    """Return a multiple of ten: then neighbours that are long are on different streams."""
    if not text.isdecimal() or int(text) % 10:
        raise argparse.ArgumentTypeError(f"expected a multiple of 10, not '{text}'")
    return int(text)


def main(argv: Sequence[str] | None = None) -> None:
    """Write, and print what was written."""
    asked = _arguments(argv)
    rotation = Rotation(asked.max_size, asked.max_file, asked.compress)
    parts = shares(asked.containers, even=asked.even)
    writer = Writer(asked.root, rotation, parts, long_every=asked.long_every, seed=asked.seed)
    signal.signal(signal.SIGTERM, writer.stop)
    started = time.monotonic()
    if asked.backlog:
        writer.backlog(asked.lines)
    else:
        writer.run(asked.lines, asked.rate)
    took = time.monotonic() - started
    result = {"seconds": round(took, 2), "containers": [asdict(each) for each in writer.written()]}
    json.dump(result, sys.stdout)
    print()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", type=Path, required=True, help="Docker's data root, made if it is not there"
    )
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=20_000.0, help="lines a second, of all containers")
    parser.add_argument("--backlog", action="store_true", help="as fast as possible")
    parser.add_argument("--containers", type=int, default=4)
    parser.add_argument("--even", action="store_true", help="the same rate for all, not 1/2, 1/4, 1/8, 1/8")
    parser.add_argument("--max-size", type=parse_size, default=0, help="as in log-opts; default: no limit")
    parser.add_argument("--max-file", type=int, default=1)
    parser.add_argument("--compress", action="store_true")
    parser.add_argument(
        "--long-every", type=_tens, default=0, help="two long lines in so many, a multiple of 10"
    )
    parser.add_argument("--seed", type=int, default=0, help="makes the containers' ids")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
