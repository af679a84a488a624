r"""Access logs in the Common and Combined Log Format, and lines as container runtimes write them (CRI).

Fields of access logs have the names of nginx's variables, which are nobody else's.
"""

from __future__ import annotations

import re
from typing import Any

_QUOTED = r'(?:[^"\\]|\\.)*+'
_COMMON = (
    r"^(?P<remote_addr>\S++) (?P<remote_ident>\S++) (?P<remote_user>[^\[\s]++(?: [^\[\s]++){0,8}) "
    r'\[(?P<time_local>[^\]]++)\] "(?P<request>' + _QUOTED + r')" '
    r"(?P<status>[0-9]{3}) (?P<body_bytes_sent>[0-9]{1,18}|-)"
)
_common = re.compile(_COMMON + r"(?=\s|$)").match
_combined = re.compile(
    _COMMON + rf' "(?P<http_referer>{_QUOTED})" "(?P<http_user_agent>{_QUOTED})"(?=\s|$)'
).match
_REQUEST = re.compile(r"([A-Z][A-Z-]{0,31}) (\S+)(?: (HTTP/[0-9.]+))?")
# kubernetes/design-proposals-archive, node/kubelet-cri-logging.md: time, stream, tags (P for a piece), text.
_cri = re.compile(
    r"^(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9:]{5})) (?P<stream>stdout|stderr) "
    r"(?P<logtag>[FP](?::\S+)?) (?P<message>.*)$",
    re.DOTALL,
).match
# Absent, as these formats write it.
_NOTHING = ("-", "")


def parse_common(line: str) -> dict[str, Any] | None:
    """Return the fields of ``host ident user [time] "request" status bytes``."""
    return _access(_common(line))


def parse_combined(line: str) -> dict[str, Any] | None:
    """Return the fields of the Common Log Format with ``"referer" "user agent"`` behind them."""
    return _access(_combined(line))


def parse_cri(line: str) -> dict[str, Any] | None:
    """Return the fields of ``time stream tag message``."""
    match = _cri(line)
    return match.groupdict() if match else None


def _access(match: re.Match[str] | None) -> dict[str, Any] | None:
    if match is None:
        return None
    fields: dict[str, Any] = {name: text for name, text in match.groupdict().items() if text not in _NOTHING}
    fields["status"] = int(fields["status"])
    if size := fields.get("body_bytes_sent"):
        fields["body_bytes_sent"] = int(size)
    if request := _REQUEST.fullmatch(fields.get("request", "")):
        names = ("request_method", "request_uri", "server_protocol")
        fields |= {name: text for name, text in zip(names, request.groups(), strict=True) if text}
    return fields
