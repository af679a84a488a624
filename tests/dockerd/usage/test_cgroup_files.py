"""Samples out of whole file trees: both cgroup versions, every place where an Engine puts a container."""

from dataclasses import replace

import pytest

from compose_agent.dockerd.usage.locate import open_files
from compose_agent.dockerd.usage.sample import DeviceIO, InterfaceIO, Sample
from tests.dockerd.usage.trees import ID, Host, container, rounded

ETH0 = InterfaceIO(1000, 10, 1, 2, 2000, 20, 3, 4)
WHOLE = Sample(
    cpu_seconds=12.5,
    cpu_user_seconds=8.0,
    cpu_system_seconds=4.0,
    cpu_periods=50,
    cpu_throttled_periods=7,
    cpu_throttled_seconds=1.5,
    memory_bytes=10485760,
    working_set_bytes=10485760 - 3145728,
    rss_bytes=2097152,
    cache_bytes=8192,
    swap_bytes=12288,
    pids=3,
    networks={"eth0": ETH0},
    devices={"vda": DeviceIO(8192, 4096, 2, 1)},
)
SCOPE = f"/system.slice/docker-{ID}.scope"


def read(host: Host, **changes: object) -> Sample | None:
    files = open_files(container(**changes), host.mounts, host.mounts.device_names())  # type: ignore[arg-type]
    if files is None:
        return None
    try:
        return files.read()
    finally:
        files.close()


def test_a_whole_container_gives_the_same_sample_on_both_versions(host: Host) -> None:
    host.run(f"/docker/{ID}")
    assert rounded(read(host)) == WHOLE


@pytest.mark.parametrize(
    ("path", "seen", "parent"),
    [
        (f"/docker/{ID}", f"/docker/{ID}", ""),
        (SCOPE, SCOPE, ""),
        (f"/system.slice/a.slice/a-b.slice/docker-{ID}.scope", None, "a-b.slice"),
        (f"/custom/deep/{ID}", None, "/custom/deep"),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope", None, "user.slice"),
        (f"/machine.slice/libpod-{ID}.scope", None, "machine.slice"),
        (f"/docker/{'0' * 64}/docker/{ID}", None, ""),
    ],
    ids=["cgroupfs", "systemd", "nested-slices", "own-parent", "rootless", "podman", "docker-in-docker"],
)
def test_the_path_in_proc_is_believed(host: Host, path: str, seen: str | None, parent: str) -> None:
    host.run(path, seen=seen)
    assert rounded(read(host, cgroup_parent=parent)) == WHOLE


@pytest.mark.parametrize(
    ("path", "parent"),
    [
        (f"/docker/{ID}", ""),
        (SCOPE, ""),
        (f"/a.slice/a-b.slice/a-b-c.slice/docker-{ID}.scope", "a-b-c.slice"),
        (f"/a.slice/docker-{ID}.scope", "/whatever/a.slice"),
        (f"/machine.slice/libpod-{ID}.scope", ""),
        (f"/machine.slice/libpod-{ID}.scope", "machine.slice"),
        (f"/libpod_parent/libpod-{ID}", ""),
        (f"/custom/{ID}", "/custom/"),
    ],
)
@pytest.mark.parametrize("seen", [f"/../{ID}", f"/../../system.slice/docker-{ID}.scope"])
def test_seen_from_another_cgroup_namespace_the_engines_rules_tell_where_it_is(
    host: Host, path: str, parent: str, seen: str
) -> None:
    host.run(path, seen=seen)
    assert rounded(read(host, cgroup_parent=parent)) == WHOLE


def test_the_agents_own_container_in_a_namespace_of_its_own_is_read(host: Host) -> None:
    host.run(SCOPE, seen="/")
    assert rounded(read(host)) == WHOLE


def test_cgroups_that_a_container_made_itself_do_not_hide_the_rest_of_it(host: Host) -> None:
    host.run(SCOPE, seen=f"{SCOPE}/init.scope")
    host.cgroup(f"{SCOPE}/init.scope", dict.fromkeys(host.files, ""))
    assert rounded(read(host)) == WHOLE


def test_a_process_of_another_container_under_the_same_number_is_not_believed(host: Host) -> None:
    other = "9" * 64
    host.run(f"/docker/{other}")
    assert read(host) is None


def test_the_network_of_another_process_under_the_same_number_is_not_taken(host: Host) -> None:
    host.cgroup(f"/docker/{ID}", host.files)
    host.process("/docker/" + "9" * 64)
    assert rounded(read(host)) == WHOLE._replace(networks=None)


def test_in_the_root_cgroup_nobody_is_mistaken_for_a_container(host: Host) -> None:
    host.run("/", seen="/")
    assert read(host) is None


def test_without_proc_there_is_everything_but_the_network(host: Host) -> None:
    host.cgroup(f"/docker/{ID}", host.files)
    assert rounded(read(host)) == WHOLE._replace(networks=None)


@pytest.mark.parametrize("mode", ["host", "container:" + "9" * 64, "ns:/run/netns/x"])
def test_a_network_that_is_not_its_own_is_unknown(host: Host, mode: str) -> None:
    host.run(f"/docker/{ID}")
    assert rounded(read(host, network_mode=mode)) == WHOLE._replace(networks=None)


def test_no_network_at_all_is_no_interface(host: Host) -> None:
    host.run(f"/docker/{ID}", net_dev="\n\n    lo: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n")
    assert rounded(read(host, network_mode="none")) == WHOLE._replace(networks={})


def test_no_cgroup_no_sample(host: Host) -> None:
    host.process(f"/docker/{ID} (deleted)")
    assert read(host) is None


UNKNOWN: dict[str, dict[str, object]] = {
    "cpu": {"cpu_periods": None, "cpu_throttled_periods": None, "cpu_throttled_seconds": None},
    "memory": dict.fromkeys(
        ("memory_bytes", "working_set_bytes", "rss_bytes", "cache_bytes", "swap_bytes"), None
    ),
    "pids": {"pids": None},
    "io": {"devices": {}},
}
V1_CONTROLLERS = {"cpu": "cpu/", "memory": "memory/", "pids": "pids/", "io": "blkio/"}
V2_NAMES = {"memory": "memory.", "pids": "pids.", "io": "io."}


@pytest.mark.parametrize("missing", UNKNOWN)
def test_without_a_v1_controller_its_values_alone_are_unknown(v1: Host, missing: str) -> None:
    prefix = V1_CONTROLLERS[missing]
    v1.run(f"/docker/{ID}", files={k: v for k, v in v1.files.items() if not k.startswith(prefix)})
    assert rounded(read(v1)) == WHOLE._replace(**UNKNOWN[missing])  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", V2_NAMES)
def test_without_a_v2_controller_its_values_alone_are_unknown(v2: Host, missing: str) -> None:
    prefix = V2_NAMES[missing]
    v2.run(f"/docker/{ID}", files={k: v for k, v in v2.files.items() if not k.startswith(prefix)})
    assert rounded(read(v2)) == WHOLE._replace(**UNKNOWN[missing])  # type: ignore[arg-type]


def test_without_the_v2_cpu_controller_cpu_time_is_still_there(v2: Host) -> None:
    stat = "usage_usec 12500000\nuser_usec 8000000\nsystem_usec 4000000\n"
    v2.run(f"/docker/{ID}", files={**v2.files, "cpu.stat": stat})
    assert rounded(read(v2)) == WHOLE._replace(**UNKNOWN["cpu"])  # type: ignore[arg-type]


def test_without_swap_accounting_swap_is_unknown(host: Host) -> None:
    files = {
        name: "\n".join(line for line in text.splitlines() if "swap" not in line) + "\n"
        for name, text in host.files.items()
        if "swap" not in name
    }
    host.run(f"/docker/{ID}", files=files)
    assert rounded(read(host)) == WHOLE._replace(swap_bytes=None)


@pytest.mark.parametrize(
    "text",
    ["nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", "nr_periods 0\n", ""],
    ids=["0", "short", "empty"],
)
def test_without_a_quota_there_are_no_periods(v1: Host, text: str) -> None:
    v1.run(f"/docker/{ID}", files={**v1.files, "cpu/cpu.stat": text})
    assert rounded(read(v1)) == WHOLE._replace(**UNKNOWN["cpu"])  # type: ignore[arg-type]


def test_v1_without_any_throttle_rule_on_the_host_has_no_devices(v1: Host) -> None:
    nothing = dict.fromkeys((name for name in v1.files if name.startswith("blkio")), "Total 0\n")
    v1.run(f"/docker/{ID}", files={**v1.files, **nothing})
    assert rounded(read(v1)) == WHOLE._replace(devices={})


def test_v1_of_an_old_kernel_has_no_recursive_block_io(v1: Host) -> None:
    v1.run(f"/docker/{ID}", files={k.removesuffix("_recursive"): v for k, v in v1.files.items()})
    assert rounded(read(v1)) == WHOLE


def test_inactive_file_cache_larger_than_usage_leaves_a_working_set_of_zero(host: Host) -> None:
    name = "memory/memory.usage_in_bytes" if host.version == 1 else "memory.current"
    host.run(f"/docker/{ID}", files={**host.files, name: "4096\n"})
    assert rounded(read(host)) == WHOLE._replace(memory_bytes=4096, working_set_bytes=0)


def test_counters_go_up_to_64_bits(host: Host) -> None:
    name = "memory/memory.usage_in_bytes" if host.version == 1 else "memory.current"
    host.run(f"/docker/{ID}", files={**host.files, name: f"{2**64 - 1}\n", "pids/pids.current": "9\n"})
    sample = read(host)
    assert sample is not None
    assert sample.memory_bytes == 2**64 - 1


def test_a_device_that_diskstats_does_not_have_keeps_its_numbers(host: Host) -> None:
    host.run(f"/docker/{ID}")
    (host.mounts.procfs / "diskstats").unlink()
    assert rounded(read(host)) == WHOLE._replace(devices={"254:0": DeviceIO(8192, 4096, 2, 1)})


def test_a_changed_file_is_seen_by_the_next_reading(host: Host) -> None:
    host.run(f"/docker/{ID}")
    files = open_files(container(), host.mounts, {})
    assert files is not None
    before = files.read()
    name = "pids/pids.current" if host.version == 1 else "pids.current"
    host.file(f"/docker/{ID}", name).write_text("17\n")
    assert (before.pids, files.read().pids) == (3, 17)
    files.close()
    files.close()


def test_hundreds_of_interfaces_are_all_there(host: Host) -> None:
    lines = [f"veth{n:07}: {n} 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0" for n in range(1000)]
    host.run(f"/docker/{ID}", net_dev="\n\n" + "\n".join(lines) + "\n")
    sample = read(host)
    assert sample is not None
    assert sample.networks is not None
    assert [each.receive_bytes for each in sample.networks.values()] == list(range(1000))


def test_whatever_the_container_calls_itself_it_is_found_by_its_id(host: Host) -> None:
    host.run(f"/docker/{ID}")
    odd = replace(container(), name="../../etc", cgroup_parent="../..")
    files = open_files(odd, host.mounts, host.mounts.device_names())
    assert files is not None
    assert rounded(files.read()) == WHOLE
    files.close()
