"""How Sphinx makes the site: pages that run are filled, a page for each op is written, docstrings become reST."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import op_pages  # noqa: E402
import running  # noqa: E402

import graphc  # noqa: E402

project = "graphc"
author = "the graphc authors"
version = release = graphc.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
highlight_language = "text"
suppress_warnings = ["misc.highlighting_failure"]  # LLVM's texts are newer than what Pygments knows of them

html_theme = "furo"
html_title = "graphc"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True


def setup(app: Any) -> None:
    app.connect("builder-inited", lambda app: op_pages.write(HERE / "ops"))
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _as_rest)


def _read(app: Any, page: str, content: list[str]) -> None:
    """A hand-written page, run; the table of ops with links."""
    if page == "ops":
        content[0] = op_pages.linked(content[0])
    elif not page.startswith("ops/"):
        content[0] = running.filled(content[0], HERE / f"{page}.md")


# ---- docstrings -----------------------------------------------------------------------------------------------------

MEANINGS = re.compile(r"(?:^|(?<=\.) )(?=[a-z_]+(?:, [a-z_]+)*: )")


def _as_rest(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """graphc's docstrings as reST: what an argument means becomes an item, an indented block is code."""
    text = re.sub(r":\n\n(?=    )", "::\n\n", "\n".join(lines))
    text = re.sub(r"`+([^`]+)`+", r"``\1``", text)
    lines[:] = [line for paragraph in text.split("\n\n") for line in (*_items(paragraph), "")]


def _items(paragraph: str) -> list[str]:
    """A paragraph that begins with `name: meaning` as a list of such, up to a line that begins with `Raises`."""
    told, *raises = re.split(r"\n(?=Raises )", paragraph, maxsplit=1)
    before, *items = MEANINGS.split(told.replace("\n", " "))
    if before or not items:
        return paragraph.splitlines()
    return [*(re.sub(r"^(.*?): ", r"- **\1**: ", item) for item in items), "", *raises]
