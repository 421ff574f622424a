"""Names in generated C, by family, so that none can hide another.

A kernel is called with ``a0, a1, ...`` (what it reads), ``o0, ...`` (what it writes) and ``part0, ...`` (partial
results, by the number of the result); what the user gave a name to bears it (:mod:`compiler.codegen.c.naming`),
and so do its elements. Inside, ``t1, in2, u3`` are values in the order they were first needed, ``sum4`` and ``amax5``
reductions of a row, and ``s0, ...`` the running totals of the results. Coordinates of loops have one letter, in
products ``b0, ...`` for the batch. Templates name their own variables otherwise: none is one of these and a number,
which a test has the C compiler look for (``-Wshadow``).

In the step, ``s0_weight`` is a parameter of the graph, ``out0`` a result, ``x0`` a temporary.
"""

from __future__ import annotations

import re


def operand(i: int) -> str:
    """The parameter for input ``i`` of a kernel."""
    return f"a{i}"


def result(i: int) -> str:
    """The parameter for output ``i`` of a kernel."""
    return f"o{i}"


def partial(i: int) -> str:
    """The parameter for the partial results of output ``i`` of a kernel."""
    return f"part{i}"


def total(i: int) -> str:
    """The running total that becomes output ``i`` of a kernel, or one of its partial results."""
    return f"s{i}"


def parameter(name: str, index: int) -> str:
    """Parameter ``index`` of the graph; of the user's ``name``, letters and digits that C knows are left."""
    return f"s{index}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
