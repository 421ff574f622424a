"""Matrix products as Triton source: one readable kernel per product, with what comes before and after it fused in.

    C[b, i, j] = epilogue(sum over k of A[b, i, k] * B[b, k, j])

Sizes and strides are written into the text, so Triton knows every alignment, and a mask stands only where a size is no
multiple of its tile.
"""

import re
from dataclasses import dataclass
from math import prod

GROUP = 8
MAX_BATCH = 65535

TYPES = {
    "bf16": "tl.bfloat16", "fp16": "tl.float16", "fp32": "tl.float32", "fp64": "tl.float64",
    "u8": "tl.uint8", "i8": "tl.int8", "i16": "tl.int16", "i32": "tl.int32", "i64": "tl.int64",
}  # fmt: skip
ITEM_BYTES = {"u8": 1, "i8": 1, "bf16": 2, "fp16": 2, "i16": 2, "fp32": 4, "i32": 4, "fp64": 8, "i64": 8, "i1": 1}
DOTS = ("bf16", "fp16", "fp32")
"""Types with a dot product of their own. Others multiply and add, in small tiles, in their own arithmetic."""


@dataclass(frozen=True)
class Operand:
    """A factor in memory: element type ("bf16", "fp16", "fp32") and strides in elements.

    `strides` are one for each batch dimension, then those of (i, k) for the left factor, of (k, j) for the right one.
    `prologue` are statements on each loaded tile, `x` (BM, BK) of the left factor or `y` (BK, BN) of the right one,
    with the indices `i` (BM, 1), `j` (1, BN), `start + k` (BK,) and, in a batch, `b`. What they leave is rounded to the
    compute type.
    """

    dtype: str
    strides: tuple[int, ...]
    prologue: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatmulSpec:
    """One product: its sizes, its factors, and what becomes of the sums.

    `compute` is the type in which elements are multiplied; sums are fp32. With `tf32`, fp32 factors are cut to 10 bits
    of mantissa for the tensor cores. `params` are the kernel's arguments after `lhs` and `rhs`.

    `epilogue` are statements on `acc` (BM, BN), fp32, with the indices `i` (BM, 1), `j` (1, BN) and, in a batch, the
    flat index `b`. In them `mask=rows`, `mask=cols` and `mask=mask` restrict an access to valid i, to valid j and to
    both; where all are valid they vanish, with an `other=` that follows. Beyond the edge `acc` is whatever the epilogue
    makes of zero, so a sum over a block selects with `rows` or `cols`, which exist where that edge is ragged.
    """

    name: str
    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    compute: str
    params: tuple[str, ...]
    epilogue: tuple[str, ...]
    tf32: bool = False


@dataclass(frozen=True)
class Tile:
    """The block of C that one program computes, its step along k, and the launch options that go with them."""

    m: int
    n: int
    k: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Gpu:
    """Multiprocessors of the GPU a target is tuned for, and the shared memory in bytes that one program may take.

    sm_80 code also runs on compute capability 8.6 and 8.9, so its limit is theirs.
    """

    processors: int
    shared: int


GPUS = {
    "sm_80": Gpu(108, 99 * 1024),
    "sm_90": Gpu(132, 227 * 1024),
    "sm_100": Gpu(148, 227 * 1024),
    "gfx942": Gpu(304, 64 * 1024),
}

# Twice as large again would do for a bare product, but leaves no registers for an epilogue.
SHAPES = [(128, 128), (128, 64), (64, 128), (64, 64), (64, 32), (32, 64), (32, 32), (64, 16), (16, 64), (32, 16)]
SHAPES += [(16, 32), (16, 16)]

# Elements of a tile's edge that take as long to load as one element of its area takes to multiply.
EDGE_COST = 64


HEAVY = 16  # statements of an epilogue from which, as with random numbers, a large tile leaves it too few registers
PLAIN = 16  # the tile's edge where there is no dot product


def config(spec: MatmulSpec, target: str) -> Tile:
    """The tile for a product on a target, chosen without measuring, such that nothing spills.

    A large tile uses each loaded element more often, a small one keeps every multiprocessor busy: the choice is the
    least estimate of rounds of programs times the work of one program.
    """
    if spec.compute not in DOTS:
        return Tile(PLAIN, PLAIN, PLAIN, warps=4, stages=2)
    gpu = GPUS[target]

    def cost(shape: tuple[int, int]) -> int:
        m, n = shape
        programs = _count(spec.m, m) * _count(spec.n, n) * prod(spec.batch)
        return _count(programs, gpu.processors) * (m * n + EDGE_COST * (m + n))

    item = max(ITEM_BYTES[spec.a.dtype], ITEM_BYTES[spec.b.dtype])
    ieee = spec.compute == "fp32" and not spec.tf32
    heavy = len(spec.epilogue) > HEAVY or any("uniform(" in line for line in spec.epilogue)
    if not (_is_aligned(spec.a) and _is_aligned(spec.b)):
        largest = 64 * 64  # loads of single elements pass through registers
    elif ieee or heavy:
        largest = 128 * 64
    else:
        largest = 128 * 128
    m, n = min((shape for shape in SHAPES if shape[0] * shape[1] <= largest), key=cost)
    step = 32 if item == 4 or largest == 64 * 64 else 64
    step = min(step, max(16, 1 << (spec.k - 1).bit_length()))
    return Tile(
        m,
        n,
        step,
        warps=8 if m * n >= (128 * 64 if ieee or heavy else 128 * 128) else 4,
        stages=min(4, gpu.shared // ((m + n) * step * item)),
    )


def grid(spec: MatmulSpec, tile: Tile) -> tuple[int, int, int]:
    """The programs of one launch: tiles of C, then the batch."""
    return _count(spec.m, tile.m) * _count(spec.n, tile.n), prod(spec.batch), 1


def matmul_source(spec: MatmulSpec, tile: Tile) -> str:
    """The text of one `@triton.jit` function of (lhs, rhs, *params), without imports."""
    summary, lines = matmul_lines(spec, tile)
    head = f"def {spec.name}({', '.join(('lhs', 'rhs', *spec.params))}):"
    return "\n".join(["@triton.jit", head, *_indented(f'"""{summary}"""', *lines)]) + "\n"


def matmul_lines(spec: MatmulSpec, tile: Tile) -> tuple[str, list[str]]:
    """What the kernel does in a sentence, and its statements."""
    if prod(spec.batch) > MAX_BATCH:
        raise NotImplementedError(f"{spec.name}: a batch of {prod(spec.batch)} products; one launch takes {MAX_BATCH}")
    rows, cols, steps = bool(spec.m % tile.m), bool(spec.n % tile.n), bool(spec.k % tile.k)
    a_rows, a_steps = spec.a.strides[-2:]
    b_steps, b_cols = spec.b.strides[-2:]
    a_mask = ["rows"] * rows + [f"k[None, :] < {spec.k} - start"] * steps
    b_mask = [f"k[:, None] < {spec.k} - start"] * steps + ["cols"] * cols
    precision = f', input_precision="{"tf32" if spec.tf32 else "ieee"}"' if spec.compute == "fp32" else ""
    counter = "start" if steps or spec.a.prologue or spec.b.prologue else "_"
    wide = ".to(tl.int64)" if _is_large(spec) else ""
    plain = spec.compute not in DOTS
    zeros = TYPES[spec.compute] if plain else "tl.float32"
    product = f"acc = tl.dot(x, y, acc{precision})"
    if plain:
        product = "acc += tl.sum(x[:, :, None] * y[None, :, :], 1).to(acc.dtype)"
    body = [
        *_tile_order(_count(spec.m, tile.m), _count(spec.n, tile.n)),
        f"i = {_indices('row', tile.m, spec.m, wide)}[:, None]",
        f"j = {_indices('col', tile.n, spec.n, wide)}[None, :]",
        f"k = tl.arange(0, {tile.k})",
        *[f"rows = i < {spec.m}"] * rows,
        *[f"cols = j < {spec.n}"] * cols,
        *_batch(spec, wide),
        f"lhs += {_sum(('i', a_rows), ('k[None, :]', a_steps))}",
        f"rhs += {_sum(('k[:, None]', b_steps), ('j', b_cols))}",
        *[f"lhs = tl.broadcast_to(lhs, ({tile.m}, {tile.k}))"] * (0 in (a_rows, a_steps)),
        *[f"rhs = tl.broadcast_to(rhs, ({tile.k}, {tile.n}))"] * (0 in (b_steps, b_cols)),
        f"acc = tl.zeros(({tile.m}, {tile.n}), {zeros})",
        f"for {counter} in range(0, {spec.k}, {tile.k}):",
        *_indented(
            _load("x", "lhs", a_mask),
            _load("y", "rhs", b_mask),
            *_prologue("x", spec.a, spec.compute),
            *_prologue("y", spec.b, spec.compute),
            product,
            f"lhs += {tile.k * a_steps}",
            f"rhs += {tile.k * b_steps}",
        ),
        *(_with_masks(line, rows, cols) for line in spec.epilogue),
    ]
    return _describe(spec, tile), body


def _count(size: int, tile: int) -> int:
    return -(-size // tile)


def _describe(spec: MatmulSpec, tile: Tile) -> str:
    times = f"{' x '.join(map(str, spec.batch))} times " if spec.batch else ""
    sizes = f"[{spec.m}, {spec.k}] {spec.a.dtype} @ [{spec.k}, {spec.n}] {spec.b.dtype}"
    return f"{times}{sizes} in {spec.compute}, tiles of {tile.m} x {tile.n} x {tile.k}."


def _tile_order(rows: int, cols: int) -> list[str]:
    """Tiles run down groups of GROUP rows, so that programs running together share tiles of both factors in L2."""
    if cols == 1:
        return ["row = tl.program_id(0)"] if rows > 1 else []
    if rows == 1:
        return ["col = tl.program_id(0)"]
    tile = "tile = tl.program_id(0)"
    if rows <= GROUP:
        return [tile, f"row = tile % {rows}", f"col = tile // {rows}"]
    in_group = f"tile % {GROUP * cols}"
    lines = [tile, f"group = tile // {GROUP * cols} * {GROUP}"]
    if rows % GROUP == 0:
        return [*lines, f"row = group + tile % {GROUP}", f"col = {in_group} // {GROUP}"]
    return [
        *lines,
        f"height = tl.minimum({rows} - group, {GROUP})",
        f"row = group + {in_group} % height",
        f"col = {in_group} // height",
    ]


def _indices(tile: str, step: int, size: int, wide: str) -> str:
    return f"({tile}{wide} * {step} + tl.arange(0, {step}))" if size > step else f"tl.arange(0, {step})"


def _batch(spec: MatmulSpec, wide: str) -> list[str]:
    if prod(spec.batch) == 1:
        return []
    lines = [f"b = tl.program_id(1){wide}"]
    for pointer, operand in (("lhs", spec.a), ("rhs", spec.b)):
        terms = []
        inner = prod(spec.batch)
        for size, stride in zip(spec.batch, operand.strides):
            outer, inner = inner, inner // size
            index = "b" if inner == 1 else f"b // {inner}"
            terms.append((index if outer == prod(spec.batch) else f"{index} % {size}", stride))
        offset = _sum(*terms)
        if offset != "0":
            lines.append(f"{pointer} += {offset}")
    return lines


def _is_aligned(operand: Operand) -> bool:
    """Whether every row of the operand, along its contiguous dimension, starts at a multiple of 16 bytes."""
    return 1 in operand.strides[-2:] and all(
        stride == 1 or stride * ITEM_BYTES[operand.dtype] % 16 == 0 for stride in operand.strides
    )


def _is_large(spec: MatmulSpec) -> bool:
    """Whether an index into a factor or into C may pass 32 bits."""

    def extent(sizes: tuple[int, ...], strides: tuple[int, ...]) -> int:
        return sum(size * abs(stride) for size, stride in zip(sizes, strides))

    left = extent((*spec.batch, spec.m, spec.k), spec.a.strides)
    right = extent((*spec.batch, spec.k, spec.n), spec.b.strides)
    return max(left, right, prod(spec.batch) * spec.m * spec.n) >= 2**31


def _sum(*terms: tuple[str, int]) -> str:
    """An index expression: "i * 768 + k[None, :]" """
    written = [index if stride == 1 else f"{index} * {stride}" for index, stride in terms if stride]
    return " + ".join(written) or "0"


def _load(name: str, pointer: str, mask: list[str]) -> str:
    if not mask:
        return f"{name} = tl.load({pointer})"
    condition = mask[0] if len(mask) == 1 else " & ".join(part if part.isidentifier() else f"({part})" for part in mask)
    return f"{name} = tl.load({pointer}, mask={condition}, other=0.0)"


def _prologue(name: str, operand: Operand, compute: str) -> list[str]:
    rounding = [f"{name} = {name}.to({TYPES[compute]})"] if operand.prologue or operand.dtype != compute else []
    return [*operand.prologue, *rounding]


def _with_masks(line: str, rows: bool, cols: bool) -> str:
    """An epilogue line with its masks spelled out, or left out where they hold everywhere."""
    both = " & ".join(["rows"] * rows + ["cols"] * cols)
    meanings = {"rows": "rows" * rows, "cols": "cols" * cols, "mask": both}

    def spell(match: re.Match[str]) -> str:
        meaning = meanings[match["mask"]]
        return f", mask={meaning}{match['other'] or ''}" if meaning else ""

    return re.sub(r", mask=(?P<mask>rows|cols|mask)\b(?P<other>, other=[^,()]+)?", spell, line)


def _indented(*lines: str) -> list[str]:
    return [f"    {line}" for line in lines]
