"""The README is what a package index shows: its programs run, each by itself, as they stand."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

import pages

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("program", pages.programs(README))
def test_a_program_runs_as_it_stands(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.run(program, "README.md")


def test_no_program_is_left_out() -> None:
    kinds = pages.kinds(README)
    assert len(kinds) == 2 * (kinds.count("python") + kinds.count("sh"))
    assert len(pages.programs(README)) == kinds.count("python") > 0


def test_it_is_what_a_package_index_shows() -> None:
    metadata = distribution("ohmqtt").metadata
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    # A link into the repository would lead nowhere there.
    for target in re.findall(r"\]\(([^)]*)\)", README.read_text(encoding="utf-8")):
        assert target.startswith(("https://", "#")), target
