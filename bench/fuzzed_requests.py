"""Requests as nobody sends them on purpose, from a seed: valid ones with something changed, and rubbish."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from remediation.receiver.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

TOKEN, KEY = "a-token", b"a-key"
# Where a request that leaves out its end, or lies about its length, stops.
_PATHS = (
    "/webhook",
    "/webhook",
    "/webhook",
    "/v1/triggers",
    "/",
    "/webhook/",
    "//webhook",
    "/%00",
    "*",
    "/w\xff",
)
_METHODS = (
    "POST",
    "POST",
    "POST",
    "POST",
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "post",
    "P\x00ST",
    "",
)
_CREDENTIALS = (f"Bearer {TOKEN}", f"Bearer {TOKEN}", "Bearer", "Bearer \xff", "Basic Og==", "x")
_VERSIONS = ("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1.1", "")
_TEXTS = (
    "",
    "shop-web-1",
    "$(reboot); `id` | rm -rf / &",
    "'; DROP TABLE inbox; --",
    '"}],"version":"4","alerts":[{',
    "../../../var/run/docker.sock",
    "\x00\x01\x1b[2J\x7f",
    "line\r\nX-Injected: 1\r\n\r\n",
    "größe 💥 \u202e \u2028 \ufeff",
    "a" * 70_000,
    "(a+)+$" * 50,
    "{{ .Labels.name }} %s %n ${jndi:ldap://x}",
    "1e999",
    "NaN",
)
_JSON: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        2**31,
        2**63,
        2**64,
        -(2**63) - 1,
        1e308,
        [],
        {},
        [[]],
        [None],
        {"": ""},
        {"a": {"b": []}},
    ),
    *_TEXTS,
)
_TIMES = (
    *(
        "2026-11-22T15:18:32.401624209Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "yesterday",
    ),
    *(
        "2026-02-30T00:00:00Z",
        "2026-11-22T15:18:32",
        "2026-11-22T24:00:00Z",
        "0000-00-00T00:00:00Z",
        "2026-W01-1T00Z",
    ),
    *(
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-22T15:18:32.Z",
        "2026-11-22T15:18:60Z",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One request as bytes; ``whole`` when its end is where its headers say, so that another can follow."""

    data: bytes
    whole: bool


def case(seed: int, number: int) -> Case:
    """Return a request; the same one for the same two numbers."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable is the point
    if rng.random() < 0.03:
        return Case(rng.randbytes(rng.randrange(1, 400)), whole=False)
    method = "POST" if rng.random() < 0.85 else rng.choice(_METHODS)
    path = rng.choice(_PATHS[:4]) if rng.random() < 0.9 else rng.choice(_PATHS)
    body = _body(rng, path)
    if method == "POST" and rng.random() < 0.8:
        return _framed(rng, path, body)
    return _wild(rng, method, path, body)


def _framed(rng: random.Random, path: str, body: bytes) -> Case:
    """Return a request whose head is right, but for what only the application looks at."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", *_headers(rng, path, body)]
    if rng.random() < 0.15:
        head.append("Transfer-Encoding: chunked")
        body = _chunked(rng, body)
    else:
        head.append(f"Content-Length: {len(body)}")
    return Case("\r\n".join((*head, "", "")).encode("latin-1", "replace") + body, whole=True)


def _wild(rng: random.Random, method: str, path: str, body: bytes) -> Case:
    """Return a request with anything wrong in its head, its framing or its bytes."""
    lines = [f"{method} {path} {rng.choice(_VERSIONS)}", "Host: localhost", *_headers(rng, path, body)]
    lengths = (len(body), len(body) + 10, max(len(body) - 5, 0), -1, "x", "1e3", "", "0x10", 10**30, "5, 5")
    lines += [f"Content-Length: {rng.choice(lengths)}" for _ in range(rng.choice((0, 1, 1, 1, 2)))]
    if rng.random() < 0.2:
        lines.append(
            f"Transfer-Encoding: {rng.choice(('chunked', 'gzip', 'chunked, chunked', 'CHUNKED', ''))}"
        )
        body = rng.choice(
            (body, _chunked(rng, body), b"-5\r\nxx\r\n", b"ffffffffff\r\n", b"zz\r\n\r\n", b"5;x=y\r\nab")
        )
    rng.shuffle(lines) if rng.random() < 0.05 else None
    end = rng.choice(("\r\n",) * 8 + ("\n", "\r"))
    data = end.join((*lines, "", "")).encode("latin-1", "replace") + body
    return Case(_damaged(rng, data) if rng.random() < 0.3 else data, whole=False)


def _headers(rng: random.Random, path: str, body: bytes) -> list[str]:
    right = "application/cloudevents+json" if path == "/v1/triggers" else "application/json"
    kinds = ("text/plain", "", "application/json, text/html", ";", "application/x-www-form-urlencoded")
    found = [f"Content-Type: {right if rng.random() < 0.92 else rng.choice(kinds)}"]
    if rng.random() < 0.05:
        found.append(f"Content-Encoding: {rng.choice(('gzip', 'deflate', 'br', 'identity', ''))}")
    if rng.random() < 0.1:
        found.append(
            f"traceparent: {rng.choice(('00-' + '1' * 32 + '-' + '2' * 16 + '-01', '00-0', 'x' * 300))}"
        )
    if rng.random() < 0.3:
        found.append(f"Authorization: {rng.choice(_CREDENTIALS)}")
    if rng.random() < 0.2:
        found += _signature(rng, body)
    if rng.random() < 0.02:
        found.append(
            rng.choice(("Origin: null", "X-Forwarded-For: 127.0.0.1", "Expect: 100-continue", "A" * 9000))
        )
    return found


def _signature(rng: random.Random, body: bytes) -> list[str]:
    stamp = str(rng.choice((1_800_000_000, 0, -1, "x", "9" * 40)))
    signature = sign(KEY, stamp, body) if rng.random() < 0.7 else rng.choice(("sha256=", "sha256=zz", "\xff"))
    return [f"{TIMESTAMP_HEADER}: {stamp}", f"{SIGNATURE_HEADER}: {signature}"]


def _chunked(rng: random.Random, body: bytes) -> bytes:
    size = rng.randrange(1, 4000)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _body(rng: random.Random, path: str) -> bytes:
    document = _trigger(rng) if path == "/v1/triggers" else _notification(rng)
    ways: Sequence[Callable[[], bytes]] = (
        lambda: _encoded(rng, document),
        lambda: _encoded(rng, document),
        lambda: _encoded(rng, _changed(rng, document)),
        lambda: _encoded(rng, _changed(rng, document)),
        lambda: _encoded(rng, _changed(rng, document)),
        lambda: _damaged(rng, _encoded(rng, document)),
        lambda: _deep(rng),
        lambda: rng.randbytes(rng.randrange(0, 300)),
    )
    return rng.choice(ways)()


def _encoded(rng: random.Random, document: object) -> bytes:
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
    encoding = rng.choice(("utf-8",) * 12 + ("utf-16", "latin-1", "utf-8-sig"))
    return text.encode(encoding, "replace")


def _deep(rng: random.Random) -> bytes:
    levels = rng.choice((10, 33, 1000, 100_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return opening * levels + b"1" + closing * rng.choice((0, levels))


def _notification(rng: random.Random) -> dict[str, Any]:
    return {
        "version": "4",
        "receiver": "agent",
        "status": "firing",
        "groupKey": "{}",
        "groupLabels": {"alertname": rng.choice(_TEXTS)},
        "truncatedAlerts": rng.choice((0, 0, 0, 3)),
        "alerts": [_alert(rng) for _ in range(rng.choice((0, 1, 1, 2, 5, 40)))],
    }


def _alert(rng: random.Random) -> dict[str, Any]:
    return {
        "status": rng.choice(("firing", "resolved")),
        "labels": {"alertname": "ContainerUnhealthy", rng.choice(("name", "größe")): rng.choice(_TEXTS)},
        "annotations": {"summary": rng.choice(_TEXTS[:9])},
        "startsAt": _TIMES[0],
        "endsAt": rng.choice(_TIMES[:2]),
        "fingerprint": rng.choice(("", "8c5fe7e7575f50b7")),
    }


def _trigger(rng: random.Random) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(rng.random()),
        "source": "/hosts/h",
        "type": "io.compose-agent.log.match",
        "time": _TIMES[0],
        "subject": "shop-web-1",
        "data": {"line": rng.choice(_TEXTS), "container_name": "shop-web-1", "n": rng.choice(_JSON)},
    }


def _changed(rng: random.Random, document: Any) -> Any:
    """Return a document with one member somewhere in it missing, renamed, or another value."""
    if isinstance(document, dict) and document:
        name = rng.choice(list(document))
        rest = {key: value for key, value in document.items() if key != name}
        fate = rng.random()
        if fate < 0.1:
            return rest
        if fate < 0.2:
            return {**rest, rng.choice(_TEXTS): document[name]}
        return {**rest, name: _changed(rng, document[name])}
    if isinstance(document, list) and document and rng.random() < 0.9:
        at = rng.randrange(len(document))
        return [*document[:at], _changed(rng, document[at]), *document[at + 1 :]]
    return rng.choice(_TIMES if rng.random() < 0.3 else _JSON)


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """Return bytes of which a few are others, are missing, or come twice."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        if not found:
            break
        at, length = rng.randrange(len(found)), rng.randrange(1, 20)
        change = rng.randrange(4)
        if change == 0:
            found[at] = rng.randrange(256)
        elif change == 1:
            del found[at : at + length]
        elif change == 2:
            found[at:at] = found[at : at + length]
        else:
            del found[at:]
    return bytes(found)
