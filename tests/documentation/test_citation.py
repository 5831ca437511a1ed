"""CITATION.cff is what version 1.2.0 of the Citation File Format asks for, and agrees with the package."""

from importlib.metadata import metadata

from yaml import safe_load


def test_the_citation_is_complete_and_of_this_version(root):
    citation, package = safe_load((root / "CITATION.cff").read_text()), metadata("jepa-mpc")
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software" and citation["message"]
    assert citation["authors"] == [{"name": "The jepa-mpc developers"}]
    assert citation["title"] == package["Name"]
    assert str(citation["version"]) == package["Version"]
    assert citation["license"] == package["License-Expression"]
