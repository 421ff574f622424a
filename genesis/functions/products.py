"""Matrix products."""

from __future__ import annotations

from compiler.errors import OpError
from compiler.ir.location import here
from compiler.ir.op import o
from genesis.functions.pointwise import add, mul
from genesis.functions.shapes import expand, unsqueeze
from genesis.tensor import Tensor, wrap


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, batched over leading dimensions."""
    return wrap(o.matmul(input.value, other.value))


def _check_ranks(name: str, ranks: tuple[int, ...], *operands: Tensor) -> None:
    if tuple(x.ndim for x in operands) != ranks:
        shown, wanted = (", ".join(map(str, r)) for r in ([x._type for x in operands], [f"{n}-D" for n in ranks]))
        raise OpError(here(f"{name}({shown}): expected {wanted} tensors", "genesis.matmul takes all of these shapes"))


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _check_ranks("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices of the same length."""
    _check_ranks("bmm", (3, 3), input, mat2)
    if input.shape[0] != mat2.shape[0]:
        raise OpError(here(f"bmm({input._type}, {mat2._type}): the batches differ in length"))
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _check_ranks("mv", (2, 1), input, vec)
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _check_ranks("dot", (1, 1), input, tensor)
    return matmul(input, tensor)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` of batches of matrices."""
    return _added("baddbmm", 3, input, batch1, batch2, beta, alpha)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` of matrices."""
    return _added("addmm", 2, input, mat1, mat2, beta, alpha)


def _added(name: str, rank: int, input: Tensor, a: Tensor, b: Tensor, beta: float, alpha: float) -> Tensor:
    """As in PyTorch, nothing of ``input`` counts if ``beta`` is 0, not even NaN."""
    _check_ranks(name, (rank, rank), a, b)
    product = matmul(a, b)
    if beta == 0:
        expand(input, *product.shape)  # has to fit all the same
        return mul(product, alpha)
    return add(mul(input, beta), product, alpha=alpha)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors."""
    _check_ranks("outer", (1, 1), input, vec2)
    return mul(unsqueeze(input, 1), vec2)
