"""``genesis.backends``: libraries that PyTorch would use. Eager tensors are NumPy's, compiled steps generated code.

Switches can be set and read, and change nothing; the rest says that the library is not there.
"""

from genesis.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum
from genesis.scope import AROUND

__eager_only__ = AROUND

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]
