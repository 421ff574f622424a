"""Linear algebra under PyTorch's names. Decompositions run outside compiled steps only, and have gradients."""

from compiler.errors import OpError as LinAlgError
from genesis.functions.calls import checked
from genesis.functions.decompositions import (
    cholesky,
    cond,
    det,
    eigh,
    eigvalsh,
    inv,
    lstsq,
    matrix_exp,
    matrix_norm,
    matrix_power,
    matrix_rank,
    multi_dot,
    pinv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svdvals,
    vecdot,
    vector_norm,
)
from genesis.functions.decompositions import full_svd as svd
from genesis.functions.decompositions import last_cross as cross
from genesis.functions.decompositions import last_diagonal as diagonal
from genesis.functions.decompositions import matrix_or_vector_norm as norm
from genesis.functions.factors import (
    cholesky_ex,
    householder_product,
    inv_ex,
    lu_factor,
    lu_factor_ex,
    solve_ex,
    tensorinv,
    tensorsolve,
)
from genesis.functions.factors import factored_solve as lu_solve
from genesis.functions.factors import permuted_lu as lu
from genesis.functions.factors import vandermonde as vander
from genesis.functions.products import matmul

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

for _name in __all__:
    if not isinstance(globals()[_name], type):
        globals()[_name] = checked(globals()[_name], f"linalg.{_name}")
