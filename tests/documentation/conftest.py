"""The README and the pages of the site, and what is shown in them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from yaml import safe_load

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"( *)```(.*)")
_INFO = re.compile(r'(?P<language>\w*)(?: title="(?P<title>[^"]+)")?')


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        language: Of the opening fence.
        title: The file that a reader writes, or "" where it is none.
        code: Without the fences.
    """

    language: str
    title: str
    code: str


def _nav(entries: list[Any]) -> list[str]:
    """Returns the pages of a navigation in order, those of its sections too."""
    pages = []
    for entry in entries:
        pages += [entry] if isinstance(entry, str) else [page for part in entry.values() for page in _nav(part)]
    return pages


_SITE = safe_load((ROOT / "mkdocs.yml").read_text())
PAGES = [ROOT / "README.md", *(ROOT / "docs" / page for page in _nav(_SITE["nav"]))]
DOCUMENTS = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def root() -> Path:
    """Returns where the README lies."""
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    """Returns the README and the pages of the site, in the order in which they are read."""
    return PAGES


@pytest.fixture(params=PAGES, ids=_name)
def page(request: pytest.FixtureRequest) -> Path:
    """Returns one of `pages` after the other."""
    return Path(request.param)


@pytest.fixture(params=DOCUMENTS, ids=_name)
def document(request: pytest.FixtureRequest) -> Path:
    """Returns one after the other of `pages` and of the documents beside the README."""
    return Path(request.param)


@pytest.fixture(scope="session")
def blocks_of() -> Callable[[Path], list[Block]]:
    """Returns what finds the blocks of a page."""
    return _blocks


@pytest.fixture(scope="session")
def prose_of() -> Callable[[Path], str]:
    """Returns what reads a page without its blocks and without what is set in code font."""
    return lambda page: re.sub(r"`[^`\n]*`", "``", _split(page)[0])


def _blocks(page: Path) -> list[Block]:
    return _split(page)[1]


def _split(page: Path) -> tuple[str, list[Block]]:
    prose: list[str] = []
    blocks: list[Block] = []
    opening, code = "", []
    for line in page.read_text().splitlines(keepends=True):
        fence = _FENCE.fullmatch(line.rstrip("\n"))
        if fence is None:
            (code if opening else prose).append(line)
        elif not opening:
            opening, code = fence[0], []
        else:
            info = _INFO.fullmatch(opening.strip("` "))
            assert info is not None, f"{_name(page)}: a fence must name a language and at most a title, got {opening}"
            blocks.append(Block(info["language"], info["title"] or "", dedent("".join(code))))
            opening = ""
    assert not opening, f"{_name(page)}: a block is never closed: {opening}"
    return "".join(prose), blocks
