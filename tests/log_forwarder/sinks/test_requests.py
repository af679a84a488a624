from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.sinks.deflate import gzipped
from log_forwarder.sinks.requests import headers_of
from log_forwarder.sinks.word import SinkWord, parse_word


def word(folder: Path, content: str) -> SinkWord:
    (folder / "headers").write_text(content)
    return parse_word(f"loki://h?header-file={folder}/headers", {"loki": 1})


def test_what_is_packed_is_gzip() -> None:
    assert gzip.decompress(gzipped(b"line" * 1000)) == b"line" * 1000


def test_headers_stand_one_a_line(tmp_path: Path) -> None:
    found = headers_of(
        word(tmp_path, "# a comment\n\nX-Key: a: b\r\nAuthorization:Bearer x\n"), "header-file"
    )
    assert found == {"X-Key": "a: b", "Authorization": "Bearer x"}


def test_no_file_means_no_headers() -> None:
    assert headers_of(parse_word("loki://h", {"loki": 1}), "header-file") == {}


@pytest.mark.parametrize("content", ["X Key: 1", ": 1", "X-Key", "X-Key: \x01", "X-Key: größe"])
def test_what_is_no_header_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="expected lines such as X-Scope-OrgID: shop") as refused:
        headers_of(word(tmp_path, content), "header-file")
    assert content not in str(refused.value)
