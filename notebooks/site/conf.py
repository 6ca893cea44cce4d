"""Sphinx's settings for the site. build.py says what it is made from."""

from __future__ import annotations

from pathlib import Path

import sources

from lossprune_lib.version import __version__

HERE = Path(__file__).parent

project = "lossprune"
author = "the authors of lossprune"
version = release = __version__
language = "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    "docstrings",
    "barriers",
]

# The notebooks are shown as they were built.
nb_execution_mode = "off"
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
nb_mime_priority_overrides = [("html", "image/png", 0)]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "mystnb.lexer", "config.cache"]

# The docstrings are in NumPy style; what stands in `ticks` is code, linked where it is a name of the library.
default_role = "py:obj"
napoleon_google_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"show-inheritance": True}
python_use_unqualified_type_names = True
add_module_names = False
codeautolink_concat_default = True
codeautolink_custom_blocks = {"ipython3": "sphinx_codeautolink.clean_ipython"}

html_theme = "pydata_sphinx_theme"
html_title = "lossprune"
html_context = {"default_mode": "auto"}
html_static_path = [str(HERE / "site.css"), str(HERE / "site.js")]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it is fetched, which browsers refuse to a page from the disk
html_sidebars = {"index": [], "CHANGELOG": [], "notebooks/RECIPES": []}
html_theme_options = {
    "github_url": sources.repository(),
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
