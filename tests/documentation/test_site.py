"""The site is built without a warning, and needs no network to be read."""

import re
import subprocess
import sys

import pytest

LOADED = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="[^"]+|<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*>')


@pytest.fixture(scope="module")
def site(tmp_path_factory, root):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'jepa-mpc[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        for loaded in LOADED.finditer(page.read_text()):
            assert "//" not in loaded[0].replace("http://www.w3.org", ""), (page.name, loaded[0])


@pytest.mark.slow
def test_the_reference_tells_what_the_docstrings_tell(site):
    page = (site / "reference" / "planners.html").read_text()
    assert 'id="planners.types.ActionBounds.clip"' in page
    assert "Each action becomes the nearest that may follow the one before it" in page
