"""Sphinx configuration. `make docs` builds with warnings as errors and executes the tutorials."""

import re
from typing import Any

import caloforge

project = "caloforge"
author = "caloforge developers"
copyright = "caloforge developers"  # noqa: A001
version = release = caloforge.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "jupyter_execute"]

html_theme = "furo"
html_title = f"caloforge {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True

# One page per module, written at build time, so that no module can be forgotten.
apidoc_modules = [
    {
        "path": "../src/caloforge",
        "destination": "reference/api",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "undoc-members"},
    }
]
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_mock_imports = ["geant4_pybind"]  # importing it looks for Geant4's data sets
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True  # the commands, which jsonargparse reads
napoleon_use_ivar = True


_PARAMETER = re.compile(r"^(\w+(?:, \*{0,2}\w+)*) : (.+)$")


def _describe_parameters(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Our docstrings write ``name : description``, as the type is in the signature; numpydoc expects it there."""
    lines[:] = [out for line in lines for out in _PARAMETER.sub(r"\1" + "\n    " + r"\2", line).split("\n")]


def setup(app: Any) -> None:
    """Run before napoleon (priority 500) reads the docstrings."""
    app.connect("autodoc-process-docstring", _describe_parameters, priority=400)
