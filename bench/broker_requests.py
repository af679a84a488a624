"""Seeded bytes for the broker's sockets: true requests, their mutations, and what was never one.

``case(seed, number, socket)`` always gives the same bytes for the same arguments.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

# Containers of the fuzzed Engine, opted in for restarts.
NAMES = tuple(f"fuzzed-{number}" for number in range(8))

_METHODS = (
    *("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"),
    *("get", "Get", "PRI", "GETX", "G\tET", "", "\0"),
)
_READ = (
    "/_ping",
    "/v1.41/info",
    "/version",
    "/events?until=1",
    '/events?filters={"type":["container"]}',
    "/containers/json?all=1",
    "/containers/ID/json?size=1",
    "/v1.51/containers/fuzzed-1/json",
    "/containers/ID/stats?stream=0&one-shot=1",
    "/containers/ID/logs?stdout=1&tail=5",
    "/containers/ID/top?ps_args=-ef",
    "/images/json",
    "/volumes",
    "/networks",
    "/system/df?type=image",
    "/services",
    "/tasks",
    "/nodes",
)
_NEVER = (
    "/containers/create",
    "/containers/ID/attach/ws?stdin=1&stream=1",
    "/containers/ID/exec",
    "/containers/ID/archive?path=/",
    "/containers/ID/restart?t=0",
    "/containers/ID/kill",
    "/containers/ID",
    "/containers/prune",
    "/exec/ID/start",
    "/build",
    "/images/create?fromImage=busybox",
    "/session",
    "/secrets",
    "/swarm/init",
    "/plugins/privileges",
    "/v1/verbs",
    "/-/ready",
    "/-/reload",
    "*",
    "",
)
_TARGETS = (
    "{}",
    "/.{}",
    "/..{}",
    "/x/..{}",
    "/{}",
    "//{}",
    "//host{}",
    "http://localhost{}",
    "unix://{}",
    "http://[{}",
    "{}/",
    "{}//",
    "{}%00",
    "{}%2f",
    "{}%2e%2e",
    "{}#x",
    "{};a=b",
    "{}?",
    "{}&x=1",
    "{}\\",
    "{}\t",
    " {}",
    "{} ",
    "/v1.41{}",
    "/v99.99{}",
    "/v1.41/v1.41{}",
)
_TOKENS = (
    *(
        "%2f",
        "%2F",
        "%00",
        "%0d%0a",
        "%c0%af",
        "%u002f",
        "..",
        "./",
        "//",
        "\\",
        ";",
        "?",
        "#",
        "&",
        "=",
        "*",
    ),
    *("|", "\0", "\r", "\n", "\r\n", "\r\n\r\n", "\t", " ", "\x7f", "\xff", "\x80", "\u00e9", "a" * 300),
    *("HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/9", "Host:", "chunked", "100-continue"),
    *("-1", "+5", "0x10", "1e3", "4294967296", "999999999999999999999"),
    *("attach/ws", "exec", "create", "{}", "[]", "null"),
)
_FRAMINGS = (
    "",
    "Content-Length: 0\r\n",
    "Content-Length: LEN\r\n",
    "Content-Length: LEN\r\nContent-Length: 0\r\n",
    "Content-Length: 0\r\nContent-Length: LEN\r\n",
    "Content-Length: LEN, LEN\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: +LEN\r\n",
    "Content-Length: 0xLEN\r\n",
    "Content-Length: 1048577\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length : LEN\r\n",
    "Content_Length: LEN\r\n",
    " Content-Length: LEN\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: LEN\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "transfer-encoding: CHUNKED\r\n",
)
_HEADERS = (
    "",
    "Host: localhost\r\n",
    "Host: a\r\nHost: b\r\n",
    "Connection: Upgrade\r\nUpgrade: tcp\r\n",
    "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "Upgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "Content-Type: application/json\r\n",
    "X-HTTP-Method-Override: POST\r\n",
    "X-Original-URL: /containers/create\r\n",
    "X-Forwarded-For: 127.0.0.1\r\n",
    "X-Remote-Uid: 0\r\n",
    "Accept-Encoding: gzip\r\n",
    "Range: bytes=0-1\r\n",
    "Folded: a\r\n b\r\n",
    "No colon here\r\n",
    ": empty\r\n",
    "X: \0\r\n",
)
_BODIES = (
    b"",
    b"{}",
    b'{"Image":"busybox","HostConfig":{"Privileged":true,"Binds":["/:/host"]}}',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"0\r\n\r\nPOST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    b"fffffffffffffffff\r\n",
    b"-1\r\nx",
    b"5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"POST /containers/ID/restart HTTP/1.1\r\n\r\n",
)
# Not recreate: what it asks of the Engine includes whole containers.
_VERBS = ("restart", "stop", "start", "pause", "unpause", "kill", "create", "RESTART", "restart ", "", "exec")


@dataclass(frozen=True, slots=True)
class _Dice:
    """One case's chance, and what it speaks of."""

    random: random.Random
    number: int
    ids: tuple[str, ...]

    def one_of(self, choices: tuple[str, ...] | list[str]) -> str:
        return self.random.choice(choices).replace("ID", self.random.choice(self.ids))


Maker = Callable[[_Dice], bytes]


def case(seed: int, number: int, ids: tuple[str, ...], socket: str) -> bytes:
    """Return what case ``number`` sends to ``socket`` (``read`` or ``act``); ``ids`` are of containers."""
    dice = _Dice(random.Random(f"{seed} {number} {socket}"), number, ids)  # noqa: S311 - to be repeated
    weights = _ON_ACT if socket == "act" else _ON_READ
    return dice.random.choices(list(weights), list(weights.values()))[0](dice)


def _request(method: str, target: str, headers: str, body: bytes = b"", protocol: str = "HTTP/1.1") -> bytes:
    text = f"{method} {target} {protocol}\r\n{headers}\r\n".replace("LEN", str(len(body)))
    return text.encode("utf-8", "surrogateescape") + body


def _true_read(dice: _Dice) -> bytes:
    return _request(dice.random.choice(("GET", "HEAD")), dice.one_of(_READ), "Host: docker\r\n")


def _strange(dice: _Dice) -> bytes:
    """Return a request put together from parts, some of which do not belong together."""
    target = dice.one_of(_TARGETS).format(dice.one_of(_READ + _NEVER))
    parts = [dice.one_of(_HEADERS) for _ in range(dice.random.randrange(3))] + [dice.one_of(_FRAMINGS)]
    dice.random.shuffle(parts)
    body = dice.random.choice(_BODIES).replace(b"ID", dice.random.choice(dice.ids).encode())
    protocol = dice.random.choices(
        ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1", "http/1.1", ""), (80, 10, 3, 3, 2, 2)
    )
    return _request(dice.one_of(_METHODS), target, "".join(parts), body, protocol[0])


def _true_act(dice: _Dice) -> bytes:
    if dice.random.random() < 0.2:
        return _request("GET", f"/v1/verbs/f-{dice.random.randrange(dice.number + 1)}", "Host: x\r\n")
    return _act(_asked(dice))


def _asked(dice: _Dice) -> dict[str, object]:
    return {
        "id": f"f-{dice.number}",
        "verb": dice.random.choice(_VERBS[:6]),
        "target": dice.random.choice(dice.ids),
        "arguments": {"timeout": 0},
        "reason": "fuzz",
    }


def _strange_act(dice: _Dice) -> bytes:
    """Return a request for a verb with parts that have not their form."""
    asked = _asked(dice)
    values: tuple[object, ...] = (
        *(dice.one_of(_TOKENS) for _ in range(3)),
        None,
        1,
        -1e308,
        [],
        {},
        {"timeout": {"a": [1]}},
        {"signal": dice.one_of(_TOKENS), "timeout": dice.random.choice((-1, "0", None, 1e30, True))},
        dice.one_of(_NEVER),
        dice.random.choice(_VERBS),
        "../" + dice.ids[0],
        dice.ids[0][:12],
        NAMES[0],
    )
    for _ in range(dice.random.randrange(1, 4)):
        key = dice.random.choice((*asked, "HostConfig", "Id", ""))
        asked[key] = dice.random.choice(values)
    return _act(asked)


def _act(asked: object) -> bytes:
    body = json.dumps(asked).encode()
    headers = "Host: x\r\nContent-Type: application/json\r\nContent-Length: LEN\r\n"
    return _request("POST", "/v1/verbs", headers, body)


def _mutated(dice: _Dice) -> bytes:
    return _damaged(dice, dice.random.choice((_true_read, _strange))(dice))


def _mutated_act(dice: _Dice) -> bytes:
    return _damaged(dice, dice.random.choice((_true_act, _strange_act))(dice))


def _damaged(dice: _Dice, data: bytes) -> bytes:
    chance, damaged = dice.random, bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.randrange(len(damaged) + 1)
        end = min(len(damaged), place + chance.choice((1, 1, 4, 32)))
        match chance.randrange(5):
            case 0:
                damaged[place:end] = b""
            case 1:
                damaged[place:place] = dice.one_of(_TOKENS).encode("latin-1", "replace")
            case 2:
                damaged[place:place] = damaged[place:end]
            case 3:
                damaged[place:end] = chance.randbytes(end - place)
            case _ if place < len(damaged):
                damaged[place] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _pipelined(dice: _Dice) -> bytes:
    makers = (_true_read, _strange, _mutated, _true_act)
    return b"".join(dice.random.choice(makers)(dice) for _ in range(dice.random.randrange(2, 6)))


def _huge(dice: _Dice) -> bytes:
    size = dice.random.choice((9_000, 40_000, 70_000, 300_000))
    filling = "a" * size
    match dice.random.randrange(4):
        case 0:
            return _request("GET", f"/containers/{filling}/json", "Host: x\r\n")
        case 1:
            return _request("GET", "/info", f"X: {filling}\r\n")
        case 2:
            return _request("GET", "/info", "".join(f"X-{n}: y\r\n" for n in range(size // 10)))
    return _request(
        "POST", "/v1/verbs", "Content-Type: application/json\r\nContent-Length: LEN\r\n", b"[" * size
    )


def _noise(dice: _Dice) -> bytes:
    return dice.random.randbytes(dice.random.choice((0, 1, 16, 200, 2000)))


_ON_READ: dict[Maker, int] = {
    _true_read: 20,
    _strange: 30,
    _mutated: 30,
    _pipelined: 12,
    _huge: 1,
    _noise: 7,
}
_ON_ACT: dict[Maker, int] = {
    _true_act: 15,
    _strange_act: 25,
    _mutated_act: 30,
    _strange: 10,
    _pipelined: 12,
    _huge: 1,
    _noise: 7,
}
