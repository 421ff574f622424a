"""Random indices as data, which stand for the same index in Genesis and in PyTorch."""

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Array(NamedTuple):
    """An index tensor or mask."""

    contents: np.ndarray


def drawn_shape(rng: Random) -> Shape:
    return tuple(rng.choice((0, 1, 2, 3, 3, 4)) for _ in range(rng.randint(0, 4)))


def drawn_index(rng: Random, shape: Shape) -> Any:
    """An index for a tensor of ``shape``; one in six or so is wrong."""
    items: list[Any] = []
    axis = 0
    for _ in range(rng.randint(0, len(shape) + 2)):
        kind = rng.choice(list(ITEMS))
        if kind == "ellipsis" and Ellipsis in [i for i in items if not isinstance(i, Array)]:
            continue
        item = ITEMS[kind](rng, shape[axis:] or (3,))
        items.append(item)
        axis += 0 if kind in ("none", "ellipsis", "flag") else 2 if kind == "mask of two" else 1
    return items[0] if len(items) == 1 and rng.random() < 0.5 else tuple(items)


def _place(rng: Random, size: int) -> int:
    return rng.randint(-size, size - 1) if size else 0


def _flags(rng: Random, shape: Shape, dtype: Any = bool) -> Array:
    count = int(np.prod(shape))
    return Array(np.array([rng.random() < 0.5 for _ in range(count)], dtype).reshape(shape))


def _bound(rng: Random) -> int | None:
    return rng.choice((None, rng.randint(-5, 5)))


ITEMS: dict[str, Callable[[Random, Shape], Any]] = {
    "int": lambda rng, s: _place(rng, s[0]),
    "wrong int": lambda rng, s: s[0] + 1 if rng.random() < 0.1 else 0,
    "slice": lambda rng, s: slice(_bound(rng), _bound(rng), rng.choice((None, 1, 2, 3))),
    "all": lambda rng, s: slice(None),
    "none": lambda rng, s: None,
    "ellipsis": lambda rng, s: Ellipsis,
    "flag": lambda rng, s: rng.random() < 0.7,
    "list": lambda rng, s: [_place(rng, s[0]) for _ in range(rng.choice((1, 2, 2)))],
    "empty list": lambda rng, s: [],
    "tuple": lambda rng, s: (_place(rng, s[0]), _place(rng, s[0])),
    "lists": lambda rng, s: [[_place(rng, s[0]), _place(rng, s[0])], [0, _place(rng, s[0])]],
    "flags": lambda rng, s: [rng.random() < 0.5 for _ in range(s[0])],
    "range": lambda rng, s: range(min(2, s[0])),
    "tensor": lambda rng, s: Array(
        np.array([_place(rng, s[0]) for _ in range(2)]).reshape(rng.choice(((2,), (2, 1), (1, 2))))
    ),
    "number": lambda rng, s: Array(np.array(_place(rng, s[0]))),
    "mask": lambda rng, s: _flags(rng, s[:1]),
    "mask of two": lambda rng, s: _flags(rng, s[:2]),
    "byte mask": lambda rng, s: _flags(rng, s[:1], np.uint8),
}


def index_for(library: Any, index: Any) -> Any:
    """A drawn index with its arrays as tensors of ``library``."""
    if isinstance(index, Array):
        return library.tensor(index.contents)
    return tuple(index_for(library, i) for i in index) if isinstance(index, tuple) else index


def _items(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) and not isinstance(index, Array) else (index,)


def has_mask(index: Any) -> bool:
    """Whether the shape of the result depends on the contents of a tensor."""
    return any(isinstance(i, Array) and i.contents.dtype != np.int64 for i in _items(index))


def can_be_recorded(index: Any) -> bool:
    """Whether a step may write at the index: of all that picks places, a mask has to be the only thing."""
    pickers = [i for i in _items(index) if isinstance(i, Array | list | tuple | range | bool)]
    bytes_ = any(isinstance(i, Array) and i.contents.dtype == np.uint8 for i in pickers)
    return not bytes_ and (len(pickers) == 1 or not has_mask(index))


def drawn_value(rng: Random, picked: Shape) -> np.ndarray:
    """Values that may be assigned to a selection of shape ``picked``: a number, a row, a smaller or a longer shape."""
    shape = {
        "number": (),
        "whole": picked,
        "row": picked[1:],
        "longer": (1, 1, *picked),
        "ones": tuple(1 if rng.random() < 0.5 else n for n in picked),
    }[rng.choice(("number", "whole", "row", "longer", "ones"))]
    return np.arange(100, 100 + np.prod(shape), dtype=np.float32).reshape(shape)
