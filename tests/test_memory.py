from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading, re
from compose_agent.memory import share_one_heap
if {ours}:
    share_one_heap()
release = threading.Event()
def hold():
    kept.append([bytearray(3000) for _ in range(300)])
    release.wait()
kept = []
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads: thread.start()
import time
while len(kept) < 8: time.sleep(0.01)
with open("/proc/self/maps") as maps:
    # glibc reserves 64 MiB for each further heap.
    areas = re.findall("^([0-9a-f]+)-([0-9a-f]+) ---p", maps.read(), re.MULTILINE)
    sizes = [int(end, 16) - int(start, 16) for start, end in areas]
print(sum(40 << 20 < size <= 64 << 20 for size in sizes))
release.set()
"""


def heaps(*, ours: bool) -> int:
    """Return how many heaps but the first one eight threads that allocate have made."""
    program = PROGRAM.format(ours=ours)
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)


def test_threads_share_one_heap() -> None:
    assert heaps(ours=False) > 2
    assert heaps(ours=True) == 0
