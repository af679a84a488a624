"""What agents tell of their hosts: load, containers, last actions."""

from fleet.manager.hosts.api import HostsApi
from fleet.manager.hosts.book import Book, Owner
from fleet.manager.hosts.store import HostStore

__all__ = ["Book", "HostStore", "HostsApi", "Owner"]
