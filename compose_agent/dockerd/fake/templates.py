"""What the Engine fills in where ``create`` was told nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compose_agent.dockerd.fake.dialect import Dialect

Json = dict[str, Any]
SHM_BYTES = 67_108_864

# Shown only for a container that was made with them.
OPTIONAL_CONFIG = (
    "ExposedPorts",
    "Healthcheck",
    "ArgsEscaped",
    "MacAddress",
    "NetworkDisabled",
    "StopSignal",
    "StopTimeout",
    "Shell",
)
OPTIONAL_HOST_CONFIG = ("Tmpfs", "Sysctls", "StorageOpt", "Init", "Mounts", "Annotations")
_MASKED = "asound acpi kcore keys latency_stats timer_list timer_stats sched_debug scsi"
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


def config(container_id: str, body: Json) -> Json:
    """Return a whole ``Config`` out of the body of a ``create``."""
    defaults: Json = {
        "Hostname": container_id[:12],
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": {},
    }
    filled = _filled(defaults, OPTIONAL_CONFIG, body)
    check = filled.get("Healthcheck")
    if check:
        filled["Healthcheck"] = {key: value for key, value in check.items() if value}
    return filled


def host_config(dialect: Dialect, body: Json) -> Json:
    """Return a whole ``HostConfig`` out of that of a ``create``."""
    filled = _filled(_host_defaults(dialect), OPTIONAL_HOST_CONFIG, body)
    filled["LogConfig"] = {"Type": "json-file", "Config": {}, **_given(filled["LogConfig"])}
    filled["RestartPolicy"] = restart_policy(dialect, filled["RestartPolicy"])
    return filled


def restart_policy(dialect: Dialect, body: Json | None) -> Json:
    """Return a whole restart policy; the older Engine leaves the name of none empty."""
    none = "no" if dialect.modern else ""
    given = _given(body)
    return {"Name": given.get("Name") or none, "MaximumRetryCount": given.get("MaximumRetryCount", 0)}


def _given(body: Json | None) -> Json:
    return {key: value for key, value in (body or {}).items() if value is not None}


def _filled(defaults: Json, optional: tuple[str, ...], body: Json) -> Json:
    given = _given(body)
    filled = {key: given.get(key, default) for key, default in defaults.items()}
    # Go leaves out what is empty, but not a number, which may be a zero that was meant.
    return filled | {
        key: given[key]
        for key in optional
        if given.get(key) is not None and given[key] not in ("", [], {}) and given[key] is not False
    }


def _host_defaults(dialect: Dialect) -> Json:
    masked = [f"/proc/{name}" for name in _MASKED.split()] + ["/sys/firmware"]
    nothing = (
        "Binds PortBindings VolumesFrom CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links "
        "SecurityOpt BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps "
        "BlkioDeviceWriteIOps Devices DeviceCgroupRules DeviceRequests MemorySwappiness PidsLimit Ulimits "
        "LogConfig RestartPolicy"
    )
    empty = (
        "ContainerIDFile VolumeDriver Cgroup PidMode UTSMode UsernsMode Isolation CgroupParent CpusetCpus "
        "CpusetMems"
    )
    zero = (
        "OomScoreAdj CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod "
        "CpuRealtimeRuntime MemoryReservation MemorySwap CpuCount CpuPercent IOMaximumIOps "
        "IOMaximumBandwidth"
    )
    no = "AutoRemove Privileged PublishAllPorts ReadonlyRootfs OomKillDisable"
    if not dialect.modern:
        zero += " KernelMemory KernelMemoryTCP"
    return {
        **dict.fromkeys(nothing.split()),
        **dict.fromkeys(empty.split(), ""),
        **dict.fromkeys(zero.split(), 0),
        **dict.fromkeys(no.split(), False),
        "NetworkMode": "bridge" if dialect.modern else "default",
        "CgroupnsMode": "private",
        "IpcMode": "private",
        "Runtime": "runc",
        "ShmSize": SHM_BYTES,
        "ConsoleSize": [0, 0],
        "MaskedPaths": masked,
        "ReadonlyPaths": [f"/proc/{name}" for name in _READ_ONLY],
    }
