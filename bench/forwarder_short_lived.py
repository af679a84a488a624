"""Run containers that live for milliseconds and are removed at once, and count their lines at the sink.

    python -m bench.forwarder_short_lived --count 500

Every second line has no newline. Exits with 1 when a line is missing or there twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

from lab import busybox
from lab.engine import PrivateEngine
from lab.lines import LINES
from lab.shipping import Shipping

_PREFIX = "short "
# Starting a container takes the Engine half a second; more at once only queue there.
_AT_ONCE = 6
_WAIT_SECONDS = 60.0


def main() -> None:
    """Run the campaign and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--engine-line", choices=LINES, default=LINES[-1])
    arguments = parser.parse_args()
    with PrivateEngine(arguments.engine_line) as engine, tempfile.TemporaryDirectory() as folder:
        client = docker.DockerClient(base_url=engine.host, timeout=120)
        found = campaign(engine, client, Path(folder), arguments.count)
        client.close()
    print(json.dumps({"engine": arguments.engine_line, **found, "load_average": os.getloadavg()[0]}))
    sys.exit(found["missing"] > 0 or found["twice"] > 0)


def campaign(engine: PrivateEngine, client: docker.DockerClient, folder: Path, count: int) -> dict[str, int]:
    """Run ``count`` containers and return how many lines were asked for, are missing, and came twice."""
    image = busybox.ensure_image(client)
    shipping = Shipping(engine, folder)

    def live(number: int) -> None:
        end = "" if number % 2 else "\\n"
        client.containers.run(image, ["printf", f"{_PREFIX}{number}{end}"], detach=True, auto_remove=True)

    with shipping.agent:
        shipping.agent.wait_ready()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(live, range(count)))
        deadline = time.monotonic() + _WAIT_SECONDS
        while (seen := shipped(shipping)).total() < count and time.monotonic() < deadline:
            time.sleep(0.5)
    return {
        "containers": count,
        "missing": count - len(seen),
        "twice": seen.total() - len(seen),
    }


def shipped(shipping: Shipping) -> Counter[str]:
    """Return the campaign's lines that arrived, each with how often."""
    return Counter(each["log"] for each in shipping.events() if each["log"].startswith(_PREFIX))


if __name__ == "__main__":
    main()
