from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from lab import LabError, uml
from lab.uml import modules_in_order

DEPENDENCIES = """kernel/net/802/stp.ko: kernel/net/llc/llc.ko
kernel/net/llc/llc.ko:
kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko
kernel/drivers/net/veth.ko:
"""

LOOK = """
cat /sys/fs/cgroup/cgroup.controllers; uname -r; echo "$WORD $LAB_GUEST"; pwd
touch /tmp/file /mnt/file /run/results/file && touch /etc/file || echo read-only
grep -c -E '^(bridge|veth|overlay) ' /proc/modules; ls -d /tmp/compose-agent-lab-* || true
echo "to the other" >&2; exit 7
"""


def test_modules_are_loaded_after_those_they_need() -> None:
    assert modules_in_order(DEPENDENCIES, ["bridge", "veth"]) == [
        "kernel/net/llc/llc.ko",
        "kernel/net/802/stp.ko",
        "kernel/net/bridge/bridge.ko",
        "kernel/drivers/net/veth.ko",
    ]


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(LabError, match="no module zfs"):
        modules_in_order(DEPENDENCIES, ["zfs"])


@pytest.mark.engine
def test_a_command_runs_on_a_host_with_cgroup_v2_and_comes_back_whole(tmp_path: Path) -> None:
    done = uml.run(["sh", "-c", LOOK], results=tmp_path, cwd=Path("/usr"), environment={"WORD": "it's"})
    lines = done.stdout.splitlines()
    assert set(lines[0].split()) >= {"cpu", "io", "memory", "pids"}
    assert lines[1:] == [lines[1], "it's 1", "/usr", "read-only", "3"]
    assert "to the other" in done.stderr
    assert done.status == 7
    assert (tmp_path / "file").exists()
    assert not Path("/etc/file").exists()


@pytest.mark.engine
def test_a_guest_that_takes_too_long_is_ended_with_its_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TEST_OF_UML", str(tmp_path))
    with pytest.raises(LabError, match=r"not done after 5 s"):
        uml.run(["sleep", "1000"], results=tmp_path, timeout=5)
    assert processes_with(f"LAB_TEST_OF_UML={tmp_path}") == []


def processes_with(variable: str) -> list[str]:
    """Return those that were started with a variable: the kernel of the guest inherits it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        # A process may end at any moment.
        with contextlib.suppress(OSError):
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder.name)
    return found
