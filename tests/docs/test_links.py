"""Every relative link and anchor in the Markdown files of the repository leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.examples import ROOT

_FENCED = re.compile(r"^( *)(```+|~~~+).*?^ *\2[`~]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_INLINE = re.compile(r"\]\(\s*<?([^\s>)]+)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_NAMED = re.compile(r"""<[a-z]+ [^>]*\b(?:id|name)=["']([^"']+)["']""")
_LINK_TEXT = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def pages(root: Path) -> list[Path]:
    """Return the Markdown files, without those of hidden folders and of what is built."""
    found = (path.relative_to(root) for path in root.rglob("*.md"))
    kept = (path for path in found if not any(part.startswith(".") for part in path.parts))
    return sorted(path for path in kept if path.parts[0] not in {"build", "dist"})


def broken_links(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    return [link for link in links(page.read_text(encoding="utf-8")) if not leads_somewhere(page, link)]


def links(text: str) -> Iterator[str]:
    prose = _CODE.sub("", _FENCED.sub("", text))
    for pattern in (_INLINE, _REFERENCE):
        yield from (link for link in pattern.findall(prose) if not _SCHEME.match(link))


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = page.parent / path if path else page
    if not anchor:
        return target.exists()
    return target.suffix == ".md" and target.is_file() and anchor in anchors(target)


def anchors(page: Path) -> set[str]:
    """Return what can stand after ``#``, as the common renderers make it from headings."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    found = set(_NAMED.findall(text))
    for heading in _HEADING.findall(text):
        slug = plain = slug_of(heading)
        number = 0
        while slug in found:
            number += 1
            slug = f"{plain}-{number}"
        found.add(slug)
    return found


def slug_of(heading: str) -> str:
    words = re.sub(r"[^\w\- ]", "", _LINK_TEXT.sub(r"\1", heading).lower())
    return words.replace(" ", "-")


@pytest.mark.parametrize("page", pages(ROOT), ids=str)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(ROOT / page) == []


def test_the_pages_are_those_of_the_repository() -> None:
    assert {Path("README.md"), Path("docs/web-configuration.md")} <= set(pages(ROOT))


OTHER = (
    "# The `other` page, in short\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n```\n<a id='named'></a>\n"
)


@pytest.mark.parametrize(
    "link",
    [
        "other.md",
        "other.md#the-other-page-in-short",
        "other.md#twice-1",
        "other.md#named",
        "#here",
        "folder",
        "../page.md#",
        "https://example.org/none#at-all",
        "mailto:nobody@example.org",
    ],
)
def test_a_good_link_is_no_finding(tmp_path: Path, link: str) -> None:
    assert broken_links(page_with(tmp_path, f"[text]({link})")) == []


@pytest.mark.parametrize(
    "link", ["none.md", "other.md#none", "other.md#no-heading", "#there", "none.md#twice", "folder#here"]
)
@pytest.mark.parametrize("form", ["[text]({})", '[text]({} "title")', "![alt]({})", "[text][1]\n\n[1]: {}\n"])
def test_a_broken_link_is_found(tmp_path: Path, form: str, link: str) -> None:
    assert broken_links(page_with(tmp_path, form.format(link))) == [link]


def test_code_is_not_searched_for_links(tmp_path: Path) -> None:
    text = "`[a](none.md)`\n\n```md\n[a](none.md)\n```\n"
    assert broken_links(page_with(tmp_path, text)) == []


def page_with(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "docs"
    (folder / "folder").mkdir(parents=True)
    (folder / "other.md").write_text(OTHER)
    (tmp_path / "page.md").write_text("# Page\n")
    page = folder / "page.md"
    page.write_text(f"# Here\n\n{text}\n")
    return page
