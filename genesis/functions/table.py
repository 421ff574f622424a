"""Names are given here, and nowhere else: which of ``genesis``, ``Tensor`` and ``nn.functional`` has a function.

::

    @api(inplace=True, alias=("clip",))
    def clamp(input, min=None, max=None): ...

makes ``genesis.clamp``, ``genesis.clip``, ``Tensor.clamp``, ``Tensor.clip``, ``Tensor.clamp_`` and ``Tensor.clip_``;
with ``overwrites=True`` in the place of ``inplace=True`` also ``genesis.clamp_`` and ``genesis.clip_``.
The stubs that editors and mypy read, and the page of the API, are generated from these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import genesis.scope as scope
from compiler.errors import CompilerError
from genesis.functions.calls import F, checked

Table = dict[str, Callable[..., Any]]

FUNCTIONS: Table = {}
"""``genesis.<name>``."""

METHODS: Table = {}
"""``Tensor.<name>``; the tensor is the first argument."""

IN_PLACE: Table = {}
"""The functions whose results ``Tensor.<name>`` writes into the tensor; the names end in ``_``."""

OVERWRITING: set[str] = set()
"""Those of :data:`IN_PLACE` that ``genesis`` has, too: ``genesis.sin_(x)``."""

FUNCTIONAL: Table = {}
"""``nn.functional.<name>``."""


def api(
    *,
    function: bool = True,
    method: bool = True,
    inplace: bool = False,
    overwrites: bool = False,
    functional: bool = False,
    name: str = "",
    alias: Sequence[str] = (),
    eager_only: str = "",
) -> Callable[[F], F]:
    """Give the function below its names: ``genesis.f``, ``Tensor.f``, ``Tensor.f_``, ``nn.functional.f``.

    overwrites: give ``genesis.f_``, too, which implies ``inplace``.
    name: of its own, where that is not the name of the Python function.
    alias: more names, in the same places.
    eager_only: why it has no place in a compiled step.

    Users reach the function as :func:`~genesis.functions.calls.checked` returns it; the decorated one stays as it is.
    Raises CompilerError for a name that is taken.
    """

    def enter(f: F) -> F:
        done = checked(scope.eager_only(eager_only)(f) if eager_only else f, name)
        for known in (name or f.__name__, *alias):
            for table, wanted in ((FUNCTIONS, function), (METHODS, method), (FUNCTIONAL, functional)):
                if wanted:
                    _enter(table, known, done)
            if inplace or overwrites:
                _enter(IN_PLACE, f"{known}_", done)
            if overwrites:
                OVERWRITING.add(f"{known}_")
        return f

    return enter


function_only = api(method=False)
"""``genesis.f``."""

method_only = api(function=False)
"""``Tensor.f``."""

everywhere = api(method=False, functional=True)
"""``genesis.f`` and ``nn.functional.f``."""

linalg = api(function=False, method=False)
"""``genesis.linalg.f`` alone."""

decomposition = api(function=False, method=False, eager_only=scope.DECOMPOSED)
"""``genesis.linalg.f`` alone, outside compiled steps."""

functional_only = api(function=False, method=False, functional=True)
"""``nn.functional.f``."""


def _enter(table: Table, name: str, function: Callable[..., Any]) -> None:
    if name in table:
        raise CompilerError(f"{name!r} is the name of two functions: {table[name]!r} and {function!r}")
    table[name] = function
