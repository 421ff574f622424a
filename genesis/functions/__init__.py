"""The functions of the top level (``genesis.softmax``), of Tensor and of ``nn.functional``, by family.

Every function takes tensors or numbers, records ops through the one op set, and wraps the result. Names, arguments
and errors are PyTorch's; shapes broadcast and dtypes promote as there. A decorator gives a function its names
(``table.py``); here are the top level's, and ``__init__.pyi`` beside it lists them for editors and mypy.
"""

from genesis.functions import (  # noqa: F401  # each family enters its functions into the tables
    activations,
    attention,
    bags,
    casts,
    control,
    conversion,
    convolution,
    creation,
    ctc,
    decompositions,
    differentiation,
    distances,
    draws,
    dropouts,
    einstein,
    elementary,
    embeddings,
    factors,
    flat_indices,
    gathering,
    incomplete_gamma,
    joining,
    likelihoods,
    losses,
    margins,
    matrices,
    multi_head,
    nonzeros,
    normalization,
    padding,
    pointwise,
    pooling,
    products,
    queries,
    rearranging,
    reductions,
    resampling,
    reshaped_in_place,
    scans,
    scattering,
    searching,
    selections,
    shapes,
    sliding,
    sorting,
    special,
    statistics,
    unusual_pooling,
    windows,
)
from genesis.functions.methods import attach
from genesis.functions.table import FUNCTIONS

attach()
globals().update(FUNCTIONS)
__all__ = [*FUNCTIONS]
