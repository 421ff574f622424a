"""``genesis.backends``: libraries that PyTorch would use. Eager tensors are NumPy's, compiled steps generated code.

Switches can be set and read, and change nothing; the rest says that the library is not there.
"""

from typing import TYPE_CHECKING

from genesis.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum
from genesis.names import module_getattr
from genesis.scope import AROUND

__eager_only__ = AROUND

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]

if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.backends", globals())
