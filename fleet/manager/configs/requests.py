"""What somebody sends to change a layer, read strictly. Pure."""

from __future__ import annotations

import msgspec

from compose_agent.config import kinds
from compose_agent.config.kinds import Detail
from compose_agent.config.yamlfile import MAX_FILE_BYTES, parse
from compose_agent.errors import ConfigError
from fleet.manager.configs.gate import batch_size
from fleet.manager.configs.merge import is_yaml
from fleet.manager.configs.model import LayerKey
from fleet.manager.configs.rollouts import Plan
from fleet.manager.configs.scope import EVERYBODY, parse_scope
from fleet.manager.openapi.answers import decoded
from fleet.manager.selector import Selector, parse_selector

_LONGEST_NAME = 200
_LONGEST_NOTE = 1000
# A day: whoever wants to watch longer pauses.
_LONGEST = 86_400.0


class PushRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A new text of a layer, ``body`` null to take the layer away; and how it is brought out."""

    name: str
    body: str | None
    scope: str = EVERYBODY
    content_type: str = ""
    note: str = ""
    selector: str = ""
    batch: str = "10%"
    gate: str = "30s"
    within: str = "60s"


class Push(msgspec.Struct):
    """The same, understood."""

    key: LayerKey
    body: str | None
    kind: str
    note: str
    plan: Plan


def read_push(data: bytes) -> Push:
    """Return what a body asks for; raises Detail with what is wrong."""
    asked = decoded(PushRequest, data)
    scope, name = parse_scope(asked.scope), _name(asked.name)
    if asked.body is not None:
        _check_body(name, asked.body)
    if len(asked.note) > _LONGEST_NOTE:
        raise Detail(f"the note has more than {_LONGEST_NOTE} characters")
    return Push(LayerKey(scope, name), asked.body, asked.content_type, asked.note, _plan(asked))


def read_key(scope: str, name: str) -> LayerKey:
    """Return the layer that an address names; raises Detail."""
    return LayerKey(parse_scope(scope), _name(name))


def _plan(asked: PushRequest) -> Plan:
    try:
        batch_size(asked.batch, 1)
    except ValueError as error:
        raise Detail(
            f"'{asked.batch}' is no batch: expected a number such as 25, or a share such as 10%"
        ) from error
    gate, within = _seconds("gate", asked.gate, 0.0), _seconds("within", asked.within, 1.0)
    return Plan(_selector(asked.selector), asked.batch, gate, within)


def _selector(text: str) -> Selector:
    if not text.strip():
        return Selector()
    try:
        return parse_selector(text)
    except Detail as error:
        raise Detail(f"selector: {error}") from error


def _seconds(name: str, text: str, least: float) -> float:
    try:
        found = kinds.parse_duration(text)
    except ValueError as error:
        raise Detail(f"{name}: '{text}' is no duration such as 30s or 5m") from error
    if not least <= found <= _LONGEST:
        raise Detail(f"{name}: expected a duration from {least:g} s to a day, not '{text}'")
    return found


def _name(text: str) -> str:
    if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable() or "/" in text:
        raise Detail(f"'{text[:_LONGEST_NAME]}' cannot be the name of a file: expected one such as agent.yml")
    return text


def _check_body(name: str, body: str) -> None:
    if len(body.encode()) > MAX_FILE_BYTES:
        raise Detail(f"{name} has more than {MAX_FILE_BYTES} bytes")
    if is_yaml(name):
        try:
            parse(body, name)
        except ConfigError as error:
            raise Detail(str(error)) from error
