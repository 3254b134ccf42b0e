"""Settings of the documentation site: Sphinx, the theme furo, pages in Markdown (MyST)."""

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]  # the package of this clone, and the extension beside this file

project = "rx_multicast_ipc"
author = "The rx_multicast_ipc maintainers"
project_copyright = author
version = release = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "api_reference"]
exclude_patterns = ["_build"]
suppress_warnings = ["toc.empty_glob"]

nitpicky = True
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False
autosummary_generate = False

smartquotes = False  # --options are no dashes

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"rx_multicast_ipc {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    app.connect("source-read", lead_to_pages)


def lead_to_pages(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Let links to documents outside this folder, which a code host follows, lead to their pages here."""
    source[0] = source[0].replace("(../benchmarks/README.md", "(benchmarks.md")
