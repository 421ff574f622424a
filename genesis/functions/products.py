"""Matrix products."""

from __future__ import annotations

from compiler.errors import OpError, OpTypeError
from compiler.ir.location import here
from compiler.ir.op import o
from genesis.functions.pointwise import add, mul
from genesis.functions.reductions import sum
from genesis.functions.shapes import expand, permute, reshape, unsqueeze
from genesis.functions.table import api, functional_only
from genesis.tensor import Tensor, wrap


@api()
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product, batched over leading dimensions."""
    return wrap(o.matmul(input.value, other.value))


def _check_ranks(name: str, ranks: tuple[int, ...], *operands: Tensor) -> None:
    if tuple(x.ndim for x in operands) != ranks:
        shown, wanted = (", ".join(map(str, r)) for r in ([x._type for x in operands], [f"{n}-D" for n in ranks]))
        raise OpError(here(f"{name}({shown}): expected {wanted} tensors", "genesis.matmul takes all of these shapes"))


@api()
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _check_ranks("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


@api()
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices of the same length."""
    _check_ranks("bmm", (3, 3), input, mat2)
    if input.shape[0] != mat2.shape[0]:
        raise OpError(here(f"bmm({input._type}, {mat2._type}): the batches differ in length"))
    return matmul(input, mat2)


@api()
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _check_ranks("mv", (2, 1), input, vec)
    return matmul(input, vec)


@api()
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    _check_ranks("dot", (1, 1), input, tensor)
    return matmul(input, tensor)


@api(inplace=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` of batches of matrices."""
    return _added("baddbmm", 3, input, batch1, batch2, beta, alpha)


@api(inplace=True)
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
    result = add(mul(input, beta), product, alpha=alpha)
    result._cell.strides = None  # it lies in memory as a product does
    return result


@api(alias=("ger",))
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Outer product of two vectors."""
    _check_ranks("outer", (1, 1), input, vec2)
    return mul(unsqueeze(input, 1), vec2)


@functional_only
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: ``[*, in]`` with ``[out, in]`` gives ``[*, out]``, with ``[in]`` gives ``[*]``."""
    if weight.ndim == 1:
        result = matmul(input, weight)
        return result if bias is None else add(result, bias)
    operands = (input.value, weight.value) if bias is None else (input.value, weight.value, bias.value)
    return wrap(o.linear(*operands))


@functional_only
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x1 A x2 + b``: ``[*, in1]`` and ``[*, in2]`` with ``[out, in1, in2]`` give ``[*, out]``."""
    kinds = [x.dtype for x in (input1, input2, weight, bias) if x is not None]
    if any(kind is not weight.dtype for kind in kinds):
        shown = ", ".join(repr(kind) for kind in kinds)
        raise OpTypeError(here(f"all tensors must have the same dtype, but they have {shown}", "x.to(dtype)"))
    if weight.ndim != 3 or input1.ndim != input2.ndim or (bias is not None and bias.shape != weight.shape[:1]):
        raise OpError(
            "bilinear takes inputs of as many dimensions each, a weight [out, in1, in2] and a bias [out], but got "
            + ", ".join(str(x._type) for x in (input1, input2, weight, bias) if x is not None)
        )
    out, in1, in2 = weight.shape
    table = reshape(permute(weight, 1, 0, 2), in1, out * in2)
    products = reshape(matmul(input1, table), *input1.shape[:-1], out, in2)
    result = sum(mul(products, unsqueeze(input2, -2)), -1)
    return result if bias is None else add(result, bias)
