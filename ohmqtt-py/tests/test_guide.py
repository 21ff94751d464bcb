"""The guide, and the repository's front page: their Python programs run, each by itself, as they stand.

Those in Rust are tests of the crates.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pages

ROOT = Path(__file__).parent.parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = pages.programs(*FILES)


def is_test(program: str) -> bool:
    return "\ndef test_" in program


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_as_it_stands(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if is_test(program):
        (tmp_path / "test_page.py").write_text(program, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "-W", "error", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
    else:
        pages.run(program, "a page of the guide")


@pytest.mark.parametrize("page", FILES, ids=lambda page: page.stem)
def test_no_block_is_of_a_kind_that_nobody_looks_at(page: Path) -> None:
    kinds = pages.kinds(page)
    known = [kind for kind in kinds if kind in {"python", "rust", "sh", "text", "toml"}]
    assert len(kinds) == 2 * len(known)
    assert len(pages.programs(page)) == kinds.count("python")
