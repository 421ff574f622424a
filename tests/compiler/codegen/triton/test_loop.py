"""Loops are not there yet on a GPU."""

import pytest

from compiler.pipeline import Stages, compile_triton
from tests.compiler.loops import loop_graph

pytest.importorskip("triton")


def test_a_loop_names_its_line_and_the_way_out() -> None:
    with pytest.raises(NotImplementedError, match=r"backend='c'\n  at net.py:7"):
        compile_triton(Stages(loop_graph("recurrent")), "sm_80")
