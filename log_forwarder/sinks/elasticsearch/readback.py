"""What Elasticsearch or OpenSearch has stored, asked by a search.

Privileges: ``read``, and ``maintenance`` for the refresh without which a search is a second or more behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import msgspec

from compose_agent.typed import from_json
from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.elasticsearch.options import options_of
from log_forwarder.sinks.http import HttpClient, Response, checked, client_of
from log_forwarder.sinks.word import SinkWord

# Documents of one answer; a search gives 10,000 at most.
_PAGE = 5000
# For how long the server keeps a search between two pages.
_KEEP = "1m"
_JSON = {"Content-Type": "application/json"}


class _Source(msgspec.Struct):
    message: str = ""


class _Hit(msgspec.Struct):
    source: _Source = msgspec.field(name="_source")


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Shards(msgspec.Struct):
    failed: int = 0


class _Page(msgspec.Struct):
    hits: _Hits
    shards: _Shards = msgspec.field(name="_shards")
    scroll: str = msgspec.field(name="_scroll_id")


def stored_texts(word: SinkWord, marker: str) -> Iterator[str]:
    """Yield the messages with ``marker`` in them, in no order; raises SinkUnavailable."""
    target = options_of(word).target
    with closing(client_of(word, tls=word.scheme.endswith("+https"))) as client:
        where = f"{quote(target.prefix)}/{quote(target.pattern, safe='*')}"
        if checked(client.request("POST", f"{where}/_refresh")).status == 404:
            return  # nothing is stored yet, and so there is no such stream
        query = {"size": _PAGE, "_source": ["message"], "query": {"match": {"message": marker}}}
        page = _page(client, f"{where}/_search?scroll={_KEEP}", query)
        while page.hits.hits:
            yield from (hit.source.message for hit in page.hits.hits)
            more = {"scroll": _KEEP, "scroll_id": page.scroll}
            page = _page(client, f"{quote(target.prefix)}/_search/scroll", more)
        done = json.dumps({"scroll_id": [page.scroll]}).encode()
        client.request("DELETE", f"{quote(target.prefix)}/_search/scroll", done, _JSON)


def _page(client: HttpClient, path: str, query: dict[str, Any]) -> _Page:
    response = checked(client.request("POST", path, json.dumps(query).encode(), _JSON))
    if response.status != 200:
        raise _unreadable(response)
    try:
        page = from_json(response.body, _Page)
    except msgspec.MsgspecError as error:
        raise _unreadable(response) from error
    if page.shards.failed:  # documents that are not found now may be there all the same
        raise SinkUnavailable(f"{page.shards.failed} shards on {response.server} cannot be searched")
    return page


def _unreadable(response: Response) -> SinkUnavailable:
    return SinkUnavailable(
        f"{response.server} did not say what it has ({response.status} {response.excerpt})",
        remedy="check that it is Elasticsearch or OpenSearch, and that the user may search",
    )
