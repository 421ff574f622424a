"""Register tiles and panel packing: the static functions that matrix kernels of one C file share.

A panel of width W holds a block of a matrix as [k][W] f32, or as [ceil(k / 2)][W] pairs of bf16 for the dot product.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compiler.codegen.c.isa import Isa
from compiler.codegen.sizes import ceil_div

C_TYPE = {"f32": "float", "bf16": "bf16", "f16": "f16", "bool": "uint8_t"}
TO_F32 = {"f32": "{}", "bf16": "bf16_to_f32({})", "f16": "f16_to_f32({})"}
FROM_F32 = {"f32": "{}", "bf16": "f32_to_bf16({})", "f16": "f32_to_f16({})"}
BYTES = {"f32": 4, "bf16": 2, "f16": 2}

_TILE = re.compile(r"\btile_(\d+)x(\d+)_(\w+?)(_ahead)?\(")
_PACK = re.compile(r"\bpack_([a-z]+)_(\w+?)_(f32|rounded|pairs)(?:_(\d+))?\(")
"""Calls of functions that are named after their kind; see :class:`Tile` and :class:`Pack`."""


def converted(element: str, dtype: str, form: str) -> str:
    """An element of ``dtype`` as "f32", "rounded" (f32 rounded to bf16) or "bf16"."""
    value = TO_F32[dtype].format(element)
    if form == "f32" or dtype == "bf16":
        return element if form == "bf16" else value
    return f"round_bf16({value})" if form == "rounded" else f"f32_to_bf16({value})"


class Factors:
    """The operands of a product: f32, f32 rounded to bf16, or pairs of bf16 where the machine multiplies these.

    Attributes:
        form: "f32", "rounded" or "pairs", of bf16; see :class:`Pack`.
        element: the C type of a packed element.
    """

    def __init__(self, compute: str, isa: Isa) -> None:
        self.isa = isa
        self.pairs = compute == "bf16" and isa.bf16_dot
        self.form = "pairs" if self.pairs else "rounded" if compute == "bf16" else "f32"
        self.element = "uint32_t" if self.pairs else "float"

    def depth(self, k: int) -> int:
        """Elements of a panel along k: pairs are one."""
        return ceil_div(k, 2) if self.pairs else k


def order_of(along: int, across: int) -> str:
    """The elements at distance one: neighbours across a panel's rows (along k), or down its columns."""
    return "rows" if across == 1 else "columns" if along == 1 else "strided"


def times(index: str, stride: int) -> str:
    """The product of an index and a stride, as a person writes it."""
    return index if stride == 1 else f"{index} * {stride}"


def address(base: str, *terms: tuple[str, int]) -> str:
    """A pointer moved by indices times strides; terms that move it nowhere are left out."""
    return " + ".join([base, *(times(index, stride) for index, stride in terms if index != "0" and stride)])


def own_scratch(kind: str, shared: int, private: int) -> str:
    """A thread's part of the scratch, of ``private`` bytes, behind the ``shared`` bytes; as a pointer to ``kind``."""
    place = f"scratch + {shared} + (long)tid * {private}" if shared else f"scratch + (long)tid * {private}"
    return place if kind == "char" else f"({kind} *)({place})"


@dataclass(frozen=True, order=True)
class Tile:
    """C[rows, vectors * lanes] (+)= A[rows, k] B[k, ...] in registers.

    `a` says how A lies: "rows" has neighbours along k at distance one, "columns" has them along the rows (as a packed
    panel does), "pairs" is a packed panel of bf16 pairs, "row_pairs" has them along k at distance one.

    With ``ahead``, the function fetches on its way lines of memory that will be read after it: next + p * apart +
    j * across, in bytes, for every p in k and every vector j.
    """

    rows: int
    vectors: int
    a: str
    ahead: bool = False

    @property
    def pairs(self) -> bool:
        """Whether elements are pairs of bf16."""
        return self.a in ("pairs", "row_pairs")

    @property
    def name(self) -> str:
        return f"tile_{self.rows}x{self.vectors}_{self.a}{'_ahead' * self.ahead}"

    def text(self, isa: Isa) -> str:
        """The function; strides count elements, or pairs for packed bf16."""
        pairs = self.pairs
        element = "uint32_t" if pairs else "float"
        columns = self.vectors * isa.lanes
        load_b = "vu" if pairs else "vf"
        value = "a[i * lda + p]" if self.a in ("rows", "row_pairs") else "a[p * lda + i]"
        where = f"{'k counts pairs, ' * pairs}A(i, p) is {value}"
        if pairs:
            read = f"bv[j] = *(const {load_b} *)(b + p * ldb + LANES * j);"
            scalar = f"const vu av = {value} - (vu){{0}};"
            update = "acc[i][j] = dot_bf16(acc[i][j], av, bv[j]);"
        else:
            read = "bv[j] = vload(b + p * ldb + LANES * j);"
            scalar = f"const float av = {value};"
            update = "acc[i][j] += av * bv[j];"
        parameter, fetch = "", ""
        if self.ahead:
            parameter = ", const char *next, long apart, long across"
            fetch = f"""
    UNROLL for (int j = 0; j < {self.vectors}; ++j) FETCH(next + p * apart + j * across);"""
        return f"""\
/* C[{self.rows},{columns}] = A[{self.rows},k] B[k,{columns}], plus C if `add`; {where}. */
NOINLINE void {self.name}(long k, const {element} *a, long lda, const {element} *b, long ldb,
    float *c, long ldc, int add{parameter}) {{
  vf acc[{self.rows}][{self.vectors}];
  UNROLL for (int i = 0; i < {self.rows}; ++i)
    UNROLL for (int j = 0; j < {self.vectors}; ++j) acc[i][j] = (vf){{0}};
  for (long p = 0; p < k; ++p) {{{fetch}
    {load_b} bv[{self.vectors}];
    UNROLL for (int j = 0; j < {self.vectors}; ++j) {read}
    UNROLL for (int i = 0; i < {self.rows}; ++i) {{
      {scalar}
      UNROLL for (int j = 0; j < {self.vectors}; ++j) {update}
    }}
  }}
  if (add)
    UNROLL for (int i = 0; i < {self.rows}; ++i)
      UNROLL for (int j = 0; j < {self.vectors}; ++j) acc[i][j] += vload(c + i * ldc + LANES * j);
  UNROLL for (int i = 0; i < {self.rows}; ++i)
    UNROLL for (int j = 0; j < {self.vectors}; ++j) vstore(c + i * ldc + LANES * j, acc[i][j]);
}}
"""


@dataclass(frozen=True, order=True)
class Pack:
    """Copies w rows of a matrix, k long, into panels of `width` rows; the rows that fill the last panel mean nothing.

    `order` says which neighbours lie at distance one: "rows" those along k, "columns" those along the panel,
    "strided" none. `form` is the panel's element: "f32", "rounded" (f32 rounded to bf16) or "pairs" (of bf16). A panel
    has `width` * k elements, or half as many pairs, and room for one more vector.
    """

    order: str
    dtype: str
    form: str
    width: int

    @property
    def by_squares(self) -> bool:
        """Whether the function is one for all widths, which transposes squares of vectors."""
        return self.order == "rows" and not (self.form == "pairs" and self.dtype == "f16")

    @property
    def by_vectors(self) -> bool:
        """Whether the function is one for all widths, which makes vectors of pairs."""
        return self.order == "columns" and self.form == "pairs" and self.dtype != "f16"

    @property
    def any_width(self) -> bool:
        """Whether the width is an argument."""
        return self.by_squares or self.by_vectors

    @property
    def name(self) -> str:
        return f"pack_{self.order}_{self.dtype}_{self.form}" + ("" if self.any_width else f"_{self.width}")

    def call(self, panels: str, distance: int, w: str, k: str, source: str, strides: tuple[int, int]) -> str:
        """The call that packs rows at `source` of the given (row, k) strides to `panels`, `distance` elements apart."""
        apart = {"rows": strides[:1], "columns": strides[1:], "strided": strides}[self.order]
        width = [str(self.width)] * self.any_width
        return f"{self.name}({', '.join([panels, str(distance), *width, w, k, source, *map(str, apart)])});"

    def text(self, isa: Isa) -> str:
        """The function."""
        pairs = self.form == "pairs"
        strides = {"rows": "long rs", "columns": "long ks", "strided": "long rs, long ks"}[self.order]
        if self.order == "columns" and not (pairs and self.dtype == "f16"):
            body = self._columns()
        elif self.by_squares:
            body = self._squares()
        else:
            body = self._elements()
        width = "long width, " if self.any_width else ""
        return f"""\
/* {"pairs of neighbours along k" if pairs else "d[p][i]"} = {self._at("i", "p")}, i < w, p < k, \
{"width" if self.any_width else self.width} rows to a panel. */
NOINLINE void {self.name}({"uint32_t" if pairs else "float"} *restrict d, long panel, {width}long w, long k,
    const {C_TYPE[self.dtype]} *restrict s, {strides}) {{
{body}}}
"""

    def _at(self, i: str, p: str) -> str:
        row = {"rows": f"{i} * rs", "columns": i, "strided": f"{i} * rs"}[self.order]
        column = {"rows": p, "columns": f"{p} * ks", "strided": f"{p} * ks"}[self.order]
        return f"s[{row} + {column}]"

    def _element(self) -> str:
        """An element of a panel, of row `row` and from k = `p` on."""
        if self.form == "pairs":
            here, following = (converted(self._at("row", p), self.dtype, "bf16") for p in ("p", "(p + 1)"))
            return f"{here} | (uint32_t)(p + 1 < k ? {following} : 0) << 16"
        return converted(self._at("row", "p"), self.dtype, self.form)

    def _elements(self) -> str:
        """One element at a time."""
        width, (here, each) = self.width, ("p / 2", 2) if self.form == "pairs" else ("p", 1)
        place = f"i0 / {width} * panel + {here} * {width} + i"
        return f"""\
  for (long i0 = 0; i0 < w; i0 += {width})
    for (long i = 0; i < {width}; ++i) {{
      const long row = i0 + i < w ? i0 + i : w - 1;
      for (long p = 0; p < k; p += {each}) d[{place}] = {self._element()};
    }}
"""

    def _columns(self) -> str:
        """Whole pieces of the matrix's rows, a few rows at a time so that a line of memory serves all its panels."""
        width = "width" if self.any_width else str(self.width)
        if self.by_vectors:
            inner = f"""\
      for (long p = p0; p < end; p += 2)
        for (long i = 0; i < {width}; i += LANES) {{ /* what spills over is stored after that */
          const long left = w - i0 - i;
          const {C_TYPE[self.dtype]} *even = s + p * ks + i0 + i;
          const int n = (int)(left < 0 ? 0 : left < LANES ? left : LANES);
          vstore((float *)(e + p / 2 * width + i), (vf)pair_{self.dtype}(even, p + 1 < k ? even + ks : NULL, n));
        }}
"""
        else:
            value = converted("s[p * ks + i0 + i]", self.dtype, self.form)
            inner = f"""\
      if (i0 + {width} <= w)
        for (long p = p0; p < end; ++p)
          for (long i = 0; i < {width}; ++i) e[p * {width} + i] = {value};
      else
        for (long p = p0; p < end; ++p)
          for (long i = 0; i < {width}; ++i) e[p * {width} + i] = i0 + i < w ? {value} : 0.0f;
"""
        return f"""\
  for (long p0 = 0; p0 < k; p0 += 16) {{
    const long end = p0 + 16 < k ? p0 + 16 : k;
    for (long i0 = 0; i0 < w; i0 += {width}) {{
      {"uint32_t" if self.form == "pairs" else "float"} *e = d + i0 / {width} * panel;
{inner}    }}
  }}
"""

    def _squares(self) -> str:
        """Square blocks, transposed in registers, and what these leave of k."""
        pairs = self.form == "pairs"
        if pairs:
            load = f"r[l] = (vf)row_pairs_{self.dtype}(rows[l] + p);"
        elif self.dtype == "f32" and self.form == "f32":
            load = "r[l] = vload(rows[l] + p);"
        else:
            load = f"""\
{{
          float t[LANES];
          for (int q = 0; q < LANES; ++q) t[q] = {converted("rows[l][p + q]", self.dtype, self.form)};
          r[l] = vload(t);
        }}"""
        step, here, following = ("(2 * LANES)", "p / 2", "p += 2") if pairs else ("LANES", "p", "++p")
        at = ("(float *)(d + {})" if pairs else "d + {}").format(f"({here} + l) * width + i")
        return f"""\
  const long whole = k / {step} * {step};
  for (long i0 = 0; i0 < w; i0 += width, d += panel) {{
    for (long i = (width - 1) / LANES * LANES; i >= 0; i -= LANES) {{ /* what spills over is stored after that */
      const {C_TYPE[self.dtype]} *rows[LANES]; /* those past w repeat the last */
      UNROLL for (int l = 0; l < LANES; ++l) rows[l] = s + (i0 + i + l < w ? i0 + i + l : w - 1) * rs;
      for (long p = 0; p < whole; p += {step}) {{
        vf r[LANES];
        UNROLL for (int l = 0; l < LANES; ++l) {load}
        transpose(r);
        UNROLL for (int l = 0; l < LANES; ++l) vstore({at}, r[l]);
      }}
    }}
    for (long i = 0; i < width; ++i) {{
      const long row = i0 + i < w ? i0 + i : w - 1;
      for (long p = whole; p < k; {following}) d[{here} * width + i] = {self._element()};
    }}
  }}
"""


def by_rows(rows: str, choices: Sequence[int], call: Callable[[int], list[str]]) -> list[str]:
    """The ``call`` for that of one or two ``choices`` which ``rows`` is."""
    first, *others = choices
    if not others:
        return call(first)
    texts = [["  " + line for line in call(number)] for number in choices]
    if len(texts[0]) == 1:
        return [f"if ({rows} == {first})", *texts[0], "else", *texts[1]]
    return [f"if ({rows} == {first}) {{", *texts[0], "} else {", *texts[1], "}"]


def shared_functions(isa: Isa, text: str) -> list[str]:
    """The packing functions and tiles that ``text`` calls, each once, and the transpose that these or it need."""
    packs = sorted(Pack(order, kind, form, int(width or 0)) for order, kind, form, width in set(_PACK.findall(text)))
    tiles = sorted(Tile(int(rows), int(n), a, bool(ahead)) for rows, n, a, ahead in set(_TILE.findall(text)))
    texts = [*(pack.text(isa) for pack in packs), *(tile.text(isa) for tile in tiles)]
    return [transpose(isa)] * ("transpose(" in "".join([text, *texts])) + texts


def transpose(isa: Isa) -> str:
    """`transpose(r)`: LANES vectors of LANES f32 in place, by 4x4 blocks and then by blocks of whole quarters."""
    lanes = isa.lanes

    def shuffle(a: str, b: str, picks: list[int]) -> str:
        return f"__builtin_shufflevector({a}, {b}, {', '.join(map(str, picks))})"

    def quarterly(*picks: int) -> list[int]:
        return [quarter + pick for quarter in range(0, lanes, 4) for pick in picks]

    low, high = quarterly(0, lanes, 1, lanes + 1), quarterly(2, lanes + 2, 3, lanes + 3)
    first, second = quarterly(0, 1, lanes, lanes + 1), quarterly(2, 3, lanes + 2, lanes + 3)
    text = f"""\
INLINE void transpose(vf *r) {{
  UNROLL for (int i = 0; i < LANES; i += 4) {{
    const vf a = {shuffle("r[i]", "r[i + 1]", low)};
    const vf b = {shuffle("r[i]", "r[i + 1]", high)};
    const vf c = {shuffle("r[i + 2]", "r[i + 3]", low)};
    const vf d = {shuffle("r[i + 2]", "r[i + 3]", high)};
    r[i] = {shuffle("a", "c", first)};
    r[i + 1] = {shuffle("a", "c", second)};
    r[i + 2] = {shuffle("b", "d", first)};
    r[i + 3] = {shuffle("b", "d", second)};
  }}
"""
    block = 4
    while block < lanes:
        even = [x if not x // block % 2 else x - block + lanes for x in range(lanes)]
        odd = [x + block if not x // block % 2 else x + lanes for x in range(lanes)]
        text += f"""\
  UNROLL for (int i = 0; i < LANES; ++i)
    if (!(i & {block})) {{
      const vf a = r[i], b = r[i + {block}];
      r[i] = {shuffle("a", "b", even)};
      r[i + {block}] = {shuffle("a", "b", odd)};
    }}
"""
        block *= 2
    return text + "}\n"
