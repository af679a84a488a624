from __future__ import annotations

import gzip
import http.client

import pytest

from log_forwarder.fake.loki import FakeLoki
from log_forwarder.fake.posts import FakePosts, Post, Reply


def post(fake: FakePosts, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
    try:
        connection.request(
            "POST", path, body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_is_posted_is_kept_unpacked() -> None:
    with FakePosts() as fake:
        assert post(fake, "/x", gzip.compress(b"body"), Content_Encoding="gzip", X_Key="1") == (200, b"")
        (kept,) = fake.posts
    assert (kept.path, kept.body, kept.headers["x-key"]) == ("/x", b"body", "1")


def test_it_answers_as_it_is_told() -> None:
    with FakePosts(lambda given: Reply(201, given.body)) as fake:
        fake.replies = [Reply(503), None]
        assert post(fake, "/", b"a")[0] == 503
        with pytest.raises(http.client.HTTPException):
            post(fake, "/", b"b")
        assert post(fake, "/", b"c") == (201, b"c")
        assert [each.body for each in fake.posts] == [b"a", b"b", b"c"]


def test_the_fake_of_loki_refuses_a_part_and_drops_what_it_has() -> None:
    body = b'{"streams":[{"stream":{"a":"b"},"values":[["1","old"],["2000000000","new",{"k":"v"}]]}]}'
    with FakeLoki() as fake:
        fake.behind_before = 10**9
        status, said = post(fake, "/loki/api/v1/push", body)
        assert status == 400
        assert said.decode() == (
            "entry with timestamp 1970-01-01 00:00:00.000000001 +0000 UTC ignored, "
            "reason: 'entry too far behind, entry timestamp is: 1970-01-01T00:00:00Z, "
            "oldest acceptable timestamp is: 1970-01-01T00:00:01Z',\n"
            "user 'fake', total ignored: 1 out of 2 for stream: {a=\"b\"}"
        )
        post(fake, "/loki/api/v1/push", body)
        assert fake.streams == {'{a="b"}': [(2 * 10**9, "new", {"k": "v"})]}
        assert fake.take(Post("/elsewhere", {}, b"")) == Reply(404, b"404 page not found\n")
