"""A code generator, as the rest of the compiler sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compiler.features import Features
from compiler.ir.graph import Graph
from compiler.plan import Plan


@dataclass(frozen=True)
class Target:
    """A code generator for one kind of processor.

    Attributes:
        name: the processor, "c/avx2" or "sm_80".
        language: of its text, "c" or "triton".
        features: what its kernels can do.
        emit: a graph of fused nodes as a plan. Raises NotImplementedError for what there is no kernel for.
        version: of the package that compiles its text, if one does.
    """

    name: str
    language: str
    features: Features
    emit: Callable[[Graph], Plan]
    version: str = ""
