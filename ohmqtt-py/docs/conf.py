"""How Sphinx makes the reference of docstrings: `cargo xtask py` does it, and a warning is an error."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "ohmqtt"
author = "the authors of ohmqtt"
release = version = version_of("ohmqtt")

extensions = ["sphinx.ext.autodoc"]
# Docstrings are written to be read by help(): a name in backquotes is a name, and no reference that could be broken.
default_role = "literal"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "alabaster"
html_theme_options = {"description": "MQTT 5 for Python on a Rust engine.", "fixed_sidebar": True}
html_copy_source = False
