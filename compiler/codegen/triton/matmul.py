"""Matrix products as Triton source: one readable kernel per product, with what comes before and after it fused in.

    C[b, i, j] = epilogue(sum over k of A[b, i, k] * B[b, k, j])

Sizes and strides are written into the text, so Triton knows every alignment, and a mask stands only where a size is no
multiple of its tile.

If there are fewer tiles than multiprocessors, several programs share a tile, each with a part of k. Each of them
leaves its partial sums; the last one to end adds up all of them, always in the same order, and goes on. Only that
program knows that it is the last, from a count of the programs that have ended, which it sets back to zero.
"""

import re
from dataclasses import dataclass
from math import prod

from compiler.codegen.sizes import ceil_div
from compiler.codegen.triton.factors import Factor, Side
from compiler.codegen.triton.spelling import SIGNATURE, TYPES, widened
from compiler.ir.types import DType, bf16, f16, f32
from compiler.processors import GPUS

GROUP = 8
MAX_BATCH = 65535

DOTS = (bf16, f16, f32)
"""Types with a dot product of their own. Others multiply and add, in small tiles, in their own arithmetic."""


@dataclass(frozen=True)
class MatmulSpec:
    """One product: its sizes, its factors, and what becomes of the sums.

    `compute` is the type in which elements are multiplied; sums are fp32.

    `epilogue` are statements on `acc` (BM, BN), fp32, with the indices `i` (BM, 1), `j` (1, BN) and, in a batch, the
    flat index `b`. The conditions `rows` and `cols` exist where that edge is ragged. Beyond the edge
    `acc` is whatever the epilogue makes of zero. It adds up heads, of `head` columns each, of which a tile holds whole
    ones.
    """

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Factor
    b: Factor
    compute: DType
    epilogue: tuple[str, ...] = ()
    head: int = 1


@dataclass(frozen=True)
class Tile:
    """The block of C that one program computes, its step along k, and the launch options that go with them.

    k is cut into ``splits``, with a program for each.
    """

    m: int
    n: int
    k: int
    warps: int
    stages: int
    splits: int = 1


# Twice as large again would do for a bare product, but leaves no registers for an epilogue.
SHAPES = [(128, 128), (128, 64), (64, 128), (64, 64), (64, 32), (32, 64), (32, 32), (64, 16), (16, 64), (32, 16)]
SHAPES += [(16, 32), (16, 16)]

EDGE_COST = 64  # elements of a tile's edge that take as long to load as one element of its area takes to multiply
HEAVY = 16  # statements of an epilogue from which, as with random numbers, a large tile leaves it too few registers
MOST_STORED = 2  # results of an epilogue beyond which it holds as many tensors as an optimizer
PART_COST = 256  # the same for one element of a tile's partial sums to be stored, or loaded again
WAIT_COST = 2**20  # the same for a program to tell the others that its sums are stored: an estimate of 0.5 us
LEAST = 256  # places along k that are worth a program of their own
MOST_SPLITS = 16
UNROLLED = 4  # steps along k up to which the compiler may write them all out
PLAIN = 16  # the tile's edge where there is no dot product


def config(spec: MatmulSpec, target: str, beside: int = 0, most_warps: int = 8) -> Tile:
    """The tile for a product on a target, chosen without measuring, such that nothing spills.

    A large tile uses each loaded element more often, a small one keeps every multiprocessor busy: the choice is the
    least estimate of rounds of programs times the work of one program. ``beside`` is the :func:`work` of other
    programs of the launch, which keep multiprocessors busy, too: then it is the longest of one program and the share
    of one multiprocessor. A program has at most ``most_warps``, 4 or 8.
    """
    gpu = GPUS[target]

    def tiles(m: int, n: int) -> int:
        return ceil_div(spec.m, m) * ceil_div(spec.n, n) * prod(spec.batch)

    def cost(shape: tuple[int, int, int]) -> int:
        own, count = _length(spec, *shape), tiles(*shape[:2]) * shape[2]
        if beside:
            return max(own, ceil_div(own * count + beside, gpu.processors))
        return ceil_div(count, gpu.processors) * own

    def splits(m: int, n: int) -> range:
        return range(1, 1 + max(1, min(gpu.processors // tiles(m, n), spec.k // LEAST, MOST_SPLITS)))

    if spec.compute not in DOTS:
        shape = min(((PLAIN, PLAIN, count) for count in splits(PLAIN, PLAIN)), key=cost)
        return Tile(PLAIN, PLAIN, PLAIN, warps=4, stages=2, splits=_splits(spec.k, PLAIN, shape[2]))
    item = max(spec.a.dtype.itemsize, spec.b.dtype.itemsize)
    ieee = spec.compute is f32
    heavy = len(spec.epilogue) > HEAVY or any("uniform(" in line for line in spec.epilogue)
    aligned = spec.a.is_aligned and spec.b.is_aligned
    eight = 128 * 64 if ieee or heavy else 128 * 128  # elements of a tile from which on it takes eight warps
    if spec.k < LEAST and sum(line.startswith("tl.store(o") for line in spec.epilogue) > MOST_STORED:
        largest = eight = 64 * 32  # most of the work is an optimizer's: threads hold eight elements of each tensor
    elif not aligned:
        largest = 64 * 64  # loads of single elements pass through registers
    elif ieee or heavy:
        largest = 128 * 64
    else:
        largest = 128 * 128
    shapes = [
        (m, n) for m, n in SHAPES if m * n <= largest and (most_warps == 8 or m * n < eight) and not n % spec.head
    ]
    shapes = shapes or [(16, spec.head)]
    m, n, count = min(((m, n, count) for m, n in shapes for count in splits(m, n)), key=cost)
    step = 32 if item == 4 or not aligned else 64
    step = min(step, max(16, 1 << (spec.k - 1).bit_length()))
    return Tile(
        m,
        n,
        step,
        warps=8 if m * n >= eight else 4,
        stages=min(4, gpu.shared // ((m + n) * step * item)),
        splits=_splits(spec.k, step, count),
    )


def _length(spec: MatmulSpec, m: int, n: int, splits: int) -> int:
    """The work of one program, in elements to be multiplied."""
    parts = (1 + splits) * PART_COST * m * n + WAIT_COST if splits > 1 else 0
    return ceil_div(spec.k, splits) * (m * n + EDGE_COST * (m + n)) + parts


def work(spec: MatmulSpec, tile: Tile) -> int:
    """The work of all programs of a launch, in elements to be multiplied."""
    return prod(grid(spec, tile)) * _length(spec, tile.m, tile.n, tile.splits)


def grid(spec: MatmulSpec, tile: Tile) -> tuple[int, int, int]:
    """The programs of one launch: tiles of C, then the batch, then the parts of k."""
    return (*programs(ceil_div(spec.m, tile.m) * ceil_div(spec.n, tile.n), prod(spec.batch))[:2], tile.splits)


def parts(spec: MatmulSpec, tile: Tile) -> tuple[int, int]:
    """How many tiles of C there are, and the elements of all."""
    count = ceil_div(spec.m, tile.m) * ceil_div(spec.n, tile.n) * prod(spec.batch)
    return count, count * tile.m * tile.n


def programs(tiles: int, batch: int) -> tuple[int, int, int]:
    """The grid of a launch of ``tiles`` programs for each number of a batch; see :func:`numbers`."""
    return (tiles, batch, 1) if batch <= MAX_BATCH else (tiles * batch, 1, 1)


def numbers(tiles: int, batch: int) -> tuple[str, str]:
    """How a program of such a launch says which tile is its own, and in which number of the batch."""
    if batch <= MAX_BATCH:
        return "tl.program_id(0)", "tl.program_id(1)"
    return f"tl.program_id(0) % {tiles}" if tiles > 1 else "0", f"tl.program_id(0) // {tiles}"


def matmul_lines(spec: MatmulSpec, tile: Tile) -> tuple[str, list[str]]:
    """The kernel's work in a sentence, and its statements."""
    rows, cols = bool(spec.m % tile.m), bool(spec.n % tile.n)
    wide = _widened(spec)
    first = "first" if tile.splits > 1 else ""
    sides = (
        (spec.a, Side(True, tile.m, tile.k, spec.k, rows, bool(wide), first)),
        (spec.b, Side(False, tile.n, tile.k, spec.k, cols, bool(wide), first)),
    )
    precision = ', input_precision="ieee"' if spec.compute is f32 else ""
    plain = spec.compute not in DOTS
    zeros = TYPES[spec.compute] if plain else "tl.float32"
    product = f"acc = tl.dot(x, y, acc{precision})"
    if plain:
        product = "acc += tl.sum(x[:, :, None] * y[None, :, :], 1).to(acc.dtype)"
    down, right, batch = ceil_div(spec.m, tile.m), ceil_div(spec.n, tile.n), prod(spec.batch)
    own, number = numbers(down * right, batch)
    loop = [
        *(line for factor, side in sides for line in factor.step(side, spec.compute)),
        product,
        *(line for factor, side in sides for line in factor.advance(side)),
    ]
    counter = "start" if any(re.search(r"\bstart\b", line) for line in loop) else "_"
    span = ceil_div(ceil_div(spec.k, tile.k), tile.splits) * tile.k
    ends = f"first, tl.minimum(first + {span}, {spec.k})" if first else f"0, {_end(spec, tile)}"
    body = [
        *_tile_order(down, right, own),
        f"i = {_indices('row', tile.m, spec.m, wide)}[:, None]",
        f"j = {_indices('col', tile.n, spec.n, wide)}[None, :]",
        f"k = tl.arange(0, {tile.k})",
        *[f"rows = i < {spec.m}"] * rows,
        *[f"cols = j < {spec.n}"] * cols,
        *[f"b = {number}{wide}" if batch <= MAX_BATCH or not wide else f"b = ({number}){wide}"] * (batch > 1),
        *[f"first = tl.program_id(2) * {span}"] * bool(first),
        *(line for factor, side in sides for line in factor.top(side, spec.batch)),
        f"acc = tl.zeros(({tile.m}, {tile.n}), {zeros})",
        f"for {counter} in range({ends}, {tile.k}):",
        *_indented(*loop),
        *(_joined(spec, tile, own) if first else spec.epilogue),
    ]
    return _describe(spec, tile), body


def _joined(spec: MatmulSpec, tile: Tile, own: str) -> list[str]:
    """Statements that leave partial sums; the last program adds them up and goes on with the epilogue."""
    count, elements = parts(spec, tile)
    batch = prod(spec.batch)
    number = (
        own if batch == 1 else f"b * {count // batch} + {own}" if " " not in own else f"b * {count // batch} + ({own})"
    )
    wide = widened(elements * tile.splits)
    inside = f"tl.arange(0, {tile.m})[:, None] * {tile.n} + tl.arange(0, {tile.n})[None, :]"
    return [
        f"number = {number}",
        f"part = parts + number{wide} * {tile.m * tile.n} + {inside}",
        f"tl.store(part + tl.program_id(2){wide} * {elements}, acc)",
        "tl.debug_barrier()  # the whole program has stored its sums before it says so",
        f"if tl.atomic_add(ended + number, 1) == {tile.splits - 1}:",
        *_indented(
            "tl.store(ended + number, 0)",
            'acc = tl.load(part, cache_modifier=".cg")',
            f"for split in range(1, {tile.splits}):",
            f'    acc += tl.load(part + split{wide} * {elements}, cache_modifier=".cg")',
            *spec.epilogue,
        ),
    ]


def _splits(k: int, step: int, wanted: int) -> int:
    """Into how many parts of whole steps k is cut where there should be ``wanted``, or fewer."""
    steps = max(1, ceil_div(k, step))
    return ceil_div(steps, ceil_div(steps, wanted))


def _end(spec: MatmulSpec, tile: Tile) -> str:
    """The end of the walk along k, of more than a few steps as a number that the compiler cannot see.

    The third dimension of every grid is 1. A loop of known length would be unrolled as a whole: 24 copies of a tile's
    loads and products take long to compile, and the loads of all are started at once.
    """
    return f"{spec.k} * tl.num_programs(2)" if ceil_div(spec.k, tile.k) > UNROLLED else str(spec.k)


def _describe(spec: MatmulSpec, tile: Tile) -> str:
    times = f"{' x '.join(map(str, spec.batch))} times " if spec.batch else ""
    a, b, compute = (SIGNATURE[dtype] for dtype in (spec.a.dtype, spec.b.dtype, spec.compute))
    split = f", k in {tile.splits} parts" if tile.splits > 1 else ""
    sizes = f"[{spec.m}, {spec.k}] {a} @ [{spec.k}, {spec.n}] {b}"
    return f"{times}{sizes} in {compute}, tiles of {tile.m} x {tile.n} x {tile.k}{split}."


def _tile_order(rows: int, cols: int, own: str) -> list[str]:
    """Which tile is the program's own.

    Tiles run down groups of GROUP rows, so that programs running together share tiles of both factors in L2.
    """
    if cols == 1:
        return [f"row = {own}"] if rows > 1 else []
    if rows == 1:
        return [f"col = {own}"]
    tile = f"tile = {own}"
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


def _widened(spec: MatmulSpec) -> str:
    """What makes an index 64 bits wide, if one into a factor or into C may pass 32 bits."""
    left = spec.a.extent((*spec.batch, spec.m, spec.k))
    right = spec.b.extent((*spec.batch, spec.k, spec.n))
    return widened(max(left, right, prod(spec.batch) * spec.m * spec.n))


def _indented(*lines: str) -> list[str]:
    return [f"    {line}" for line in lines]
