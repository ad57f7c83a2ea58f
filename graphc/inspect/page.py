"""A step as one HTML file: every stage, linked to each other, with no network.

The model (links.py) lies in the page as JSON, the stages' texts lie there compressed; assets/ holds the page's own code
and dagre, which lays graphs out. A content security policy names the two hashes of the page's code and style, and
forbids all else: nothing is loaded, nothing is sent, and no name of the user's can become code.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from graphc.inspect.links import Facts, Links
from graphc.inspect.values import Values, full_text, short_text

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("model", "layout", "draw", "details", "texts", "pictures", "main")
"""The page's code, in the order in which it stands in the page."""


def write_page(
    path: str | os.PathLike[str], links: Links, texts: Mapping[str, str], values: Values | None = None
) -> None:
    """Writes the page of a step to a file."""
    Path(path).write_text(page_of(links, texts, values), encoding="utf-8", newline="\n")


def page_of(links: Links, texts: Mapping[str, str], values: Values | None = None) -> str:
    """The page of a step, with the text of each stage, and with the numbers of a call if there are any."""
    facts = links.facts if values is None else {**links.facts, "values": _values(values, links)}
    script, style = _script(), _asset("page.css")
    return Template(_asset("page.html")).substitute(
        title=html.escape(f"{facts['name']}: graphc"),
        script=script,
        script_hash=_hash(script),
        style=style,
        style_hash=_hash(style),
        model=script_json(facts),
        texts="\n".join(_packed(stage, text) for stage, text in texts.items()),
    )


def script_json(data: Any) -> str:
    """JSON that may stand in a script element: no text in it ends the element, or a line of the script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # what is not ASCII, U+2028 too, is \uXXXX
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(stage: str, text: str) -> str:
    """A stage's text, gzipped, as a script element that the browser does not run."""
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return f'<script type="text/plain" id="text-{html.escape(stage)}">{packed}</script>'


def _values(values: Values, links: Links) -> Facts:
    """Texts, short and full: of each node's value and gradient by number, and of each edge."""
    number = links.numbers.of
    return {
        "loss": None if values.loss is None else number(values.loss),
        "nodes": {number(node): [short_text(array), full_text(array)] for node, array in values.of.items()},
        "gradients": {number(node): [short_text(array), full_text(array)] for node, array in values.gradient.items()},
        "edges": [
            [
                *(number(edge.reader), edge.position, short_text(edge.gradient), full_text(edge.gradient)),
                None if edge.local is None else f"{edge.local:.6g}",
            ]
            for edge in values.edges
        ],
    }


def _script() -> str:
    """dagre with its licence, then the page's own code in a scope of its own."""
    own = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    licence = f"/*! dagre\n{_asset('dagre.LICENSE')}*/"
    return f'{licence}\n{_asset("dagre.min.js")}\n(() => {{\n"use strict";\n{own}}})();\n'


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy writes it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
