from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from compose_agent.address import Address, UnixAddress
from compose_agent.errors import InstanceRunning, ListenError
from compose_agent.web.listen import listen_tcp, listen_unix
from compose_agent.web.portholder import holder_of


def program() -> str:
    return Path("/proc/self/comm").read_text("utf-8").strip()


def test_a_port_in_use_names_the_process_that_holds_it() -> None:
    with closing(listen_tcp(Address("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            listen_tcp(Address("127.0.0.1", port))
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use by {program()} (pid {os.getpid()}): "
        "stop that process, or choose another address"
    )


def test_a_port_that_was_just_closed_can_be_opened_again() -> None:
    with closing(listen_tcp(Address("127.0.0.1", 0))) as first:
        address = Address("127.0.0.1", first.getsockname()[1])
        with closing(socket.create_connection(("127.0.0.1", address.port))) as client:
            served, _ = first.accept()
            served.close()
            client.recv(1)
    listen_tcp(address).close()


def test_an_empty_host_listens_on_all_interfaces() -> None:
    with closing(listen_tcp(Address("", 0))) as listener:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])).close()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            Address("192.0.2.1", 9417),
            (
                "cannot listen on 192.0.2.1:9417: no interface has this address: "
                "use an address of this host, or leave the host empty for all interfaces"
            ),
        ),
        (
            Address("no host", 9417),
            (
                "cannot listen on no host:9417: the host name 'no host' cannot be resolved: "
                "use an IP address of this host, or leave the host empty for all interfaces"
            ),
        ),
    ],
)
def test_an_address_that_cannot_be_used_says_what_to_do(address: Address, message: str) -> None:
    with pytest.raises(ListenError) as caught:
        listen_tcp(address)
    assert str(caught.value) == message


def test_nobody_holds_a_port_in_an_empty_proc(tmp_path: Path) -> None:
    assert holder_of(9417, tmp_path) is None


def test_a_process_of_another_user_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(
        "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n"
        "   0: 0100007F:24C9 00000000:0000 0A 0:0 0:0 0 0 0 4711\n"
    )
    (tmp_path / "12").mkdir()  # no fd folder that can be read
    assert holder_of(9417, tmp_path) is None


def test_a_unix_socket_has_its_mode_and_no_half_made_sibling(tmp_path: Path) -> None:
    path = tmp_path / "role.sock"
    with closing(listen_unix(UnixAddress(path, 0o660))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert [file.name for file in tmp_path.iterdir()] == ["role.sock"]


def test_a_socket_left_by_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "role.sock"
    listen_unix(UnixAddress(path)).close()
    with closing(listen_unix(UnixAddress(path))), closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))


def test_a_socket_of_a_live_process_is_left_alone_and_names_its_pid(tmp_path: Path) -> None:
    path = tmp_path / "role.sock"
    with closing(listen_unix(UnixAddress(path))):
        with pytest.raises(InstanceRunning) as caught:
            listen_unix(UnixAddress(path))
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(path))
    assert str(caught.value) == (
        f"{path} is in use by the process with pid {os.getpid()}: stop it, or use another --run-dir"
    )


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "role.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match="it is no socket: move that file away"):
        listen_unix(UnixAddress(path))
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        ListenError, match="longer than a unix socket's may be: choose a shorter run directory"
    ):
        listen_unix(UnixAddress(tmp_path / ("x" * 108)))


def test_a_folder_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="No such file or directory: give this user write access to"):
        listen_unix(UnixAddress(tmp_path / "none" / "role.sock"))
