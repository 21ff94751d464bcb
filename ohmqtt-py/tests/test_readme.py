"""The README is what a package index shows: its programs run, each by itself, as they stand."""

from __future__ import annotations

import logging
import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def snippets() -> list[object]:
    """Return the Python programs, each named after the line it begins in."""
    found = re.finditer(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [pytest.param(match[1], id=f"line {README[: match.start(1)].count(chr(10)) + 1}") for match in found]


@pytest.mark.parametrize("snippet", snippets())
def test_a_program_runs_as_it_stands(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(snippet, "README.md", "exec"), {"__name__": "__main__"})
    finally:
        logging.getLogger("ohmqtt").setLevel(logging.NOTSET)


def test_no_program_is_left_out() -> None:
    kinds = re.findall(r"^```(\w*)$", README, re.MULTILINE)
    assert len(kinds) == 2 * (kinds.count("python") + kinds.count("sh"))
    assert len(snippets()) == kinds.count("python") > 0


def test_it_is_what_a_package_index_shows() -> None:
    metadata = distribution("ohmqtt").metadata
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    # A link into the repository would lead nowhere there.
    for target in re.findall(r"\]\(([^)]*)\)", README):
        assert target.startswith(("https://", "#")), target
