"""Runs the examples of the documentation: every block marked ``python runnable``, one page's blocks in order."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.pipeline import PASSES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python runnable\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MESSAGE = re.compile(r"^\| `(.*?)` \| ", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def pages() -> Iterator[Path]:
    return iter(sorted(DOCS.glob("*.md")))


def blocks(page: Path) -> str:
    """The runnable lines of a page, each at its line number, so that errors name the place on the page."""
    text = page.read_text(encoding="utf-8")
    position, result = 0, ""
    for match in BLOCK.finditer(text):
        result += "\n" * text.count("\n", position, match.start(1)) + match[1]
        position = match.end(1)
    return result


@pytest.mark.parametrize(
    "page", [p for p in pages() if BLOCK.search(p.read_text(encoding="utf-8"))], ids=lambda p: p.stem
)
def test_the_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(page), str(page), "exec"), {"__name__": page.stem})


@pytest.mark.parametrize("page", list(pages()), ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path):
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [t for t in targets if not (page.parent / t).exists()] == []


def literals() -> str:
    """Every string in the code, with … for filled-in values."""
    found = []
    for path in (p for package in ("compiler", "runtime", "genesis") for p in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\0".join(found)


def test_the_messages_are_those_of_the_code():
    said = literals()
    messages = MESSAGE.findall((DOCS / "errors.md").read_text(encoding="utf-8"))
    assert len(messages) > 40
    assert [m for m in messages if m not in said] == []


def test_the_passes_are_those_of_the_pipeline():
    """In their order, behind those that are options of the decorator."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Passes, in order")[2]
    rows = re.findall(r"^\| (`.*?`) \| ", text.partition("\n## ")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert named == ["loss_scale", "clip_value", "clip_norm", "accumulate", *PASSES]


def test_the_passes_of_the_command_line_are_those_there_are():
    sentence = re.search(r"The passes are (.*?);", (DOCS / "ir.md").read_text(encoding="utf-8"), re.DOTALL)
    assert sentence
    assert re.findall(r"`(\w+)`", sentence[1]) == list(PASSES)
