"""A sink in one word: ``fluentd://host:24224?tls=1``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from compose_agent.address import Address
from compose_agent.config import kinds
from compose_agent.config.kinds import Kind
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.errors import ConfigError, Problem

T = TypeVar("T")

# Options of every sink, beside those of its kind.
COMMON_OPTIONS = {
    "name": "Name of the sink in metrics and positions; default: the word without its options.",
    "required": "Whether reading waits for this sink (default true); otherwise it drops what it cannot take.",
}


@dataclass(frozen=True, slots=True)
class SinkWord:
    """A parsed word: ``hosts`` in the order they were given (several separated by commas), ``path`` decoded.

    ``text`` is the whole word, ``base`` is the word without options and credentials, ``options`` what stood
    behind the question mark. ``noun`` is what messages call it.
    """

    text: str
    scheme: str
    hosts: tuple[Address, ...]
    path: str
    base: str
    options: Mapping[str, str] = field(hash=False)
    noun: str = "sink"

    @property
    def name(self) -> str:
        """What the sink is called in metrics, positions and messages."""
        return self.options.get("name") or self.base

    @property
    def required(self) -> bool:
        """Whether reading waits for this sink."""
        return self.read("required", kinds.boolean, default=True)

    def read(self, option: str, kind: Kind[T], default: T) -> T:
        """Return the value of an option; ConfigError names the sink and what was expected."""
        if (text := self.options.get(option)) is None:
            return default
        try:
            return kind.read(text)
        except ValueError as error:
            raise self.problem(f"{option}: {error}") from error

    def path_of(self, option: str) -> Path | None:
        """Return an option that names a file, which must be there."""
        if option not in self.options:
            return None
        path = self.read(option, kinds.path, Path())
        if not path.is_file():
            raise self.problem(f"{option}: there is no file {path}")
        return path

    def secret(self, option: str) -> str | None:
        """Return the content of the file that an option names, without the line's end."""
        path = self.path_of(option)
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n") if path else None
        except (OSError, UnicodeDecodeError) as error:
            raise self.problem(f"{option}: {path} cannot be read ({error})") from error

    def refuse_unknown(self, options: Iterable[str]) -> None:
        """Raise ConfigError for an option that is neither common nor one of ``options``."""
        known = [*COMMON_OPTIONS, *options]
        for each in self.options:
            if each not in known:
                raise self.problem(f"there is no option '{each}'{did_you_mean(nearest(each, known))}")

    def problem(self, what: str) -> ConfigError:
        """Return the error for something wrong with this word."""
        return ConfigError(Problem(f"{self.noun} {self.base}", what))


def parse_word(text: str, default_ports: Mapping[str, int], noun: str = "sink") -> SinkWord:
    """Return the word in ``text``; ``default_ports`` has the schemes there are. ValueError: what is wrong."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise kinds.Detail(f"expected a sink such as fluentd://host:24224, not '{text}'")
    if scheme not in default_ports:
        raise kinds.Detail(f"there is no sink '{scheme}'{did_you_mean(nearest(scheme, default_ports))}")
    parts = urlsplit(f"//{rest}")
    if "@" in parts.netloc:
        raise kinds.Detail(
            f"credentials do not stand in the word of a {noun}: name their files in its options"
        )
    if parts.fragment:
        raise kinds.Detail(f"'#' in the word of a {noun} must be written %23: '{text}'")
    try:
        options = _options(parts.query)
        hosts = tuple(_address(each, default_ports[scheme]) for each in parts.netloc.split(",") if each)
    except (ValueError, ConfigError) as error:
        raise kinds.Detail(f"'{text}' cannot be read: {error}") from error
    base = f"{scheme}://{parts.netloc}{parts.path}"
    return SinkWord(text, scheme, hosts, unquote(parts.path), base, options, noun)


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    options = dict(pairs)
    if len(options) < len(pairs):
        raise ValueError("an option is given twice")
    return options


def _address(text: str, port: int) -> Address:
    has_port = ":" in text and text.rpartition(":")[2].isdecimal()
    bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    if bare_ipv6:
        raise ValueError(f"an IPv6 address stands in brackets, not '{text}'")
    return Address.parse(text if has_port else f"{text}:{port}")
