"""How convolution kernels read images: staged with their padding, then copied window by window into panels.

An image is first *staged*: copied, converted and padded, so that every window lies inside. A convolution that steps by
more than one reads every s-th element; the stage keeps elements that differ by such steps as neighbours, one *phase*
after the other. In it the element that place ``k`` of the window (channel and position) sees from place ``j`` of the
result stands at ``at[k] + from(j)``, and neighbours along the last dimension of the result are neighbours there. So a
panel is filled by copying runs, with no condition on any element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

from compiler.codegen.c.library import filled
from compiler.codegen.c.tiles import C_TYPE, converted, times
from compiler.codegen.c.writer import Writer
from compiler.index import strides_of
from compiler.ir.types import Shape

SLACK = 64
"""Elements behind a stage that copies of whole vectors may read."""


@dataclass(frozen=True)
class Windows:
    """The windows that ``channels`` channels of an image of one group are seen through.

    ``dtype`` is the image's; ``staged`` the stage's: "f32", "rounded" (f32 rounded to bf16) or "bf16".
    """

    channels: int
    image: Shape
    window: Shape
    size: Shape
    stride: Shape
    dilation: Shape
    padding: Shape
    dtype: str
    staged: str

    @property
    def depth(self) -> int:
        """Places of a window, in all channels."""
        return self.channels * prod(self.window)

    @property
    def places(self) -> int:
        """Places of the result."""
        return prod(self.size)

    @property
    def element(self) -> str:
        """The C type of the stage."""
        return "bf16" if self.staged == "bf16" else "float"

    @cached_property
    def phases(self) -> list[list[int]]:
        """The remainders by the stride, in each dimension, that some place of the window has."""
        triples = zip(self.window, self.stride, self.dilation, strict=True)
        return [sorted({w * d % s for w in range(n)}) for n, s, d in triples]

    @cached_property
    def extent(self) -> Shape:
        """The sizes of one phase of one channel."""
        triples = zip(self.size, self.window, self.stride, self.dilation, strict=True)
        return tuple(o + (w - 1) * d // s for o, w, s, d in triples)

    @property
    def channel(self) -> int:
        """Elements of a channel in the stage."""
        return prod(map(len, self.phases)) * prod(self.extent)

    @property
    def stage_elements(self) -> int:
        return self.channels * self.channel + SLACK

    def max_runs(self, width: int) -> int:
        """Runs that ``width`` neighbouring places of the result may consist of."""
        return min(width, width // max(self.size[-1], 1) + 2)

    def write_stage(self, out: Writer) -> None:
        """``NAME_stage(stage, image, channels)``: the part inside the image; what is outside is zero from the start."""
        out("/* Copies channels of an image to where its windows look for them. */")
        parameters = f"{self.element} *restrict stage, const {C_TYPE[self.dtype]} *restrict image, long channels"
        with out.block(f"static void NAME_stage({parameters})"):
            for number, phase in enumerate(product(*self.phases)):
                self._copy_phase(out, number, phase)

    def _copy_phase(self, out: Writer, number: int, phase: Shape) -> None:
        rank = len(self.image)
        to, of = strides_of(self.extent), strides_of(self.image)
        ranges = []
        for n, extent, s, p, first in zip(self.image, self.extent, self.stride, self.padding, phase, strict=True):
            low = max(-((first - p) // s), 0)  # the first place at or after the image's beginning
            ranges.append((low, min((n - 1 - first + p) // s + 1, extent)))
        if any(low >= high for low, high in ranges):
            return
        out("for (long c = 0; c < channels; ++c)")
        names = [f"i{d}" for d in range(rank)]
        for depth, (name, (low, high)) in enumerate(zip(names, ranges, strict=True)):
            if depth == rank - 1:
                out("#pragma omp simd")
            out(f"{'  ' * (depth + 1)}for (long {name} = {low}; {name} < {high}; ++{name})")
        start = number * prod(self.extent)
        target = _sum([("c", self.channel), *zip(names, to, strict=True)], start)
        steps = [(n, s * t) for n, s, t in zip(names, self.stride, of, strict=True)]
        shift = sum((f - p) * t for f, p, t in zip(phase, self.padding, of, strict=True))
        value = f"image[{_sum([('c', prod(self.image)), *steps], shift)}]"
        out(f"{'  ' * (rank + 1)}stage[{target}] = {converted(value, self.dtype, self.staged)};")

    def at_lines(self) -> Iterator[str]:
        """Statements that fill ``at``."""
        rank = len(self.window)
        names = [f"w{d}" for d in range(rank)]
        strides = strides_of(self.extent)
        counts = strides_of(tuple(map(len, self.phases)))
        yield "int *next = at;"
        yield f"for (int c = 0; c < {self.channels}; ++c)"
        for depth, (name, n) in enumerate(zip(names, self.window, strict=True)):
            yield f"{'  ' * (depth + 1)}for (int {name} = 0; {name} < {n}; ++{name})"
        terms = [times("c", self.channel)]
        for name, s, d, step, count, present in zip(
            names, self.stride, self.dilation, strides, counts, self.phases, strict=True
        ):
            place = times(name, d)
            terms.append(times(f"({place} / {s})" if s > 1 else f"({place})" if d > 1 else name, step))
            if len(present) > 1:
                number = f"({place} % {s})" if len(present) == s else _rank_of(f"({place} % {s})", present)
                terms.append(times(number, count * prod(self.extent)))
        yield f"{'  ' * (rank + 1)}*next++ = {' + '.join(terms)};"

    def write_runs(self, out: Writer) -> None:
        """``NAME_runs(runs, start, end)``: the places [start, end) of the result as runs, and how many those are."""
        width = self.size[-1]
        out("/* Places [start, end) of the result as runs of neighbours in the stage. */")
        with out.block("static long NAME_runs(Run *runs, long start, long end)"):
            out("long count = 0;")
            with out.block("for (long j = start; j < end; j += runs[count++].length)"):
                out(f"const long column = j % {width};")
                out(f"runs[count].to = (int)(j - start), runs[count].from = (int)({self._row_start()}column);")
                out(f"runs[count].length = (int)LEAST({width} - column, end - j);")
            out("return count;")

    def _row_start(self) -> str:
        """The beginning of the row of place ``j`` in the stage, as the beginning of a sum."""
        inner, text = self.size[-1], ""
        for n, stride in reversed(list(zip(self.size, strides_of(self.extent), strict=True))[:-1]):
            index = f"j / {inner}" if inner * n == self.places else f"j / {inner} % {n}"
            text = f"{times(index, stride)} + {text}"
            inner *= n
        return text


def _rank_of(text: str, present: list[int]) -> str:
    """The place of a number in a sorted list."""
    return "(" + " + ".join(f"({text} > {n})" for n in present[:-1]) + ")"


def _sum(terms: list[tuple[str, int]], constant: int) -> str:
    written = [times(name, factor) for name, factor in terms if factor]
    if constant or not written:
        written.append(str(constant))
    return " + ".join(written).replace("+ -", "- ")


RUN = """\
/* Neighbours in a stage, and where in a panel's row they go. */
typedef struct {
  int to, from, length;
} Run;
"""

_ROWS = """\
/* d[p][j]: what place p of the windows sees from place j. Runs are copied in whole vectors; the next one, stored
   after, covers what that spills, and behind the last one a row has room for it. */
NOINLINE void window_rows_SHORT(TYPE *restrict d, long width, long k, const TYPE *restrict stage,
    const int *restrict at, const Run *restrict runs, long count) {
  for (long r = 0; r < count; ++r)
    for (long i = 0; i < runs[r].length; i += STEP) {
      const TYPE *from = stage + runs[r].from + i;
      TYPE *to = d + runs[r].to + i;
      for (long p = 0; p < k; ++p, to += width) COPY;
    }
}
"""

_PAIRS = """\
/* Pairs d[p / 2][j] of what places p and p + 1 of the windows see from place j, as in window_rows. */
NOINLINE void window_pairs(uint32_t *restrict d, long width, long k, const bf16 *restrict stage,
    const int *restrict at, const Run *restrict runs, long count) {
  for (long r = 0; r < count; ++r)
    for (long i = 0; i < runs[r].length; i += LANES) {
      const bf16 *from = stage + runs[r].from + i;
      uint32_t *to = d + runs[r].to + i;
      for (long p = 0; p + 1 < k; p += 2, to += width)
        vstore((float *)to, (vf)pair_bf16(from + at[p], from + at[p + 1], LANES));
      if (k % 2) vstore((float *)to, (vf)pair_bf16(from + at[k - 1], NULL, LANES));
    }
}
"""


_BF16 = "vstore((float *)to, vload((const float *)(from + at[p])))"
PIECES = [
    RUN,
    filled(_ROWS, SHORT="f32", TYPE="float", STEP="LANES", COPY="vstore(to, vload(from + at[p]))"),
    filled(_ROWS, SHORT="bf16", TYPE="bf16", STEP="2 * LANES", COPY=_BF16),
    _PAIRS,
]
"""Functions that fill panels, and the type of a run, each written where a kernel needs it."""
