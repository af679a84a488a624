from __future__ import annotations

import socket

from fleet.agent.path import GONE_AFTER_SECONDS, look_up_promptly, watch


def test_the_kernel_is_told_when_a_path_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        watch(client)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        option = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert option == GONE_AFTER_SECONDS * 1000 < 10_000


def test_what_the_user_says_of_lookups_stays() -> None:
    environ = {"RES_OPTIONS": "rotate"}
    look_up_promptly(environ)
    assert environ == {"RES_OPTIONS": "rotate"}
    fresh: dict[str, str] = {}
    look_up_promptly(fresh)
    assert fresh == {"RES_OPTIONS": "timeout:3 attempts:2"}
