"""Links in the README and in the documentation lead somewhere: to files, to headings, and to well-formed addresses."""

import re
import unicodedata
from urllib.parse import urlsplit

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", flags=re.MULTILINE)
SHOWN_TWICE = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Beside the README and as a page of the site: a relative link would be right in one of the places alone."""


def links(prose):
    return [first or second for first, second in LINK.findall(prose)]


def anchors(page, prose_of):
    """Returns the anchors of a page that a forge and the site agree on, and those that the reference makes."""
    text = prose_of(page)
    made = set(re.findall(r"^::: ([\w.]+)$", text, flags=re.MULTILINE))
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return made | ({_of_forge(heading) for heading in headings} & {_of_site(heading) for heading in headings})


def _of_forge(heading):
    return re.sub(r"[^\w\s-]", "", heading.lower()).replace(" ", "-")


def _of_site(heading):
    ascii_alone = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_alone).strip().lower())


def test_links_lead_to_what_is_there(document, prose_of, root):
    for link in links(prose_of(document)):
        address = urlsplit(link)
        if address.scheme:
            assert address.scheme == "https" and "." in address.netloc, link
            continue
        assert document.name not in SHOWN_TWICE, f"{link} is right in one of two places alone"
        target = (document.parent / address.path).resolve() if address.path else document
        assert target.exists(), link
        if root / "docs" in document.parents:
            assert root / "docs" in target.parents, f"{link} is no page of the site"
        if address.fragment:
            assert address.fragment in anchors(target, prose_of), link


def test_the_readme_leads_to_each_page_that_is_read_in_order(pages, prose_of, root):
    readme, *site = pages
    named = {(root / urlsplit(link).path).resolve() for link in links(prose_of(readme))}
    in_order = [page for page in site if page.parent == root / "docs"]
    beside = {root / "docs" / name for name in ("index.md", "contributing.md", "changelog.md")}
    assert set(in_order) - beside <= named


def test_the_readme_is_short(root):
    assert len((root / "README.md").read_text().splitlines()) <= 200
