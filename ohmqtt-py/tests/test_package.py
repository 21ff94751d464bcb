"""What is installed, besides code: what a package index and a type checker look at."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

import pytest

import ohmqtt

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


def test_what_it_says_it_is_for_is_built() -> None:
    release = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    classifiers = distribution("ohmqtt").metadata.get_all("Classifier") or []
    versions = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(classifiers))
    assert versions[0] == "3.10"
    assert f"for version in {' '.join(versions)}; do" in release
    assert "python: [" + ", ".join(f'"{version}"' for version in versions) + "]" in release


def test_it_is_released_with_the_tools_it_is_tested_with() -> None:
    release = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    (maturin,) = re.findall(r"maturin==[\d.]+", release)
    assert maturin in (PACKAGE / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()


def test_every_public_module_is_in_the_reference() -> None:
    found = {module.name for module in pkgutil.walk_packages(ohmqtt.__path__, "ohmqtt.")}
    public = {"ohmqtt", *(name for name in found if not re.search(r"\._", name))}
    pages = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "docs").glob("*.rst"))
    assert public - set(re.findall(r"^\.\. automodule:: (\S+)$", pages, re.MULTILINE)) == set()
