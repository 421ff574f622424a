"""Samples of images in another size."""

from __future__ import annotations

import numpy as np

from compiler.ir.types import u8
from tests.samples.table import Draw, Rows, entry


@entry("resample")
def _(op: str, d: Draw) -> Rows:
    twice, third = {"size": (6, 10), "scale": (0.5, 0.5)}, {"size": (5, 4), "scale": (1.6, 1.7)}
    yield "linear", [d.floats(2, 3, 5)], twice
    yield "linear-smaller", [d.floats(2, 8, 7)], third
    yield "linear-aligned", [d.floats(2, 3, 5)], {"size": (6, 10), "scale": (0.4, 4 / 9), "aligned": True}
    yield "linear-one-axis", [d.floats(2, 3, 5)], {"size": (3, 9), "scale": (1.0, 5 / 9)}
    yield "linear-volume", [d.floats(1, 2, 3, 2)], {"size": (3, 5, 4), "scale": (0.7, 0.6, 0.5)}
    yield "linear-one", [d.floats(2, 3, 4)], {"size": (1, 1), "scale": (0.0, 0.0), "aligned": True}
    yield "cubic", [d.floats(2, 4, 5)], {"size": (8, 7), "scale": (0.5, 5 / 7), "mode": "cubic"}
    yield "cubic-aligned", [d.floats(4, 5)], {"size": (6, 7), "scale": (0.6, 4 / 6), "mode": "cubic", "aligned": True}
    yield "antialiased", [d.floats(2, 9, 7)], third | {"antialias": True}
    yield "antialiased-cubic", [d.floats(2, 9, 7)], third | {"antialias": True, "mode": "cubic"}
    yield "nearest", [d.floats(2, 5, 7)], {"size": (7, 3), "scale": (5 / 7, 7 / 3), "mode": "nearest"}
    yield "nearest-exact", [d.floats(2, 5, 7)], {"size": (7, 3), "scale": (5 / 7, 7 / 3), "mode": "nearest-exact"}
    yield "nearest-u8", [d.ints(2, 3, low=0, high=200, to=u8)], {"size": (5,), "scale": (0.6,), "mode": "nearest"}
    yield "no-batch", [d.floats(0, 3, 5)], twice
    holes = d.floats(4, 4)
    holes[1, 2], holes[3, 0] = np.inf, np.nan
    yield "holes", [holes], {"size": (7, 7), "scale": (4 / 7, 4 / 7)}, False
