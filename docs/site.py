"""What mkdocs puts into the site beside the pages: the references that Sphinx and rustdoc have made.

They are files of the site like any other, so that links to them are checked. `cargo xtask docs` says where they are.
"""

import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REFERENCES = {"python": "OHMQTT_PYTHON_REFERENCE", "rust": "OHMQTT_RUST_REFERENCE"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the references."""
    for folder, variable in REFERENCES.items():
        made = Path(os.environ[variable])
        for path in sorted(made.rglob("*")):
            if path.is_file():
                place = f"{folder}/{path.relative_to(made).as_posix()}"
                files.append(File.generated(config, place, abs_src_path=str(path)))
    return files
