r"""What secrets look like in a line, and what stands there instead.

Every rule first looks for a text without which it cannot match, because most lines have no secret. No pattern
begins with a repetition or repeats a repetition, so that the time grows with the length of the line only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from log_forwarder.transforms.luhn import is_card

# Takes a line; returns it without secrets, and how many there were.
Rule = Callable[[str], tuple[str, int]]


def mark(rule: str) -> str:
    """Return what stands in place of a secret."""
    return f"[REDACTED:{rule}]"


# -- tokens

_TOKENS = mark("tokens")
# Names that say what they hold, at the end of a longer name too: DB_PASSWORD, x-api-key.
_NAMES = (
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|credentials?|authorization|session_?id"
    r"|(?:api|access|private|secret|signing|encryption|account)[_-]?key"
)
_NAME_HINTS = ("pass", "pwd", "secret", "token", "credential", "authorization", "session")
# "key" alone stands in too many lines.
_KEY_HINTS = tuple(f"key{end}" for end in ("=", ":", '"', "'", "\\", " ", "]"))
# Between quotes: as JSON, as JSON in a text of JSON, as shells and Python have it. What has no end goes on to
# the end of the line. An unquoted value ends in a query before the next name.
_QUOTED = (
    r'(?:"(?:[^"\\]|\\.)*+(?:"|\Z)'
    r'|\\"(?:[^"\\]|\\\\(?:\\.|[^"\\])|\\[^"\\])*+(?:\\"|\Z|(?="))'
    r"|'(?:[^'\\]|\\.)*+(?:'|\Z))"
)
_KEY_VALUE = re.compile(
    rf"""
    (?P<head>(?:{_NAMES})(?P<quote>\\?["'])?\]?[ \t]{{0,8}}(?:=>|:=|[:=])[ \t]{{0,8}})
    (?:(?P<quoted>{_QUOTED})
    |(?P<list>\[[^\]\[]*+\])
    |(?P<plain>(?(quote)[^\s,}}\]{{"'\\]++
    |(?:(?:bearer|basic|digest|token|negotiate)[ ]+)?(?!\{{\\?["'])(?:[^\s&"'<>]|&(?![\w.%-]++=))++)))
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_FLAG = re.compile(rf"(--[\w-]{{0,40}}?(?:{_NAMES})[ ]+)(?!-)(\S+)", re.IGNORECASE)
_JSON_HARMLESS = ("null", "true", "false", "none")

_SCHEME = re.compile(r"\b(bearer|basic)([ ]+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# JWT has three parts, JWE five of which the second may be empty.
_JWT = re.compile(r"eyJ[\w-]*+(?:\.[\w-]*+){0,4}+")
# Tokens that tell their kind by themselves, each with a text that it has.
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern))
    for hint, pattern in (
        ("gh", r"gh[pousr]_[A-Za-z0-9]{30,}+"),
        ("github_pat_", r"github_pat_\w{22,}+"),
        ("glpat-", r"glpat-[\w-]{16,}+"),
        ("xox", r"xox[abeoprs]-[A-Za-z0-9-]{8,}+"),
        ("AKIA", r"AKIA[A-Z0-9]{16}"),
        ("ASIA", r"ASIA[A-Z0-9]{16}"),
        ("_live_", r"[prs]k_live_[A-Za-z0-9]{16,}+"),
        ("AIza", r"AIza[\w-]{35}"),
    )
)


def tokens(line: str) -> tuple[str, int]:
    """Take out tokens that are known by their shape or by the name before them."""
    count = 0
    low = line.lower()
    if "--" in low and _has_name(low):
        line, found = _FLAG.subn(rf"\1{_TOKENS}", line)
        count += found
    if _has_name(low):
        line, found = substituted(_KEY_VALUE, _without_value, line)
        count += found
    if "bearer" in low or "basic " in low:
        line, found = _SCHEME.subn(rf"\1\2{_TOKENS}", line)
        count += found
    if "eyJ" in line:
        line, found = substituted(_JWT, _without_jwt, line)
        count += found
    for hint, pattern in _SHAPES:
        if hint in line:
            line, found = pattern.subn(_TOKENS, line)
            count += found
    return line, count


def _without_jwt(match: re.Match[str]) -> str | None:
    head, *rest = match[0].split(".")
    return _TOKENS if len(head) > 7 and (len(rest) == 4 or (len(rest) > 1 and len(rest[0]) > 4)) else None


def _has_name(low: str) -> bool:
    for hint in _NAME_HINTS:
        if hint in low:
            return True
    return "key" in low and any(hint in low for hint in _KEY_HINTS)


def _without_value(match: re.Match[str]) -> str | None:
    head, quoted, plain = match["head"], match["quoted"], match["plain"]
    if quoted is not None:
        return _without_quoted(head, quoted)
    quote = match["quote"] or ""
    if plain is None:
        return None if match["list"] == _TOKENS else f"{head}{_quoted_mark(quote)}"
    if quote:
        # JSON stays what it is: null is no secret, and what replaces a number is a string.
        return None if plain.lower() in _JSON_HARMLESS else f"{head}{_quoted_mark(quote)}"
    return None if plain.startswith(_TOKENS) else f"{head}{_TOKENS}"


def _without_quoted(head: str, quoted: str) -> str | None:
    quote = quoted[:2] if quoted.startswith("\\") else quoted[:1]
    inner = quoted[len(quote) :].removesuffix(quote)
    # What was never closed is not closed now either.
    end = quote if len(quoted) > len(quote) and quoted.endswith(quote) else ""
    return f"{head}{quote}{_TOKENS}{end}" if inner else None


def _quoted_mark(quote: str) -> str:
    return f"{quote}{_TOKENS}{quote}"


# -- passwords in URLs

_URL = re.compile(r"(://[^\s:/?#@\"'<>]*+:)([^\s/?#\"'<>]++)")
# A password that should have been percent-encoded; a port ends before a slash too.
_ODD_URL = re.compile(r"(://[^\s:/?#@\"'<>]*+:)(?![0-9]++[/?#])([^\s\"'<>@:]++@)")


def url_passwords(line: str) -> tuple[str, int]:
    """Take the password out of ``scheme://user:password@host``."""
    if "://" not in line or "@" not in line:
        return line, 0
    line, count = substituted(_URL, _without_password, line)
    line, odd = substituted(_ODD_URL, _without_password, line)
    return line, count + odd


def _without_password(match: re.Match[str]) -> str | None:
    password, at, host = match[2].rpartition("@")
    text = mark("url-passwords")
    return f"{match[1]}{text}@{host}" if at and password not in ("", text) else None


# -- cards

# Begins with the one thing that can be looked for fast; what stands before it comes after.
_CARD = re.compile(
    r"""[2-6](?<![0-9A-Za-z].)(?<![0-9][.-].)[0-9]{3}
    (?:[0-9]{10,15}
    |([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?
    |([ -])[0-9]{6}\2[0-9]{4,5})
    (?![0-9A-Za-z])(?!\.[0-9])""",
    re.VERBOSE,
)
_DIGITS = str.maketrans("", "", " -")


def cards(line: str) -> tuple[str, int]:
    """Take out numbers of payment cards: digits, or digits in the usual groups."""
    return substituted(_CARD, _without_card, line)


def _without_card(match: re.Match[str]) -> str | None:
    if not is_card(match[0].translate(_DIGITS)):
        return None
    return _in_json(match, mark("cards"))


def _in_json(match: re.Match[str], text: str) -> str:
    """Return a text that replaces a number, as a string where the number is a value of JSON."""
    line, start, end = match.string, match.start(), match.end()
    before = line[max(0, start - 3) : start].rstrip()
    is_value = before.endswith(('":', "[", ",")) and line[end : end + 1] in (",", "}", "]")
    return f'"{text}"' if is_value else text


# -- e-mail addresses

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++")


def email(line: str) -> tuple[str, int]:
    """Take out e-mail addresses."""
    return _EMAIL.subn(mark("email"), line) if "@" in line else (line, 0)


# -- IP addresses

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9.])(?<![vV])(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9]|\.[0-9])")
# What an address has, and what can be looked for fast.
_LIKE_IPV4 = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_LIKE_IPV6 = re.compile(r":(?::|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:)")
# Whether it is an address is asked then.
_IPV6 = re.compile(r"(?<![\w:])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,45}(?:\.[0-9]{1,3}){0,3}")


def ips(line: str) -> tuple[str, int]:
    """Take out IPv4 and IPv6 addresses."""
    count = 0
    if _LIKE_IPV6.search(line):
        line, count = substituted(_IPV6, _without_ipv6, line)
    if _LIKE_IPV4.search(line):
        line, found = _IPV4.subn(mark("ips"), line)
        count += found
    return line, count


def _without_ipv6(match: re.Match[str]) -> str | None:
    text = match[0]
    address = text if text.endswith("::") else text.rstrip(":")
    whole = "::" in address or address.count(":") == (6 if "." in address else 7)
    if not whole or address == "::":
        return None
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return mark("ips") + text[len(address) :]


def substituted(
    pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str | None], line: str
) -> tuple[str, int]:
    """Replace matches by what ``replace`` returns, where it returns something."""
    count = 0

    def counted(match: re.Match[str]) -> str:
        nonlocal count
        text = replace(match)
        if text is None:
            return match[0]
        count += 1
        return text

    return pattern.sub(counted, line), count


RULES: Mapping[str, Rule] = {
    "tokens": tokens,
    "url-passwords": url_passwords,
    "cards": cards,
    "email": email,
    "ips": ips,
}
