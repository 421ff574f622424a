"""Texts that are almost graphs: the golden graphs with a few of their tokens changed."""

from __future__ import annotations

import random
import re
from pathlib import Path

import compiler.ops.all  # noqa: F401
from compiler.ir.op import OPS
from compiler.ir.types import DTYPES

GOLDEN = Path(__file__).parents[2] / "golden"

TOKEN = re.compile(r'%[\w.]+|@[\w.]+|[a-z]\w*\[[\d,]*\]|-?\d+(?:\.\d+)?|"[^"\n]*"|\w+|\s+|[^\w\s]')
SIZES = ["0", "1", "2", "3", "5", "64", "99999999999999999999"]
NUMBERS = [*SIZES, "-1", "-2", "1000000", "1e999", "nan", "inf", "none", "true", "f32", '"x"', "[]", "[1,2]"]


def golden_graphs() -> list[str]:
    """Every graph in the golden files, each as a text of its own."""
    found = []
    for path in sorted(GOLDEN.rglob("*.gir")):
        text = path.read_text(encoding="utf-8")
        files = "".join(re.findall(r"^file .*\n", text, re.M))
        found += [files + graph for graph in re.findall(r"^graph @.*?^}\n", text, re.M | re.S)]
    return found


def mutated(text: str, draw: random.Random) -> str:
    """``text`` after one to three changes: of a token to another of its kind, mostly."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        text = _changed_line(text, draw) if draw.random() < 0.08 else _changed_token(text, draw)
    return text


def _changed_line(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    place = draw.randrange(len(lines))
    if draw.random() < 0.5:
        del lines[place]
    else:
        lines.insert(place, draw.choice(lines))
    return "\n".join(lines)


def _changed_token(text: str, draw: random.Random) -> str:
    tokens = TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens) if not token.isspace()]
    if not places:
        return text
    place = draw.choice(places)
    tokens[place] = "" if draw.random() < 0.05 else _other(tokens[place], tokens, draw)
    return "".join(tokens)


def _other(token: str, tokens: list[str], draw: random.Random) -> str:
    if token[0] == "%":
        return draw.choice([t for t in tokens if t[0] == "%"])
    if token in OPS:
        return draw.choice(list(OPS))
    if token[0].isdigit() or token[0] == "-":
        return draw.choice(NUMBERS)
    if token.endswith("]") and len(token) > 1:
        dtype, _, shape = token[:-1].partition("[")
        sizes = shape.split(",") if shape else []
        if draw.random() < 0.5:
            dtype = draw.choice(list(DTYPES))
        elif sizes and draw.random() < 0.6:
            sizes[draw.randrange(len(sizes))] = draw.choice(SIZES)
        else:
            sizes.insert(draw.randrange(len(sizes) + 1), draw.choice(SIZES))
        return f"{dtype}[{','.join(sizes)}]"
    return draw.choice([t for t in tokens if not t.isspace()])
