"""Preparing a server for the documents: an index template, and a data view for people.

Shipping needs none of it: servers guess mappings. The template makes ``@timestamp`` precise to the
nanosecond, so that lines sort as they were written, and saves the space of a second copy of every message.
(OpenSearch makes no data stream without one.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import quote

import msgspec

from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.typed import from_json
from log_forwarder.sinks import http
from log_forwarder.sinks.elasticsearch.options import Target, options_of
from log_forwarder.sinks.http import HttpClient, Response, checked, client_of
from log_forwarder.sinks.word import SinkWord, parse_word

TEMPLATE_NAME = "compose-agent-logs"
# Above the servers' own templates for logs-*-*, which have 100.
_PRIORITY = 250
# From these versions on a server has ``match_only_text``: the size of a text without scores.
_MATCH_ONLY_TEXT = {"elasticsearch": (7, 14), "opensearch": (2, 12)}
# Longer strings are kept and not indexed; a keyword beyond 32,766 bytes would refuse its document.
_LONGEST_KEYWORD = 1024
_JSON = {"Content-Type": "application/json"}
_KEYWORDS = (
    "log.iostream log.level event.id event.dataset trace.id span.id tags service.name host.name "
    "container.id container.name container.image.name container.image.tag "
    "compose.project compose.service compose.number"
)


_KIBANA = "kibana"
OPTIONS = {
    _KIBANA: "Address of Kibana or OpenSearch Dashboards, which get a data view, in one word: "
    "https://kibana.example:5601/base?api-key-file=PATH, with the options of the sink's connection.",
}
_KIBANA_PORTS = {"http": 80, "https": 443}


class _Version(msgspec.Struct):
    number: str
    distribution: str = "elasticsearch"


class _Info(msgspec.Struct):
    version: _Version


class SetupFailed(ComposeAgentError):
    """The server refused a template or a data view."""


def set_up(word: SinkWord, given: Mapping[str, str]) -> Iterator[str]:
    """Install the template of a sink, and the data view if a Kibana is given.

    Yields a sentence for each thing done; raises ConfigError, SinkUnavailable, or SetupFailed.
    """
    target = options_of(word).target
    kibana = _kibana(given[_KIBANA]) if _KIBANA in given else None
    with ExitStack() as opened:
        client = client_of(word, tls=word.scheme.endswith("+https"))
        opened.enter_context(closing(client))
        if kibana is None:
            yield from install_template(client, target)
            return
        dashboards = client_of(kibana, tls=kibana.scheme == "https")
        opened.enter_context(closing(dashboards))
        yield from install_template(client, target)
        yield from install_data_view(dashboards, target, quote(kibana.path))


def _kibana(text: str) -> SinkWord:
    where = f"--{_KIBANA}"
    if not text.startswith(tuple(f"{scheme}://" for scheme in _KIBANA_PORTS)):
        raise ConfigError(Problem(where, f"expected a URL such as https://kibana.example:5601, not '{text}'"))
    try:
        word = parse_word(text, _KIBANA_PORTS, noun="Kibana")
    except ValueError as error:
        raise ConfigError(Problem(where, str(error))) from error
    word.refuse_unknown(http.OPTIONS)
    return word


def install_template(client: HttpClient, target: Target) -> list[str]:
    """Install or renew the template for ``target``; returns a sentence for each thing done.

    Raises SinkUnavailable, or SetupFailed. Needs the cluster privileges ``manage_index_templates`` and
    ``monitor``.
    """
    version = _version(client, target.prefix)
    name = f"{TEMPLATE_NAME}-{target.name}" if target.kind != "dated" else TEMPLATE_NAME
    body = json.dumps(template(target, precise_text=_has_match_only_text(version))).encode()
    path = f"{target.prefix}/_index_template/{quote(name)}"
    _accepted(client.request("PUT", path, body, _JSON), f"the index template {name}")
    kind = "the data stream" if target.kind == "stream" else "indices"
    return [f"installed the index template {name} for {kind} {target.pattern} on {client.server}"]


def install_data_view(dashboards: HttpClient, target: Target, base: str = "") -> list[str]:
    """Create or renew the data view of ``target`` in Kibana or OpenSearch Dashboards, below ``base``.

    Returns a sentence for each thing done; raises SinkUnavailable, or SetupFailed.
    """
    attributes = {"title": target.pattern, "timeFieldName": "@timestamp"}
    name = quote(f"{TEMPLATE_NAME}-{target.pattern}", safe="")
    path = f"{base.rstrip('/')}/api/saved_objects/index-pattern/{name}?overwrite=true"
    # Each of the two asks for its own header, against requests forged by a browser.
    headers = {**_JSON, "kbn-xsrf": "true", "osd-xsrf": "true"}
    response = dashboards.request("POST", path, json.dumps({"attributes": attributes}).encode(), headers)
    _accepted(response, f"the data view {target.pattern}")
    return [f"created the data view {target.pattern} in {dashboards.server}"]


def template(target: Target, *, precise_text: bool) -> dict[str, Any]:
    """Return the index template of a target; ``precise_text``: the server knows ``match_only_text``."""
    text = {"type": "match_only_text" if precise_text else "text"}
    body: dict[str, Any] = {
        "index_patterns": [target.pattern],
        "priority": _PRIORITY,
        "template": {"settings": {"index.codec": "best_compression"}, "mappings": _mappings(text)},
        "_meta": {"description": "Container logs of Compose Agent"},
    }
    return body | ({"data_stream": {}} if target.kind == "stream" else {})


def _mappings(text: dict[str, str]) -> dict[str, Any]:
    keyword = {"type": "keyword", "ignore_above": _LONGEST_KEYWORD}
    properties: dict[str, Any] = {"@timestamp": {"type": "date_nanos"}, "message": text}
    for name in _KEYWORDS.split():
        *parents, leaf = name.split(".")
        place = properties
        for parent in parents:
            place = place.setdefault(parent, {"properties": {}})["properties"]
        place[leaf] = keyword
    return {
        # A line that happens to look like a date must not decide what later lines may look like.
        "date_detection": False,
        "dynamic_templates": [{"strings": {"match_mapping_type": "string", "mapping": keyword}}],
        "properties": properties,
    }


def _version(client: HttpClient, prefix: str) -> _Version:
    response = checked(client.request("GET", f"{prefix}/"))
    try:
        return from_json(response.body, _Info).version
    except msgspec.MsgspecError as error:
        raise SetupFailed(
            f"{response.server} does not say what it is ({response.status} {response.excerpt})",
            remedy="check that it is Elasticsearch or OpenSearch",
        ) from error


def _has_match_only_text(version: _Version) -> bool:
    numbers = tuple(int(part) for part in version.number.split(".")[:2] if part.isdecimal())
    return numbers >= _MATCH_ONLY_TEXT.get(version.distribution, (0,))


def _accepted(response: Response, what: str) -> None:
    if checked(response).status >= 300:
        raise SetupFailed(f"{response.server} refused {what} ({response.status} {response.excerpt})")
