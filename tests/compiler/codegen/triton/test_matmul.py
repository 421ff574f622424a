"""Matrix products: right under the interpreter, fast by the look of their machine code."""

import re
from dataclasses import replace

import numpy as np
import pytest

from compiler.codegen.sizes import ceil_div
from compiler.codegen.triton.factors import Operand
from compiler.codegen.triton.matmul import MatmulSpec, Tile, config, grid, matmul_lines, parts
from compiler.codegen.triton.prelude import prelude
from compiler.codegen.triton.spelling import SIGNATURE, TYPES
from compiler.ir.types import bf16, f16, f32
from compiler.processors import GPUS
from runtime.triton.aot import compile_kernel, load_module
from runtime.triton.machine_code import global_accesses, is_wide, opcodes, resources, uses_matrix_units
from tests.compiler.codegen.triton.targets import TARGETS


def product(m, n, k, *, dtypes=(bf16, bf16), compute=bf16, layout="NN", batch=()) -> MatmulSpec:
    """C = A @ B with contiguous factors; layout "T" stores a factor transposed. C has the compute type."""
    strides = [(k, 1) if layout[0] == "N" else (1, m), (n, 1) if layout[1] == "N" else (1, k)]
    sizes = [m * k, k * n]
    lead = [tuple(int(np.prod(batch[axis + 1 :])) * size for axis in range(len(batch))) for size in sizes]
    a, b = (Operand(dtype, (*outer, *inner)) for dtype, outer, inner in zip(dtypes, lead, strides))
    at = f"b * {m * n} + i * {n} + j" if np.prod(batch) > 1 else f"i * {n} + j"
    store = f"tl.store(out + {at}, acc.to({TYPES[compute]}), mask=mask)"
    return MatmulSpec(batch, m, n, k, a, b, compute, (store,))


def factors(spec: MatmulSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Memory for both factors, and views of it with their logical shapes."""
    rng = np.random.default_rng(spec.m + spec.n + spec.k)
    result = []
    for operand, shape in ((spec.a, (*spec.batch, spec.m, spec.k)), (spec.b, (*spec.batch, spec.k, spec.n))):
        length = 1 + sum((size - 1) * stride for size, stride in zip(shape, operand.strides))
        memory = rng.standard_normal(length).astype(operand.dtype.numpy)
        strides = [stride * memory.itemsize for stride in operand.strides]
        result += [memory, np.lib.stride_tricks.as_strided(memory, shape, strides)]
    return result[0], result[2], result[1], result[3]


def with_masks(line: str, rows: bool, cols: bool) -> str:
    """The line of an epilogue; ``mask=rows``, ``mask=cols``, ``mask=mask`` stay only where an edge is ragged."""
    both = " & ".join(["rows"] * rows + ["cols"] * cols)
    meanings = {"rows": "rows" * rows, "cols": "cols" * cols, "mask": both}

    def spell(match: re.Match[str]) -> str:
        meaning = meanings[match["mask"]]
        return f", mask={meaning}{match['other'] or ''}" if meaning else ""

    return re.sub(r", mask=(?P<mask>rows|cols|mask)\b(?P<other>, other=[^,()]+)?", spell, line)


def matmul_source(spec: MatmulSpec, tile: Tile, params: tuple[str, ...] = ("out",), name: str = "product") -> str:
    """The text of one function of (lhs, rhs, *params), without imports."""
    lines = [with_masks(line, bool(spec.m % tile.m), bool(spec.n % tile.n)) for line in spec.epilogue]
    summary, body = matmul_lines(replace(spec, epilogue=tuple(lines)), tile)
    shared = ("parts", "ended") if tile.splits > 1 else ()
    head = f"def {name}({', '.join(('lhs', 'rhs', *params, *shared))}):"
    return "\n".join(["@triton.jit", head, *(f"    {line}" for line in (f'"""{summary}"""', *body))]) + "\n"


def module(spec: MatmulSpec, tile: Tile, params: tuple[str, ...] = ("out",), name: str = "product") -> str:
    body = matmul_source(spec, tile, params, name)
    return f"{prelude(body)}\n\n{body}"


SHARED = {"parts": "*fp32", "ended": "*i64"}


def signature(spec: MatmulSpec, tile: Tile, **params: str) -> dict[str, str]:
    """The types of the kernel's parameters."""
    shared = SHARED if tile.splits > 1 else {}
    return {"lhs": f"*{SIGNATURE[spec.a.dtype]}", "rhs": f"*{SIGNATURE[spec.b.dtype]}", **params, **shared}


def check(interpret, spec: MatmulSpec, tile: Tile) -> None:
    lhs, rhs, a, b = factors(spec)
    out = np.zeros((*spec.batch, spec.m, spec.n), spec.compute.numpy)
    shared = []
    if tile.splits > 1:
        count, elements = parts(spec, tile)
        shared = [np.full((tile.splits, elements), np.nan, np.float32), np.zeros(count, np.int64)]
    _, _, out, *shared = interpret(module(spec, tile), "product", grid(spec, tile), [lhs, rhs, out, *shared])
    assert not shared or not shared[1].any(), "the next launch counts from zero again"
    rounded = [x.astype(spec.compute.numpy).astype(np.float32) for x in (a, b)]
    expected = np.matmul(*rounded)
    # One rounding of the result, and sums in another order.
    tolerance = {bf16: 2**-8, f16: 2**-11, f32: 2**-22}[spec.compute]
    np.testing.assert_allclose(out.astype(np.float32), expected, rtol=tolerance, atol=1e-5)


SMALL = Tile(16, 32, 16, 4, 2)


@pytest.mark.parametrize("layout", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("sizes", [(32, 64, 32), (33, 64, 32), (32, 65, 32), (32, 64, 39), (17, 35, 50), (1, 1, 1)])
def test_every_layout_and_every_ragged_edge(interpret, layout, sizes):
    check(interpret, product(*sizes, layout=layout), SMALL)


@pytest.mark.parametrize("compute", [bf16, f16, f32])
@pytest.mark.parametrize("left", [bf16, f32])
def test_factors_are_rounded_to_the_compute_type(interpret, compute, left):
    check(interpret, product(33, 40, 50, dtypes=(left, f32), compute=compute), SMALL)


@pytest.mark.parametrize("rows, cols", [(1, 1), (1, 3), (3, 1), (8, 2), (11, 3), (16, 3)])
def test_the_tile_order_covers_every_tile(interpret, rows, cols):
    check(interpret, product(16 * rows, 16 * cols, 16), Tile(16, 16, 16, 4, 2))


@pytest.mark.parametrize("batch", [(1,), (3,), (2, 3), (2, 1, 3)])
def test_batches(interpret, batch):
    check(interpret, product(20, 24, 16, batch=batch), SMALL)


def test_heads_of_packed_projections_and_a_broadcast_factor(interpret):
    """Queries in [batch, time, 3, heads, size], one key matrix for all heads."""
    batch, time, heads, size = 2, 20, 3, 16
    row = 3 * heads * size
    a = Operand(bf16, (time * row, size, row, 1))
    b = Operand(bf16, (time * size, 0, 1, size))
    check(interpret, replace(product(time, time, size, batch=(batch, heads)), a=a, b=b), SMALL)


def test_prologue_and_epilogue(interpret):
    """out = relu((s * A) @ B + bias), and the sums of its columns within each tile."""
    spec = product(40, 50, 48, compute=f32, dtypes=(f32, f32))
    scale = ("x *= tl.load(scale + start + k, mask=start + k < 48, other=0.0)[None, :]",)
    epilogue = (
        "acc += tl.load(bias + j, mask=cols, other=0.0)",
        "acc = tl.maximum(acc, 0.0)",
        "tl.store(out + i * 50 + j, acc, mask=mask)",
        "tl.store(sums + row * 50 + j, tl.sum(tl.where(rows, acc, 0.0), 0)[None, :], mask=cols)",
    )
    params = ("scale", "bias", "out", "sums")
    spec = replace(spec, a=replace(spec.a, prologue=scale), epilogue=epilogue)
    lhs, rhs, a, b = factors(spec)
    rng = np.random.default_rng(0)
    s, bias = rng.standard_normal(48).astype(np.float32), rng.standard_normal(50).astype(np.float32)
    arguments = [lhs, rhs, s, bias, np.zeros((40, 50), np.float32), np.zeros((3, 50), np.float32)]
    *_, out, sums = interpret(module(spec, SMALL, params), "product", grid(spec, SMALL), arguments)
    expected = np.maximum((a * s) @ b + bias, 0)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sums[1], expected[16:32].sum(0), rtol=1e-5, atol=1e-5)


def test_masks_stand_only_at_ragged_edges():
    epilogue = ("acc += tl.load(bias + j, mask=cols, other=0.0)", "tl.store(out + i + j, acc, mask=mask)")
    spec = replace(product(32, 64, 32), epilogue=epilogue)

    def accesses(m, n, k):
        text = matmul_source(replace(spec, m=m, n=n, k=k), SMALL)
        return [
            re.sub(r".*(mask=.*)\)$", r"\1", line) for line in text.splitlines() if "tl.load" in line or "store" in line
        ]

    assert "mask" not in matmul_source(spec, SMALL)
    assert accesses(33, 65, 33) == [
        "mask=rows & (k[None, :] < 33 - start), other=0.0",
        "mask=(k[:, None] < 33 - start) & cols, other=0.0",
        "mask=cols, other=0.0",
        "mask=rows & cols",
    ]
    assert accesses(33, 64, 32)[0] == "mask=rows, other=0.0"
    assert accesses(33, 64, 32)[3] == "mask=rows"


def test_the_text_reads_well(golden):
    spec = replace(
        product(1024, 3072, 768, layout="NT", dtypes=(f32, bf16)),
        epilogue=(
            "acc += tl.load(bias + j)",
            "tl.store(out + i * 3072 + j, tl.maximum(acc, 0.0).to(tl.bfloat16), mask=mask)",
        ),
    )
    golden("triton/linear_relu.txt", module(spec, config(spec, "sm_80"), ("bias", "out"), "linear_relu"))


GELU = (
    "acc += tl.load(bias + j, mask=cols, other=0.0)",
    "acc = 0.5 * acc * (1.0 + tl.erf(acc * 0.7071067811865476))",
)

MACHINE_CODE = {
    "large": product(2048, 3072, 768, layout="NT"),
    "weight gradient": product(768, 768, 4096, layout="TN", compute=f16, dtypes=(f16, f16)),
    "casting": product(2048, 768, 768, dtypes=(f32, f32)),
    "small": product(64, 10, 512, layout="NT"),
    "odd strides": product(1001, 65, 99),
    "batch": product(256, 256, 64, batch=(8, 12), layout="NT"),
    "ieee": product(1024, 1024, 1024, dtypes=(f32, f32), compute=f32),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", MACHINE_CODE)
def test_machine_code(case, target):
    spec = MACHINE_CODE[case]
    spec = replace(spec, epilogue=(*GELU, *spec.epilogue))
    tile = config(spec, target)
    kernel = compile_kernel(
        load_module(module(spec, tile, ("bias", "out"))).product,
        signature(spec, tile, bias="*fp32", out=f"*{SIGNATURE[spec.compute]}"),
        target=target,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    codes = opcodes(kernel)
    assert resources(kernel).spill_bytes == 0
    assert kernel.shared <= GPUS[target].shared
    assert uses_matrix_units(codes) == (case != "ieee" or target == "gfx942")  # AMD multiplies float32 there too
    if case != "odd strides":
        few = target == "gfx942" and case == "small"  # its 256 threads share a tile of 16 rows
        assert few or any(is_wide(access) for access in global_accesses(codes))
        assert not any("U16" in code for code in codes if code.startswith("LDG"))
    if case != "odd strides" and target != "gfx942":
        asynchronous = any(code.startswith("LDGSTS") for code in codes)
        assert asynchronous == (spec.k > tile.k), "a loop copies the next tiles while it multiplies these"


def test_small_products_take_small_tiles_and_large_ones_large():
    def area(*sizes):
        tile = config(product(*sizes), "sm_90")
        return tile.m * tile.n

    assert area(8192, 3072, 768) == 128 * 128
    assert area(64, 64, 64) <= 32 * 32
    assert config(product(8192, 3072, 16), "sm_90").k == 16


@pytest.mark.parametrize("layout", ["NN", "TN"])
@pytest.mark.parametrize("splits", [2, 3, 5])
@pytest.mark.parametrize("sizes", [(32, 64, 160), (33, 40, 155), (16, 32, 77)])
def test_programs_share_a_tile(interpret, sizes, splits, layout):
    spec = product(*sizes, layout=layout)
    check(interpret, spec, replace(SMALL, splits=splits))
    check(interpret, replace(product(*sizes, batch=(2, 3))), replace(SMALL, splits=splits))


def test_a_shared_tile_of_a_batch_larger_than_the_second_axis_of_a_grid(interpret, monkeypatch):
    monkeypatch.setattr("compiler.codegen.triton.matmul.MAX_BATCH", 5)
    check(interpret, product(40, 70, 64, batch=(2, 3)), replace(SMALL, splits=2))


def test_deep_products_of_few_tiles_are_split():
    def splits(*sizes, **options):
        return config(product(*sizes, **options), "sm_90").splits

    assert splits(768, 768, 8192) > 1 and splits(384, 384, 8192) > 1
    assert splits(8192, 3072, 768) == splits(64, 512, 256) == splits(256, 256, 8192, batch=(96,)) == 1
    assert splits(64, 512, 784) == splits(64, 10, 512) == 1, "waiting for the other parts would take longer"
    for k in (0, 1, 1000, 8191):
        tile = config(product(64, 64, k), "sm_90")
        span = ceil_div(ceil_div(k, tile.k), tile.splits) * tile.k
        assert k == 0 or (tile.splits - 1) * span < k <= tile.splits * span, "no part is empty"


@pytest.mark.parametrize("sizes", [(20, 24, 16), (40, 70, 16)])
def test_a_batch_larger_than_the_second_axis_of_a_grid(interpret, monkeypatch, sizes):
    assert grid(product(*sizes, batch=(7, 10**4)), Tile(64, 128, 16, 4, 2)) == (70000, 1, 1)
    monkeypatch.setattr("compiler.codegen.triton.matmul.MAX_BATCH", 5)
    check(interpret, product(*sizes, batch=(2, 3)), SMALL)


def test_indices_past_32_bits_are_computed_in_64():
    text = matmul_source(product(2**20, 4096, 16), SMALL)
    assert "row.to(tl.int64)" in text
    assert "int64" not in matmul_source(product(2**18, 4096, 16), SMALL)


@pytest.mark.parametrize("target", TARGETS)
def test_random_numbers_in_the_epilogue_do_not_spill(target):
    draw = "keep = uniform(tl.load(state), tl.load(state + 1), i * 384 + j) >= 0.1"
    store = "tl.store(out + i * 384 + j, tl.where(keep, acc * 1.25, 0.0), mask=mask)"
    spec = replace(product(8192, 384, 1536), epilogue=(draw, store))
    tile = config(spec, target)
    kernel = compile_kernel(
        load_module(module(spec, tile, ("state", "out"))).product,
        signature(spec, tile, state="*i64", out="*fp32"),
        target=target,
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    assert resources(kernel).spill_bytes == 0


def test_a_deep_product_is_a_loop_of_the_same_code() -> None:
    def products(k: int) -> int:
        spec = product(64, 64, k)
        tile = config(spec, "sm_80")
        fn = load_module(module(spec, tile)).product
        types = signature(spec, tile, out="*bf16")
        kernel = compile_kernel(fn, types, target="sm_80", num_warps=tile.warps)
        return sum(count for code, count in opcodes(kernel).items() if code.startswith("HMMA"))

    assert products(512) == products(1024)
