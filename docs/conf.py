"""Sphinx configuration: MyST pages, docstrings in numpydoc's form, nothing from the network."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skiptrace"
copyright = "The skiptrace developers"
version = release = installed_version(project)

extensions = [
    "figures",
    "myst_parser",
    "schema_tables",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
# The examples of pages are {doctest} blocks, run by Sphinx; those of docstrings are run by pytest.
# The width of printed frames is fixed: it would follow the terminal of whoever builds.
doctest_global_setup = """
import polars as pl
import skiptrace as sk

pl.Config(tbl_width_chars=100, fmt_str_lengths=60)
"""
doctest_test_doctest_blocks = ""
napoleon_google_docstring = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"{project} {release}"
