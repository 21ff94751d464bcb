"""How Sphinx makes the reference of docstrings: `cargo xtask py` does it, and a warning is an error."""

from __future__ import annotations

import ast
import re
from enum import Enum
from importlib.metadata import version as version_of
from importlib.resources import files
from inspect import isfunction, isgetsetdescriptor
from typing import Any

from sphinx.application import Sphinx

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
python_maximum_signature_line_length = 100
add_module_names = False
# Two modules may have a class of one name, which a signature shows without its module.
suppress_warnings = ["ref.python"]

html_theme = "alabaster"
html_theme_options = {"description": "MQTT 5 for Python on a Rust engine.", "fixed_sidebar": True}
html_copy_source = False

STUB = ast.parse(files("ohmqtt").joinpath("_native.pyi").read_text(encoding="utf-8"))


def setup(app: Sphinx) -> None:
    """Correct what autodoc finds out by itself."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _docstring)


def _signature(
    _app: Sphinx, what: str, _name: str, value: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Take the signature of what is native from the stub, which has the types, and leave out the one of enums."""
    if what == "class":
        options["show-inheritance"] = value.__bases__ != (object,)
    if what == "class" and issubclass(value, Enum):
        return "", None
    if what not in {"class", "function", "method"} or isfunction(value) or isfunction(getattr(value, "__init__", None)):
        return signature, returns
    path = value.__qualname__.split(".")
    if what == "class":
        path.append("__new__")
    function = _in_stub(path)
    if function is None:
        return signature, returns
    arguments = function.args
    if what != "function" and "staticmethod" not in map(ast.unparse, function.decorator_list):
        del (arguments.posonlyargs or arguments.args)[0]
    given = None if what == "class" or function.returns is None else ast.unparse(function.returns)
    return f"({ast.unparse(arguments)})", given


def _in_stub(path: list[str]) -> ast.FunctionDef | None:
    """Return a copy of the function of the stub that has this path, or none."""
    body: list[ast.stmt] = STUB.body
    for name in path[:-1]:
        found = [node for node in body if isinstance(node, ast.ClassDef) and node.name == name]
        if not found:
            return None
        body = found[0].body
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == path[-1]:
            copy = ast.parse(ast.unparse(node)).body[0]
            return copy if isinstance(copy, ast.FunctionDef) else None
    return None


def _docstring(_app: Sphinx, what: str, name: str, value: Any, _options: Any, lines: list[str]) -> None:
    """Take what is indented after a colon for a program, and say what a native attribute is that has no words."""
    for at in range(len(lines) - 2):
        if re.search(r"[^:]:$", lines[at]) and not lines[at + 1].strip() and lines[at + 2].startswith("    "):
            lines[at] += ":"
    if what != "attribute" or any(lines) or not isgetsetdescriptor(value):
        return
    function = _in_stub(name.split(".")[-2:])
    if function is not None and function.returns is not None:
        lines[:] = [f"``{ast.unparse(function.returns)}``"]
