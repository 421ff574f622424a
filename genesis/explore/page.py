"""The page: the data, compressed, with the styles and scripts of ``assets``, in one file that needs nothing else."""

from __future__ import annotations

import base64
import gzip
import html
import json
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "dom.js",
    "theme.js",
    "data.js",
    "selection.js",
    "syntax.js",
    "rows.js",
    "diff.js",
    "overview.js",
    "follow.js",
    "stages.js",
    "layout.js",
    "graph.js",
    "precision.js",
    "memory.js",
    "time.js",
    "inspector.js",
    "search.js",
    "main.js",
)
"""The scripts, in the order in which the page reads them."""


def page(data: dict[str, Any]) -> str:
    """The HTML text of a page that shows ``data``, a :func:`genesis.explore.model.model`."""
    packed = base64.b64encode(gzip.compress(json.dumps(data, separators=(",", ":")).encode(), mtime=0)).decode()
    parts = {
        "title": html.escape(f"{data['script']} · genesis explore"),
        "style": asset("style.css"),
        "library": asset("vendor/dagre.min.js"),
        "script": "\n".join(asset(name) for name in SCRIPTS),
        "data": packed,
    }
    text = asset("page.html")
    for name, content in parts.items():
        text = text.replace(f"<!--{name}-->", content.replace("</script", "<\\/script"), 1)
    return text


def asset(name: str) -> str:
    """The text of a file of ``assets``."""
    return files(f"{__package__}").joinpath("assets", *name.split("/")).read_text(encoding="utf-8")
