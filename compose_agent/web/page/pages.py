"""Templates and files of one role's page as answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIEnvironment

from compose_agent import __version__
from compose_agent.dockerd.overview.words import printable
from compose_agent.web.compression import compressed
from compose_agent.web.response import Handler, Response, RouteTable

if TYPE_CHECKING:
    import jinja2

HTML = "text/html; charset=utf-8"
# Nothing of a page comes from elsewhere, nothing in it runs or is styled inline, nobody frames it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = (("Content-Security-Policy", CONTENT_SECURITY_POLICY), ("Cache-Control", "no-store"))
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SHARED = Path(__file__).parent


class Pages:
    """Makes answers of the templates in ``folder``; the template engine is loaded with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folders = (folder, _SHARED)

    def html(
        self,
        environ: WSGIEnvironment,
        template: str,
        /,
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        **values: Any,
    ) -> Response:
        """Answer a request with a template; ``values`` are what it may name.

        Texts are escaped, and what would not show, or turn others round, is replaced.
        """
        text = self._templates.get_template(template).render(version=__version__, **values)
        body = text.encode("utf-8", "replace")
        return compressed(Response(status, body, HTML, (*_HEADERS, *headers)), environ)

    def files(self) -> RouteTable:
        """Return the routes of style, script and pictures, below ``/static/``."""
        found: dict[str, Path] = {}
        for folder in reversed(self._folders):
            found |= {each.name: each for each in (folder / "static").iterdir() if each.suffix in _TYPES}
        return {f"/static/{name}": {"GET": _file(path)} for name, path in found.items()}

    @cached_property
    def _templates(self) -> jinja2.Environment:
        import jinja2  # noqa: PLC0415 - only a process whose page somebody opens carries it

        return jinja2.Environment(
            loader=jinja2.FileSystemLoader([folder / "templates" for folder in self._folders]),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            auto_reload=False,
            finalize=_visible,
        )


def _visible(value: object) -> object:
    # Markup, which is a text too, is the templates' own.
    return printable(value) if type(value) is str else value


def _file(path: Path) -> Handler:
    def answer(environ: WSGIEnvironment) -> Response:
        body, tag = _read(path)
        headers = (("ETag", tag), ("Cache-Control", "no-cache"))
        kind = _TYPES[path.suffix]
        if tag in str(environ.get("HTTP_IF_NONE_MATCH", "")):
            return Response(304, b"", kind, headers)
        return compressed(Response(200, body, kind, headers), environ)

    return answer


@cache
def _read(path: Path) -> tuple[bytes, str]:
    """Return a file of the package and its entity tag."""
    body = path.read_bytes()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def relative(paths: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return label and address of what else is served, relative so that a proxy may put us under a path."""
    return [(label, path.lstrip("/")) for label, path in paths.items()]
