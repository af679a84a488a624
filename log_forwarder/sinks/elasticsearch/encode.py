"""Events as ECS documents behind their ``create`` lines, in the newline-delimited JSON of ``_bulk``.

What is the same for every line of a container is encoded once; the rest is spliced into it. Objects are
nested, not dotted, because ingest pipelines do not see dotted names as paths. ``log.iostream`` is
OpenTelemetry's name, since ECS has none for stdout and stderr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event
from log_forwarder.sinks.contract import Entry
from log_forwarder.sinks.elasticsearch.fields import document_fields, to_json
from log_forwarder.sinks.elasticsearch.naming import IndexNames
from log_forwarder.sinks.elasticsearch.options import Target

TAGS_LABEL = "compose-agent.logs.tags"
# Containers whose constant part is kept; beyond that all are prepared anew, which takes microseconds each.
_MOST_FORMS = 2000

_json = msgspec.json.Encoder().encode
_STREAMS = ("stdout", "stderr", "")


class Encoder:
    """Encodes batches for ``target``; ``host`` is the name of this host."""

    def __init__(self, target: Target, host: str) -> None:
        self._target = target
        self._host = host
        self._forms: dict[str, _Form] = {}
        self._index = _index_part(target)

    def encode(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event: two lines, the action and the document."""
        document = self._form(batch.container).document
        return [Entry(batch, index, document(event)) for index, event in enumerate(batch.events)]

    def _form(self, container: Container) -> _Form:
        form = self._forms.get(container.id)
        if form is None or form.container is not container:
            if len(self._forms) >= _MOST_FORMS:
                self._forms.clear()
            form = _Form(container, constants(container, self._host, self._target), self._index)
            self._forms[container.id] = form
        return form


class _Form:
    """The prepared documents of one container, one for each stream."""

    def __init__(
        self, container: Container, constant: Mapping[str, Any], index: Callable[[str], bytes] | None
    ) -> None:
        self.container = container
        self._constant = constant
        self._index = index
        self._attrs: dict[str, str] | None = None
        self._templates = self._prepared(None)

    def document(self, event: Event) -> bytes:
        """Return the two lines of one event."""
        if event.attrs != self._attrs:
            self._templates = self._prepared(event.attrs)
            self._attrs = event.attrs
        template = self._templates.get(event.stream) or self._template(event.stream, event.attrs)
        level, rest = (b"", b"") if event.fields is None else document_fields(event.fields)
        index = self._index(event.time) if self._index else b""
        try:
            name, time, message = _json(event.id), _json(event.time), _json(event.log)
        except UnicodeEncodeError:  # half a surrogate pair
            name, time, message = to_json(event.id), to_json(event.time), to_json(event.log)
        return template % (index, name, time, message, level, name, rest)

    def _prepared(self, attrs: dict[str, str] | None) -> dict[str, bytes]:
        return {stream: self._template(stream, attrs) for stream in _STREAMS}

    def _template(self, stream: str, attrs: dict[str, str] | None) -> bytes:
        constant = dict(self._constant)
        event = constant.pop("event", {})
        if attrs:
            constant["container"] = constant["container"] | {"attrs": de_dotted(attrs)}
        return b"".join(
            (
                b'{"create":{%b"_id":%b}}\n{"@timestamp":%b,"message":%b,"log":{"iostream":',
                _literal(stream),
                b'%b},"event":{"id":%b',
                _members(event),
                b"}",
                _members(constant),
                b"%b}\n",
            )
        )


def constants(container: Container, host: str, target: Target) -> dict[str, Any]:
    """Return what every document of a container has, as nested ECS objects without empty values."""
    stream = target.data_stream
    image, tags = image_parts(container.image)
    return _without_empty(
        {
            "container": {
                "id": container.id,
                "name": container.name,
                "image": {"name": image, "tag": tags},
                "labels": de_dotted(container.labels),
            },
            "service": {"name": container.compose_service},
            "host": {"name": host},
            "compose": {
                "project": container.compose_project,
                "service": container.compose_service,
                "number": container.compose_number,
            },
            "event": {"dataset": stream["dataset"]} if stream else {},
            "data_stream": stream or {},
            "tags": [
                tag for each in container.labels.get(TAGS_LABEL, "").split(",") if (tag := each.strip())
            ],
        }
    )


def image_parts(reference: str) -> tuple[str, list[str]]:
    """Return name and tags of an image: ``host:5000/name:1.2@sha256:…`` gives ``host:5000/name``, ``1.2``."""
    bare = reference.partition("@")[0]
    name, colon, tag = bare.rpartition(":")
    if not colon or "/" in tag:
        return bare, []
    return name, [tag]


def de_dotted(names: Mapping[str, str]) -> dict[str, str]:
    """Return a map with ``_`` for the dots of its keys, which would be taken for nested objects."""
    return {key.replace(".", "_"): text for key, text in names.items() if key.strip()}


def _without_empty(members: Mapping[str, Any]) -> dict[str, Any]:
    pruned = {
        key: _without_empty(each) if isinstance(each, Mapping) else each for key, each in members.items()
    }
    return {key: each for key, each in pruned.items() if each}


def _members(members: Mapping[str, Any]) -> bytes:
    """Return the members of an object, each behind a comma, ready to stand in a template."""
    return b"," + _literal(members)[1:-1] if members else b""


def _literal(value: Any) -> bytes:
    return to_json(value).replace(b"%", b"%%")


def _index_part(target: Target) -> Callable[[str], bytes] | None:
    if target.kind != "dated":
        return None
    names = IndexNames(target.name)
    return lambda time: b'"_index":"%b",' % names.of(time).encode()
