"""What containers use of the host: read from cgroup and /proc files, or from the Engine's stats API.

Both ways give the same :class:`Sample`; :class:`UsageReader` picks one for each container.
"""

from compose_agent.dockerd.usage.reader import Readings, UsageReader
from compose_agent.dockerd.usage.sample import DeviceIO, InterfaceIO, Sample

__all__ = ["DeviceIO", "InterfaceIO", "Readings", "Sample", "UsageReader"]
