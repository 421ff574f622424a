"""Joins partial results in the order of their chunks: all that are ready share one launch."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.codegen.triton import reduction
from compiler.codegen.triton.spelling import COMPUTE, TYPES
from compiler.codegen.triton.task import Argument, Entry, Table, Task
from compiler.ir.graph import Node, Value
from compiler.ir.types import DType
from compiler.placement import Scratch
from compiler.sharing import Shareable

ROWS, COLUMNS = 32, 32  # partial results that a program joins at a time, by columns
BLOCK = 1024  # the same where one result is left


class Combine(Shareable):
    """Partial results ``[chunks, width]`` become ``width`` results, or with ``by_column`` unset, one."""

    def __init__(self, op: str, partial: Scratch, target: Value, by_column: bool, node: Node) -> None:
        key = ("combine", op, partial.type.dtype, target.dtype, by_column)
        super().__init__(key, [partial], [target], [node])
        self.op, self.partial, self.target, self.by_column = op, partial, target, by_column

    def merged(self, others: Sequence[Shareable]) -> Task:
        members = [m for m in (self, *others) if isinstance(m, Combine)]
        table: list[Entry] = []
        work: list[Entry] = []
        for member in members:
            chunks, width = member.partial.type.shape
            sizes = (chunks, width) if self.by_column else (chunks * width, 1)
            for start in range(0, sizes[1], COLUMNS):
                work += [len(table), start]
            table += [(member.partial, 0), (member.target, 0), *sizes]
        name = f"combine_{self.op}_{self.target.dtype.short}{'_columns' if self.by_column else ''}"
        return Task(
            name,
            f"Joins partial results, {'column by column' if self.by_column else 'all of a tensor'}: {self.op}.",
            combine_text(self.op, self.partial.type.dtype, self.target.dtype, self.by_column),
            [Argument("table", Table(table)), Argument("work", Table(work))],
            (len(work) // 2, 1, 1),
            4,
            [n for m in members for n in m.nodes],
            [p for m in members for p in m.reads],
            [p for m in members for p in m.writes],
        )


def combine_text(op: str, dtype: DType, out: DType, by_column: bool) -> list[str]:
    """The body of the kernel: ``table`` holds partial results, target, their number and width of each tensor."""
    compute, neutral = COMPUTE[dtype], reduction.start(op, dtype)
    lines = [
        "entry = table + tl.load(work + 2 * tl.program_id(0))",
        f"partial = tl.load(entry).to(tl.pointer_type({TYPES[dtype]}))",
        f"out = tl.load(entry + 1).to(tl.pointer_type({TYPES[out]}))",
        "chunks = tl.load(entry + 2).to(tl.int32)",
    ]
    if by_column:
        lines += [
            "width = tl.load(entry + 3).to(tl.int32)",
            f"c = tl.load(work + 2 * tl.program_id(0) + 1).to(tl.int32) + tl.arange(0, {COLUMNS})[None, :]",
            f"total = tl.full(({ROWS}, {COLUMNS}), {neutral}, {compute})",
            f"for start in range(0, chunks, {ROWS}):",
            f"    chunk = start + tl.arange(0, {ROWS})[:, None]",
            "    valid = (chunk < chunks) & (c < width)",
            f"    x = tl.load(partial + chunk * width + c, mask=valid, other={neutral})",
            f"    total = {reduction.join(op, dtype, 'total', 'x')}",
            f"tl.store(out + c, {reduction.collapse(op, dtype, 'total', '0, keep_dims=True')}, mask=c < width)",
        ]
    else:
        lines += [
            f"total = tl.full(({BLOCK},), {neutral}, {compute})",
            f"for start in range(0, chunks, {BLOCK}):",
            f"    chunk = start + tl.arange(0, {BLOCK})",
            f"    x = tl.load(partial + chunk, mask=chunk < chunks, other={neutral})",
            f"    total = {reduction.join(op, dtype, 'total', 'x')}",
            f"tl.store(out, {reduction.collapse(op, dtype, 'total', '0')})",
        ]
    return lines
