"""Convolutions as matrix products that load windows of images tile by tile (implicit GEMM).

S. Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014. There is no matrix of patches in memory, and
all images are one product: for each group, weights [channels, depth] times windows [depth, images * places]. The depth
goes through channels and places of a window. A result with zeros between its elements, the gradient of the input of a
convolution that steps, is cut into phases whose elements see the same places of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from math import gcd, prod
from typing import Any

from compiler.codegen.sizes import ceil_div
from compiler.codegen.triton.contract import Product, product_tasks
from compiler.codegen.triton.factors import Factor, Gathered, Operand
from compiler.codegen.triton.matmul import MatmulSpec, config
from compiler.codegen.triton.spelling import variable
from compiler.codegen.triton.task import Task
from compiler.index import Bound, Index, Var, join, split, through_view, view_chain
from compiler.ir.graph import Node, Value
from compiler.ir.types import Shape
from compiler.layout import Windows
from compiler.ops.conv import is_depthwise
from compiler.sharing import Shareable

MOST_PHASES = 16
"""Launches of one convolution; where there would be more, each place's contributions are computed and added up."""


@dataclass(frozen=True)
class Phase:
    """Places ``first``, ``first + step``, ... of a result, ``size`` of them along one dimension.

    They see every ``tap_step``-th place of the window from ``tap`` on, ``taps`` in all. Number `o` of them sees number
    `w` of those at place ``o * stride + w * dilation + shift`` of the image.
    """

    first: int
    step: int
    size: int
    tap: int
    tap_step: int
    taps: int
    stride: int
    dilation: int
    shift: int


def phases(size: int, window: int, stride: int, dilation: int, padding: int, base: int) -> list[Phase]:
    """The phases of one dimension; see :mod:`compiler.ops.window` for what the numbers mean."""
    step, tap_step = base // gcd(stride, base), base // gcd(dilation, base)
    found = []
    for first in range(min(step, size)):
        whole = [w for w in range(min(tap_step, window)) if (first * stride + w * dilation - padding) % base == 0]
        tap = whole[0] if whole else window
        found.append(
            Phase(
                first,
                step,
                ceil_div(size - first, step),
                tap,
                tap_step,
                ceil_div(window - tap, tap_step),
                step * stride // base,
                tap_step * dilation // base,
                (first * stride + tap * dilation - padding) // base,
            )
        )
    return found


def claims(inputs: Any, attrs: dict[str, Any], gradient: bool) -> bool:
    """Whether a convolution, or the gradient of its weights, is a product here. Single filters are plain sums."""
    x, other = inputs[:2]
    window = attrs["window"] if gradient else other.shape[2:]
    size = other.shape[2:] if gradient else attrs["size"]
    if x.dtype.kind != "float" or not (x.type.size and other.type.size and prod(size) and prod(window)):
        return False
    if gradient:
        return all(b == 1 for b in attrs["base"])
    count = prod(b // gcd(s, b) for s, b in zip(attrs["stride"], attrs["base"], strict=True))
    return count <= MOST_PHASES and not (count == 1 and is_depthwise(x, other, attrs["groups"]))


def convolution_tasks(node: Node, target: str, windows: Windows) -> list[Task | Shareable]:
    """The launches of a convolution: one for each phase; or of the gradient of its weights: sums, and their join."""
    op = next(n for n in node.inner.nodes if n.op.anchor == "convolution")
    if op.op.gradient:
        return _gradient(node, op, target, windows)
    every = [phases(*numbers) for numbers in _geometry(op)]
    return [task for phase in product(*every) for task in _convolution(node, op, phase, target, windows)]


def _geometry(op: Node) -> list[tuple[int, ...]]:
    """(size, window, stride, dilation, padding, base) of each dimension; of one, where every place sees itself."""
    names = ("size", "stride", "dilation", "padding", "base")
    size, *rest = (op.attrs[name] for name in names)
    window, image = op.inputs[1].shape[2:], op.inputs[0].shape[2:]
    found = list(zip(size, window, *rest, strict=True))
    if size == image and all(numbers[1:3] + numbers[4:] == (1, 1, 0, 1) for numbers in found):
        return [(prod(size), 1, 1, 1, 0, 1)]
    return found


def _seen(places: list[Index], image: Shape) -> tuple[Bound, ...]:
    """The conditions that places lie in the image."""
    bounds = [Bound(place, size, 1) for place, size in zip(places, image, strict=True)]
    return tuple(bound for bound in bounds if not bound.always)


def _convolution(
    node: Node, op: Node, phase: tuple[Phase, ...], target: str, windows: Windows
) -> list[Task | Shareable]:
    """The launch for one phase of a convolution: row i is a channel of a group, column j a place in all images."""
    x, weight = op.inputs
    groups, images, depth = op.attrs["groups"], x.shape[0], weight.shape[1]
    image, window, whole = x.shape[2:], weight.shape[2:], op.output.shape[2:]
    if len(phase) < len(image):  # every place sees itself
        image, window, whole = (prod(image),), (1,), (prod(whole),)
    size, taps = tuple(p.size for p in phase), tuple(p.taps for p in phase)
    m, n, k = weight.shape[0] // groups, images * prod(size), depth * prod(taps)
    b, i, j = Index.of(Var("b", groups)), variable("i", m), variable("j", n)

    number, *at = split(j, (images, *size))
    c, *w = split(variable("q", k), (depth, *taps))
    places = [(o * p.stride + t * p.dilation).shifted(p.shift) for o, t, p in zip(at, w, phase, strict=True)]
    element = join([number, b * depth + c, *places], (images, groups * depth, *image))
    seen, image_root = _gathered(x, element, _seen(places, image))

    c, *w = split(variable("p", k), (depth, *taps))
    read = [(t * p.tap_step).shifted(p.tap) for t, p in zip(w, phase, strict=True)]
    filters, weight_root = _gathered(weight, join([b * m + i, c, *read], (groups * m, depth, *window)))

    if size == whole:  # no division of places that lie in order
        whole, (number, *result) = (prod(size),), split(j, (images, prod(size)))
    else:
        result = [(o * p.step).shifted(p.first) for o, p in zip(at, phase, strict=True)]
    place = join([number, b * m + i, *result], (images, groups * m, *whole))
    spec = MatmulSpec((groups,), m, n, k, _strided(filters), seen, x.dtype)
    one = Product(node, op, spec, [(weight_root, 0), (image_root, 0)], place)
    return product_tasks("convolution", one, partial(config, target=target), windows)


def _gathered(value: Value, element: Index, bounds: tuple[Bound, ...] = ()) -> tuple[Gathered, Value]:
    """Elements of a value where they are in memory, and the memory."""
    root, chain = view_chain(value)
    for view in reversed(chain):
        element = through_view(view, element)
    return Gathered(root.dtype, element, bounds), root


def _strided(factor: Gathered) -> Factor:
    """A left factor as a strided one, if that is what it is."""
    place = factor.place
    if factor.bounds or place.constant or not place.affine:
        return factor
    strides = {var.name: c for var, c in place.terms}
    return Operand(factor.dtype, tuple(strides.get(name, 0) for name in ("b", "i", "p")))


def _gradient(node: Node, op: Node, target: str, windows: Windows) -> list[Task | Shareable]:
    """The gradient of the weights: row i is a channel of the result, column j a place of the window in a channel.

    k goes through the places of all images.
    """
    x, g = op.inputs
    groups, window, size = op.attrs["groups"], op.attrs["window"], g.shape[2:]
    m, depth = g.shape[1] // groups, x.shape[1] // groups
    n, k = depth * prod(window), x.shape[0] * prod(size)
    b, i, j = Index.of(Var("b", groups)), variable("i", m), variable("j", n)

    number, at = split(variable("p", k), (x.shape[0], prod(size)))
    left, left_root = _gathered(g, join([number, b * m + i, at], (*g.shape[:2], prod(size))))

    number, *seen = split(variable("q", k), (x.shape[0], *size))
    c, *w = split(j, (depth, *window))
    steps = zip(seen, w, *(op.attrs[name] for name in ("stride", "dilation", "padding")), strict=True)
    places = [(o * s + t * d).shifted(-p) for o, t, s, d, p in steps]
    right, right_root = _gathered(x, join([number, b * depth + c, *places], x.shape), _seen(places, x.shape[2:]))

    spec = MatmulSpec((groups,), m, n, k, left, right, x.dtype)
    one = Product(node, op, spec, [(left_root, 0), (right_root, 0)], (b * m + i) * n + j)
    return product_tasks("weight_gradient", one, partial(config, target=target), windows)
