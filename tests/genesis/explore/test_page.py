"""The page as a file."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from genesis.explore.page import SCRIPTS, page

DATA = {"script": "a</script><b>.py", "programs": [], "text": "</script> é"}


def test_the_page_is_one_file_with_the_data_in_it() -> None:
    text = page(DATA)
    packed = re.search(r'id="data">(.*?)</script>', text)
    assert packed is not None and json.loads(gzip.decompress(base64.b64decode(packed[1]))) == DATA
    assert text == page(DATA) and "<!--" not in text
    assert "<title>a&lt;/script&gt;&lt;b&gt;.py · genesis explore</title>" in text


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "srcset", "data", "action")]
        self.found += [
            f"{tag} {value}" for name, value in attrs if name == "href" and not (value or "").startswith("#")
        ]


def test_the_page_asks_for_nothing_else() -> None:
    links = _Links()
    text = page(DATA)
    links.feed(text)
    assert links.found == []
    assert not re.search(r"@import|url\((?!#)|\bfetch\(|XMLHttpRequest|importScripts", text)


def test_every_script_is_in_the_page() -> None:
    assets = Path(__file__).parents[3] / "genesis" / "explore" / "assets"
    assert {path.name for path in assets.glob("*.js")} == set(SCRIPTS)
    assert "Permission is hereby granted" in (assets / "vendor" / "dagre.min.js").read_text()
