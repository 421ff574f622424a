"""Products that share a launch because they read the same factor."""

from typing import Any

import numpy as np
import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.triton.module import emit
from compiler.ir.op import o
from compiler.ir.types import bf16
from compiler.plan import Launch
from runtime.triton.machine_code import opcodes, resources, uses_matrix_units
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.triton.targets import DEFAULT, on_request
from tests.compiler.codegen.triton.test_kernels import check, lower, normal


def gradients(g: Any, w: Any, x: Any) -> Any:
    """Those of a linear layer: of its input and its weight, with the square of its norm."""
    weight = o.dot(o.permute(x, dims=(1, 0)), g)
    return o.tanh(o.dot(g, w)), weight, o.sum(o.mul(weight, weight), axes=(0, 1))


def products(launches: tuple[Launch, ...]) -> list[Launch]:
    return [x for x in launches if x.kernel.startswith("dot")]


def test_gradients_of_a_layer(worker) -> None:
    program = check(worker, gradients, normal(70, 33), normal(33, 20), normal(70, 20))
    (both,) = products(program.launches)
    assert both.nbytes >= 4 * (70 * 33 + 33 * 20 + 70 * 20 + 70 * 20 + 20 * 33)
    assert both.nbytes < 4 * (2 * 70 * 33 + 33 * 20 + 70 * 20 + 70 * 20 + 20 * 33), "what both read is read once"


def test_programs_share_tiles_of_both(worker) -> None:
    """Each product counts its programs in a place of its own."""

    def several(x: Any, *others: Any) -> Any:
        return tuple(o.dot(x, y) for y in others)

    program = check(worker, several, normal(16, 1500) / 40, *(normal(1500, n) for n in (16, 33, 8)))
    (launch,) = program.launches
    assert program.source.count("share = program //") == 3
    assert launch.grid[1:] == (1, 1)


def test_a_product_that_waits_for_another_has_a_launch_of_its_own(worker) -> None:
    def chained(x: Any, y: Any) -> Any:
        first = o.dot(x, y)
        return first, o.dot(x, o.exp(first))

    program = check(worker, chained, normal(20, 20), normal(20, 20) / 9)
    assert len(products(program.launches)) == 2


def test_a_factor_larger_than_the_cache_is_read_twice() -> None:
    """A GPU for sm_80 keeps 40 MiB."""

    def launches(rows: int) -> int:
        g, w, x = (np.zeros(shape, np.float32) for shape in ((rows, 1024), (1024, 16), (rows, 16)))
        return len(products(emit(lower(gradients, [g, w, x])).launches))

    assert launches(10 * 1024) == 1
    assert launches(11 * 1024) == 2


@pytest.mark.parametrize("target", [DEFAULT, on_request("sm_80")])
def test_machine_code(target: str) -> None:
    def rounded(*values: Any) -> Any:
        return gradients(*(o.cast(v, to=bf16) for v in values))

    program = emit(lower(rounded, [normal(1024, 512), normal(512, 256), normal(1024, 256)]), target)
    for kernel, code in zip(program.kernels, compile_program(program), strict=True):
        assert resources(code).spill_bytes == 0
        assert uses_matrix_units(opcodes(code)) == kernel.name.startswith("dot")


def test_new_contents_of_a_state_are_written_in_place(worker) -> None:
    """The product that reads the old contents has a launch of its own, before."""

    def descend(w: Any, g: Any, x: Any) -> Any:
        return o.dot(g, w), o.sub(w, o.dot(o.permute(g, dims=(1, 0)), x))

    program = check(worker, descend, normal(33, 20), normal(70, 33), normal(70, 20), states=1)
    assert len(program.launches) == 2, "and no copy"


def test_small_kernels_of_other_texts_share_a_launch(worker) -> None:
    """A copy beside them is none: the state that one renews is read by the other."""

    def several(p: Any, q: Any, x: Any, y: Any) -> Any:
        return o.exp(p), o.add(x, 1.0), o.sum(y, axes=(0,)), o.sub(p, x), o.mul(q, y)

    program = check(worker, several, *(normal(n) for n in (5000, 300, 5000, 300)), states=2)
    kernels = [x.kernel for x in program.launches]
    assert "memcpy" not in kernels and len(kernels) <= 3
    assert any("_and_" in kernel for kernel in kernels)


def test_a_launch_has_the_most_warps_that_a_part_of_it_asks_for() -> None:
    """Threads of one warp would hold 128 elements each of the large one, of whose programs there are fewer."""

    def several(large: Any, *small: Any) -> Any:
        return o.sum(o.mul(large, large), axes=(0,)), *(o.exp(x) for x in small)

    arrays = [normal(4 * 4096), *(normal(200) for _ in range(9))]
    (joint,) = (x for x in emit(lower(several, arrays)).kernels if "_and_" in x.name)
    assert joint.warps == 16
