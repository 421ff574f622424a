"""The last step of a stack, read from the carry."""

from collections.abc import Callable

import pytest

from compiler.ir.graph import Graph
from compiler.passes.autodiff import autodiff
from compiler.passes.last_steps import last_steps
from tests.compiler.loops import loop_graph, with_gradients
from tests.compiler.passes.graphs import assert_same_meaning, before_and_after, draw_inputs, ops


def sliced(start: str, stop: str, step: str = "1,1,1", reverse: bool = False, name: str = "recurrent") -> Graph:
    """A slice of the stack, behind a permutation."""
    (length, batch, hidden) = (5, 2, 3) if name == "recurrent" else (4, 3, 2)
    sizes = [len(range(*map(int, bounds))) for bounds in zip(*(x.split(",") for x in (start, stop, step)), strict=True)]
    return loop_graph(
        name,
        reverse,
        f"%p: f32[{batch},{length},{hidden}] = permute(%ys) {{dims=[1,0,2]}}\n"
        f"%s: f32[{','.join(map(str, sizes))}] = slice(%p) {{start=[{start}], stop=[{stop}], step=[{step}]}}\n"
        "return %s",
    )


def test_golden(golden: Callable[[str, str], None]) -> None:
    before = sliced("0,4,1", "2,5,3")
    golden("passes/last_steps.gir", before_and_after(before, "last_steps", last_steps(before)))


@pytest.mark.parametrize("name", ["recurrent", "cell"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_iteration_is_the_carry(name: str, reverse: bool) -> None:
    end = 0 if reverse else 4 if name == "recurrent" else 3
    before = sliced(f"0,{end},0", f"2,{end + 1},2", "1,1,1", reverse, name)
    after = last_steps(before)
    assert "reshape" in ops(after)
    assert_same_meaning(before, after, draw_inputs(before))
    gradients = with_gradients(before)
    assert_same_meaning(autodiff(gradients), autodiff(last_steps(gradients)), draw_inputs(before), 1e-6, 1e-6)


@pytest.mark.parametrize(
    ("start", "stop", "reverse"),
    [("0,3,0", "2,4,3", False), ("0,3,0", "2,5,3", False), ("0,4,0", "2,5,3", True), ("1,0,0", "2,5,3", False)],
)
def test_other_slices_stay(start: str, stop: str, reverse: bool) -> None:
    assert "reshape" not in ops(last_steps(sliced(start, stop, "1,1,1", reverse)))
