"""Functions behind the layers: activations, convolution, pooling, normalisations, attention, losses.

Names, arguments and results are PyTorch's. Reductions are ``"none"``, ``"mean"`` or ``"sum"``. The functions stand in
``genesis.functions``, by family; ``functional.pyi`` beside this file lists them for editors and mypy.
"""

from genesis.functions.table import FUNCTIONAL

globals().update(FUNCTIONAL)
__all__ = [*FUNCTIONAL]
