"""What is installed, besides code: what a package index and a type checker look at."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent
ROOT = PACKAGE.parent


def test_it_needs_nothing_but_python() -> None:
    metadata = distribution("ohmqtt").metadata
    assert metadata.get_all("Requires-Dist") is None
    assert metadata["Requires-Python"] == ">=3.10"


def test_its_version_is_that_of_the_crates() -> None:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{distribution("ohmqtt").version}"\n' in manifest


def test_it_is_typed() -> None:
    assert files("ohmqtt").joinpath("py.typed").is_file()
    assert files("ohmqtt").joinpath("_native.pyi").is_file()


@pytest.mark.parametrize("name", ["LICENSE-APACHE", "LICENSE-MIT"])
def test_its_licences_are_those_of_the_repository(name: str) -> None:
    assert (PACKAGE / name).read_bytes() == (ROOT / name).read_bytes()
    assert name in (distribution("ohmqtt").metadata.get_all("License-File") or [])


def test_nothing_is_imported_before_it_is_used() -> None:
    program = "import sys, ohmqtt; print(sorted({'asyncio', 'trio', 'ssl', 'sqlite3', 'pytest'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
