"""Whatever a text says, the answer is a graph that prints and reads back, or an error of Genesis's own.

``GENESIS_MUTATIONS=5000 pytest tests/compiler/text/test_mutations.py`` tries more of them.
"""

import os
import random
from collections import Counter
from contextlib import suppress

import pytest

from compiler.__main__ import run
from compiler.errors import GenesisError, ParseError
from compiler.ir.graph import Graph
from compiler.pipeline import PASSES, emit
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph
from tests.compiler.text.mutations import golden_graphs, mutated

COUNT = int(os.environ.get("GENESIS_MUTATIONS", "300"))
SHARES = 4
CLEAR = (GenesisError, NotImplementedError)


def check(graph: Graph, draw: random.Random) -> None:
    """Print and read back; run each pass, another on some results, and emit C for some."""
    text = print_graph(graph)
    assert print_graph(parse_graph(text)) == text
    for name in PASSES:
        with suppress(*CLEAR):
            after = run(graph, [name])
            if draw.random() < 0.2:
                run(after, [draw.choice(list(PASSES))])
    if draw.random() < 0.2:
        with suppress(*CLEAR):
            emit(graph, "c")


@pytest.mark.parametrize("share", range(SHARES))
def test_a_mutated_text_is_a_graph_or_a_clear_error(share: int) -> None:
    graphs, outcomes = golden_graphs(), Counter[str]()
    for seed in range(share, COUNT, SHARES):
        draw = random.Random(seed)
        text = mutated(draw.choice(graphs), draw)
        try:
            graph = parse_graph(text, "mutated.gir")
        except ParseError as error:
            assert str(error).startswith("mutated.gir:"), "the error says where"
            outcomes["error"] += 1
            continue
        outcomes["graph"] += 1
        try:
            check(graph, draw)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{text}") from error
    assert outcomes["graph"] > 3 and outcomes["error"] > 3
