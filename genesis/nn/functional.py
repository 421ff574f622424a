"""Functions behind the layers: activations, convolution, pooling, normalisations, attention, losses.

Names, arguments and results are PyTorch's. Reductions are ``"none"``, ``"mean"`` or ``"sum"``. The functions stand in
``genesis.functions``, by family; ``functional.pyi`` beside this file lists them for editors and mypy.
"""

from typing import TYPE_CHECKING

from genesis.functions.table import FUNCTIONAL
from genesis.names import module_getattr

globals().update(FUNCTIONAL)
__all__ = [*FUNCTIONAL]
if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.nn.functional", FUNCTIONAL)
