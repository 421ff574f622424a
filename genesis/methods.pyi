"""The methods of a Tensor that are functions of ``genesis.functions``."""

# Written by `pytest --update-golden tests/genesis/test_declarations.py`.

import builtins
from collections.abc import Callable, Sequence
from typing import Any, overload

from genesis.functions.decompositions import Qr, SignLogDeterminant
from genesis.functions.factors import Reflections, TriangularSolution
from genesis.functions.pointwise import Dim
from genesis.functions.rearranging import Dims
from genesis.functions.reductions import ValuesIndices
from genesis.functions.selections import Histogram
from genesis.functions.statistics import MinMax
from genesis.history import Handle
from genesis.hooks import RemovableHandle
from genesis.random import Generator
from genesis.tensor import Tensor

class Methods:
    @property
    def H(self) -> Tensor:
        """A matrix transposed; there are no complex numbers to conjugate."""
    @property
    def T(self) -> Tensor:
        """A matrix transposed; vectors as they are."""
    def __abs__(self) -> Tensor:
        """``abs`` of each element; integers count as float32 where the result is a fraction."""
    def __add__(self, other: Any) -> Tensor: ...
    def __and__(self, other: Any) -> Tensor: ...
    def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __floordiv__(self, other: Any) -> Tensor: ...
    def __ge__(self, other: Any) -> Tensor: ...
    def __getitem__(self, index: Any) -> Tensor:
        """``x[index]``. A mask, whose result has a shape that depends on its contents, only at once, not in a step."""
    def __gt__(self, other: Any) -> Tensor: ...
    def __iadd__(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input + alpha * other``."""
    def __iand__(self, other: Any) -> Tensor:
        """In place: ``bitwise_and`` of bool or integer tensors."""
    def __ifloordiv__(self, other: Any) -> Tensor:
        """In place: ``floor_divide`` of each element; operands broadcast and promote."""
    def __ilshift__(self, other: Any) -> Tensor:
        """In place: ``input << other`` of integers."""
    def __imod__(self, other: Any) -> Tensor:
        """In place: ``remainder`` of each element; operands broadcast and promote."""
    def __imul__(self, other: Any) -> Tensor:
        """In place: ``mul`` of each element; operands broadcast and promote."""
    def __invert__(self) -> Tensor:
        """Bit complement; ``not`` for bool."""
    def __ior__(self, other: Any) -> Tensor:
        """In place: ``bitwise_or`` of bool or integer tensors."""
    def __ipow__(self, exponent: Any) -> Tensor:
        """In place: ``input ** exponent`` of each element; operands broadcast and promote."""
    def __irshift__(self, other: Any) -> Tensor:
        """In place: ``input >> other`` of integers."""
    def __isub__(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input - alpha * other``."""
    def __itruediv__(self, other: Any) -> Tensor:
        """In place: ``true_divide`` of each element; operands broadcast and promote."""
    def __ixor__(self, other: Any) -> Tensor:
        """In place: ``bitwise_xor`` of bool or integer tensors."""
    def __le__(self, other: Any) -> Tensor: ...
    def __lshift__(self, other: Any) -> Tensor: ...
    def __lt__(self, other: Any) -> Tensor: ...
    def __matmul__(self, other: Any) -> Tensor: ...
    def __mod__(self, other: Any) -> Tensor: ...
    def __mul__(self, other: Any) -> Tensor: ...
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor:
        """``neg`` of each element; integers count as float32 where the result is a fraction."""
    def __or__(self, other: Any) -> Tensor: ...
    def __pos__(self) -> Tensor:
        """``input`` itself; raises OpError for bools."""
    def __pow__(self, other: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Tensor: ...
    def __rand__(self, other: Any) -> Tensor: ...
    def __rfloordiv__(self, other: Any) -> Tensor: ...
    def __rlshift__(self, other: Any) -> Tensor: ...
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def __rmod__(self, other: Any) -> Tensor: ...
    def __rmul__(self, other: Any) -> Tensor: ...
    def __ror__(self, other: Any) -> Tensor: ...
    def __rpow__(self, other: Any) -> Tensor: ...
    def __rrshift__(self, other: Any) -> Tensor: ...
    def __rshift__(self, other: Any) -> Tensor: ...
    def __rsub__(self, other: Any) -> Tensor: ...
    def __rtruediv__(self, other: Any) -> Tensor: ...
    def __rxor__(self, other: Any) -> Tensor: ...
    def __setitem__(self, index: Any, value: Any) -> None:
        """``x[index] = value``; ``value`` broadcasts to what ``index`` picks, leading dimensions of size 1 do not count."""
    def __sub__(self, other: Any) -> Tensor: ...
    def __truediv__(self, other: Any) -> Tensor: ...
    def __xor__(self, other: Any) -> Tensor: ...
    def abs(self) -> Tensor:
        """``abs`` of each element; integers count as float32 where the result is a fraction."""
    def abs_(self) -> Tensor:
        """In place: ``abs`` of each element; integers count as float32 where the result is a fraction."""
    def absolute(self) -> Tensor:
        """``abs`` of each element; integers count as float32 where the result is a fraction."""
    def absolute_(self) -> Tensor:
        """In place: ``abs`` of each element; integers count as float32 where the result is a fraction."""
    def acos(self) -> Tensor:
        """``acos`` of each element; integers count as float32 where the result is a fraction."""
    def acos_(self) -> Tensor:
        """In place: ``acos`` of each element; integers count as float32 where the result is a fraction."""
    def acosh(self) -> Tensor:
        """``acosh`` of each element; integers count as float32 where the result is a fraction."""
    def acosh_(self) -> Tensor:
        """In place: ``acosh`` of each element; integers count as float32 where the result is a fraction."""
    def add(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """``input + alpha * other``."""
    def add_(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input + alpha * other``."""
    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """``beta * input + alpha * sum(batch1 @ batch2)`` over the batch."""
    def addbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """In place: ``beta * input + alpha * sum(batch1 @ batch2)`` over the batch."""
    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: builtins.float = 1) -> Tensor:
        """``input + value * tensor1 / tensor2``."""
    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: builtins.float = 1) -> Tensor:
        """In place: ``input + value * tensor1 / tensor2``."""
    def addcmul(self, tensor1: Any, tensor2: Any, *, value: builtins.float = 1) -> Tensor:
        """``input + value * tensor1 * tensor2``."""
    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: builtins.float = 1) -> Tensor:
        """In place: ``input + value * tensor1 * tensor2``."""
    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """``beta * input + alpha * (mat1 @ mat2)`` of matrices."""
    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """In place: ``beta * input + alpha * (mat1 @ mat2)`` of matrices."""
    def addmv(self, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """``beta * input + alpha * (mat @ vec)``."""
    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """In place: ``beta * input + alpha * (mat @ vec)``."""
    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """``beta * input + alpha * outer(vec1, vec2)``."""
    def addr_(self, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """In place: ``beta * input + alpha * outer(vec1, vec2)``."""
    def adjoint(self) -> Tensor:
        """The last two dimensions exchanged; there are no complex numbers to conjugate."""
    def all(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``all`` over ``dim`` (an int, several, or None for all)."""
    def allclose(
        self,
        other: Tensor,
        rtol: builtins.float = 1e-05,
        atol: builtins.float = 1e-08,
        equal_nan: builtins.bool = False,
    ) -> builtins.bool:
        """Whether ``|input - other| <= atol + rtol * |other|`` everywhere."""
    def amax(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``amax`` over ``dim`` (an int, several, or None for all)."""
    def amin(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``amin`` over ``dim`` (an int, several, or None for all)."""
    def aminmax(self, *, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> MinMax:
        """The least and the largest of all elements, or of those along ``dim``."""
    def angle(self) -> Tensor:
        """Pi of negative numbers, 0 of others; NaN of NaN."""
    def any(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``any`` over ``dim`` (an int, several, or None for all)."""
    def apply_(self, *others: Any) -> Tensor:
        """Write what a function of Python gives for each element. Eager only."""
    def arccos(self) -> Tensor:
        """``acos`` of each element; integers count as float32 where the result is a fraction."""
    def arccos_(self) -> Tensor:
        """In place: ``acos`` of each element; integers count as float32 where the result is a fraction."""
    def arccosh(self) -> Tensor:
        """``acosh`` of each element; integers count as float32 where the result is a fraction."""
    def arccosh_(self) -> Tensor:
        """In place: ``acosh`` of each element; integers count as float32 where the result is a fraction."""
    def arcsin(self) -> Tensor:
        """``asin`` of each element; integers count as float32 where the result is a fraction."""
    def arcsin_(self) -> Tensor:
        """In place: ``asin`` of each element; integers count as float32 where the result is a fraction."""
    def arcsinh(self) -> Tensor:
        """``asinh`` of each element; integers count as float32 where the result is a fraction."""
    def arcsinh_(self) -> Tensor:
        """In place: ``asinh`` of each element; integers count as float32 where the result is a fraction."""
    def arctan(self) -> Tensor:
        """``atan`` of each element; integers count as float32 where the result is a fraction."""
    def arctan2(self, other: Any) -> Tensor:
        """``atan2`` of each element; operands broadcast and promote."""
    def arctan2_(self, other: Any) -> Tensor:
        """In place: ``atan2`` of each element; operands broadcast and promote."""
    def arctan_(self) -> Tensor:
        """In place: ``atan`` of each element; integers count as float32 where the result is a fraction."""
    def arctanh(self) -> Tensor:
        """``atanh`` of each element; integers count as float32 where the result is a fraction."""
    def arctanh_(self) -> Tensor:
        """In place: ``atanh`` of each element; integers count as float32 where the result is a fraction."""
    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Index of the (first) maximum along ``dim``, or in the flattened tensor."""
    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Index of the (first) minimum along ``dim``, or in the flattened tensor."""
    def argsort(
        self, dim: builtins.int = -1, descending: builtins.bool = False, stable: builtins.bool = False
    ) -> Tensor:
        """The places at which the elements of :func:`sort` were; int64."""
    def argwhere(self) -> Tensor:
        """The indices of all elements that are not zero, one in a row. Eager only."""
    def as_strided(
        self, size: Sequence[builtins.int], stride: Sequence[builtins.int], storage_offset: builtins.int = 0
    ) -> Tensor:
        """A view of a contiguous tensor: element ``i`` is its element ``storage_offset + sum(i * stride)``."""
    def as_strided_scatter(
        self,
        src: Tensor,
        size: Sequence[builtins.int],
        stride: Sequence[builtins.int],
        storage_offset: builtins.int = 0,
    ) -> Tensor:
        """A copy of ``input`` in which :func:`as_strided` of the same arguments shows ``src``."""
    def asin(self) -> Tensor:
        """``asin`` of each element; integers count as float32 where the result is a fraction."""
    def asin_(self) -> Tensor:
        """In place: ``asin`` of each element; integers count as float32 where the result is a fraction."""
    def asinh(self) -> Tensor:
        """``asinh`` of each element; integers count as float32 where the result is a fraction."""
    def asinh_(self) -> Tensor:
        """In place: ``asinh`` of each element; integers count as float32 where the result is a fraction."""
    def atan(self) -> Tensor:
        """``atan`` of each element; integers count as float32 where the result is a fraction."""
    def atan2(self, other: Any) -> Tensor:
        """``atan2`` of each element; operands broadcast and promote."""
    def atan2_(self, other: Any) -> Tensor:
        """In place: ``atan2`` of each element; operands broadcast and promote."""
    def atan_(self) -> Tensor:
        """In place: ``atan`` of each element; integers count as float32 where the result is a fraction."""
    def atanh(self) -> Tensor:
        """``atanh`` of each element; integers count as float32 where the result is a fraction."""
    def atanh_(self) -> Tensor:
        """In place: ``atanh`` of each element; integers count as float32 where the result is a fraction."""
    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: builtins.bool | None = None,
        create_graph: builtins.bool = False,
        inputs: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        """Add the gradient of this tensor with respect to every leaf it depends on to the leaf's ``.grad``."""
    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """``beta * input + alpha * (batch1 @ batch2)`` of batches of matrices."""
    def baddbmm_(
        self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1
    ) -> Tensor:
        """In place: ``beta * input + alpha * (batch1 @ batch2)`` of batches of matrices."""
    def bernoulli(self, p: builtins.float | None = None, *, generator: Generator | None = None) -> Tensor:
        """1 with the probability in ``input`` (or ``p``), else 0, in the dtype of ``input``."""
    def bernoulli_(self, p: builtins.float | Tensor = 0.5, *, generator: Generator | None = None) -> Tensor:
        """Fill with 1 with probability ``p``, a number or a tensor, else 0."""
    def bfloat16(self) -> Tensor:
        """In bfloat16."""
    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
        """How often each number from 0 on is an element of ``input``, or the sum of its ``weights``."""
    def bitwise_and(self, other: Any) -> Tensor:
        """``bitwise_and`` of bool or integer tensors."""
    def bitwise_and_(self, other: Any) -> Tensor:
        """In place: ``bitwise_and`` of bool or integer tensors."""
    def bitwise_left_shift(self, other: Any) -> Tensor:
        """``input << other`` of integers."""
    def bitwise_left_shift_(self, other: Any) -> Tensor:
        """In place: ``input << other`` of integers."""
    def bitwise_not(self) -> Tensor:
        """Bit complement; ``not`` for bool."""
    def bitwise_not_(self) -> Tensor:
        """In place: Bit complement; ``not`` for bool."""
    def bitwise_or(self, other: Any) -> Tensor:
        """``bitwise_or`` of bool or integer tensors."""
    def bitwise_or_(self, other: Any) -> Tensor:
        """In place: ``bitwise_or`` of bool or integer tensors."""
    def bitwise_right_shift(self, other: Any) -> Tensor:
        """``input >> other`` of integers."""
    def bitwise_right_shift_(self, other: Any) -> Tensor:
        """In place: ``input >> other`` of integers."""
    def bitwise_xor(self, other: Any) -> Tensor:
        """``bitwise_xor`` of bool or integer tensors."""
    def bitwise_xor_(self, other: Any) -> Tensor:
        """In place: ``bitwise_xor`` of bool or integer tensors."""
    def bmm(self, mat2: Tensor) -> Tensor:
        """The products of two batches of matrices of the same length."""
    def bool(self) -> Tensor:
        """As bool: false for zero."""
    def broadcast_to(self, shape: Sequence[builtins.int]) -> Tensor:
        """``expand`` to ``shape``."""
    def bucketize(
        self, boundaries: Tensor, *, out_int32: builtins.bool = False, right: builtins.bool = False
    ) -> Tensor:
        """Which of the intervals between the sorted ``boundaries`` each element is in."""
    def byte(self) -> Tensor:
        """In uint8."""
    def cauchy_(
        self, median: builtins.float = 0, sigma: builtins.float = 1, *, generator: Generator | None = None
    ) -> Tensor:
        """Fill with draws from the Cauchy distribution of this median and half width at half height."""
    def ceil(self) -> Tensor:
        """``ceil`` of each element; integers count as float32 where the result is a fraction."""
    def ceil_(self) -> Tensor:
        """In place: ``ceil`` of each element; integers count as float32 where the result is a fraction."""
    def char(self) -> Tensor:
        """In int8."""
    def cholesky(self, upper: builtins.bool = False) -> Tensor:
        """The lower triangular ``L`` with ``L L^T = input``, or its transpose. Eager only; raises if there is none."""
    def cholesky_inverse(self, upper: builtins.bool = False) -> Tensor:
        """The inverse of the matrix that has the factor ``L`` by :func:`cholesky`. Eager only."""
    def cholesky_solve(self, L: Tensor, upper: builtins.bool = False) -> Tensor:
        """``X`` with ``L L^T X = input``, of a factor by :func:`cholesky`. Eager only."""
    def chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """At most ``chunks`` views of equal size, the last may be smaller; of an empty tensor ``chunks`` empty ones."""
    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """In place: Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clamp_max(self, max: Any) -> Tensor:
        """Each element limited from above."""
    def clamp_max_(self, max: Any) -> Tensor:
        """In place: Each element limited from above."""
    def clamp_min(self, min: Any) -> Tensor:
        """Each element limited from below."""
    def clamp_min_(self, min: Any) -> Tensor:
        """In place: Each element limited from below."""
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """In place: Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy with its own storage, in the order of its dimensions that ``input`` has; gradients flow through."""
    def contiguous(self, memory_format: Any = None) -> Tensor:
        """The tensor itself if its elements stand in row-major order, else a copy."""
    def copy_(self, source: Any) -> Tensor:
        """Take the contents of ``source``, broadcast and cast."""
    def copysign(self, other: Any) -> Tensor:
        """``copysign`` of each element; operands broadcast and promote."""
    def copysign_(self, other: Any) -> Tensor:
        """In place: ``copysign`` of each element; operands broadcast and promote."""
    def corrcoef(self) -> Tensor:
        """The correlations of variables, in rows, over observations, in columns."""
    def cos(self) -> Tensor:
        """``cos`` of each element; integers count as float32 where the result is a fraction."""
    def cos_(self) -> Tensor:
        """In place: ``cos`` of each element; integers count as float32 where the result is a fraction."""
    def cosh(self) -> Tensor:
        """``cosh`` of each element; integers count as float32 where the result is a fraction."""
    def cosh_(self) -> Tensor:
        """In place: ``cosh`` of each element; integers count as float32 where the result is a fraction."""
    def count_nonzero(self, dim: Dim = None) -> Tensor:
        """How many elements, of all or along ``dim``, are not zero; int64."""
    def cov(
        self, *, correction: builtins.int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
    ) -> Tensor:
        """The covariances of variables, in rows, over observations, in columns, which weights may count; () of one row."""
    def cpu(self) -> Tensor:
        """The tensor itself: eager tensors are on the CPU."""
    def cross(self, other: Tensor, dim: builtins.int | None = None) -> Tensor:
        """The cross product along ``dim``, or the first dimension of size 3; the others broadcast."""
    def cuda(self, device: Any = None, non_blocking: builtins.bool = False) -> Tensor:
        """Refused, as ``to("cuda")`` is: a step that is compiled with ``backend="cuda"`` runs on a GPU."""
    def cummax(self, dim: builtins.int) -> ValuesIndices:
        """The largest element up to each one along ``dim``, and its index: the last one of equals. A NaN is the largest."""
    def cummin(self, dim: builtins.int) -> ValuesIndices:
        """The least element up to each one along ``dim``, and its index: the last one of equals. A NaN is the least."""
    def cumprod(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """The product of each element and all before it along ``dim``; of integers and bools in int64."""
    def cumprod_(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """In place: The product of each element and all before it along ``dim``; of integers and bools in int64."""
    def cumsum(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """The sum of each element and all before it along ``dim``; of integers and bools in int64."""
    def cumsum_(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """In place: The sum of each element and all before it along ``dim``; of integers and bools in int64."""
    @property
    def data(self) -> Tensor:
        """The contents outside autograd. Assigned: the memory of another tensor, of any shape."""
    @data.setter
    def data(self, source: Tensor) -> None: ...
    def deg2rad(self) -> Tensor:
        """Degrees as radians."""
    def deg2rad_(self) -> Tensor:
        """In place: Degrees as radians."""
    def det(self) -> Tensor:
        """The determinants of square matrices ``[*, n, n]``. Eager only."""
    def detach(self) -> Tensor:
        """The same storage without gradient history."""
    def detach_(self) -> Tensor:
        """In place: without a history; a leaf needs no gradient from now on. Other tensors keep theirs."""
    def diag(self, diagonal: builtins.int = 0) -> Tensor:
        """A matrix with this vector as the diagonal ``diagonal`` above the main one; or that diagonal of a matrix."""
    def diag_embed(self, offset: builtins.int = 0, dim1: builtins.int = -2, dim2: builtins.int = -1) -> Tensor:
        """Zeros with the last dimension on the diagonal ``offset`` above the main one of new dimensions."""
    def diagflat(self, offset: builtins.int = 0) -> Tensor:
        """A matrix with all elements on the diagonal ``offset`` above the main one."""
    def diagonal(self, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1) -> Tensor:
        """The diagonal ``offset`` above the main one of ``dim1`` and ``dim2``, as the last dimension; a view."""
    def diagonal_scatter(
        self, src: Tensor, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1
    ) -> Tensor:
        """A copy of ``input`` with ``src`` in place of ``input.diagonal(offset, dim1, dim2)``."""
    def diff(
        self, n: builtins.int = 1, dim: builtins.int = -1, prepend: Tensor | None = None, append: Tensor | None = None
    ) -> Tensor:
        """Each element less the one before it along ``dim``, ``n`` times over; of bools, whether they differ."""
    def digamma(self) -> Tensor:
        """The derivative of the logarithm of the gamma function."""
    def digamma_(self) -> Tensor:
        """In place: The derivative of the logarithm of the gamma function."""
    def dist(self, other: Tensor, p: builtins.float = 2) -> Tensor:
        """The norm of order ``p`` of the difference; the two broadcast."""
    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    def div_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """In place: True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    def divide(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    def divide_(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """In place: True division, or rounded down (``"floor"``) or towards zero (``"trunc"``)."""
    def dot(self, tensor: Tensor) -> Tensor:
        """The inner product of two vectors."""
    def double(self) -> Tensor:
        """In float64."""
    def dsplit(self, indices_or_sections: builtins.int | Sequence[builtins.int]) -> tuple[Tensor, ...]:
        """Equal parts, or parts cut at indices, along the third dimension."""
    def eq(self, other: Any) -> Tensor:
        """``eq`` of each element; operands broadcast and promote."""
    def eq_(self, other: Any) -> Tensor:
        """In place: ``eq`` of each element; operands broadcast and promote."""
    def equal(self, other: Tensor) -> builtins.bool:
        """Whether two tensors have the same shape and elements."""
    def erf(self) -> Tensor:
        """``erf`` of each element; integers count as float32 where the result is a fraction."""
    def erf_(self) -> Tensor:
        """In place: ``erf`` of each element; integers count as float32 where the result is a fraction."""
    def erfc(self) -> Tensor:
        """``erfc`` of each element; integers count as float32 where the result is a fraction."""
    def erfc_(self) -> Tensor:
        """In place: ``erfc`` of each element; integers count as float32 where the result is a fraction."""
    def erfinv(self) -> Tensor:
        """``erfinv`` of each element; integers count as float32 where the result is a fraction."""
    def erfinv_(self) -> Tensor:
        """In place: ``erfinv`` of each element; integers count as float32 where the result is a fraction."""
    def exp(self) -> Tensor:
        """``exp`` of each element; integers count as float32 where the result is a fraction."""
    def exp2(self) -> Tensor:
        """``exp2`` of each element; integers count as float32 where the result is a fraction."""
    def exp2_(self) -> Tensor:
        """In place: ``exp2`` of each element; integers count as float32 where the result is a fraction."""
    def exp_(self) -> Tensor:
        """In place: ``exp`` of each element; integers count as float32 where the result is a fraction."""
    def expand(self, *size: Any) -> Tensor:
        """Dimensions of size 1 repeated without copying; -1 keeps a size."""
    def expand_as(self, other: Tensor) -> Tensor:
        """Dimensions of size 1 repeated, without copying, to the shape of ``other``."""
    def expm1(self) -> Tensor:
        """``expm1`` of each element; integers count as float32 where the result is a fraction."""
    def expm1_(self) -> Tensor:
        """In place: ``expm1`` of each element; integers count as float32 where the result is a fraction."""
    def exponential_(self, lambd: builtins.float = 1, *, generator: Generator | None = None) -> Tensor:
        """Fill with draws of density ``lambd exp(-lambd x)``."""
    def fill_(self, value: Any) -> Tensor:
        """Set every element to a number."""
    def fill_diagonal_(self, fill_value: builtins.float, wrap: builtins.bool = False) -> Tensor:
        """Set the elements whose indices are all equal; ``wrap`` starts again below them in a tall matrix."""
    def fix(self) -> Tensor:
        """``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def fix_(self) -> Tensor:
        """In place: ``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """Dimensions ``start_dim`` to ``end_dim`` as one."""
    def flip(self, *dims: Any) -> Tensor:
        """A copy that is reversed along ``dims``."""
    def fliplr(self) -> Tensor:
        """The second dimension reversed; a copy."""
    def flipud(self) -> Tensor:
        """The first dimension reversed; a copy."""
    def float(self) -> Tensor:
        """In float32."""
    def float_power(self, exponent: builtins.float | Tensor) -> Tensor:
        """``input ** exponent`` in float64."""
    def float_power_(self, exponent: builtins.float | Tensor) -> Tensor:
        """In place: ``input ** exponent`` in float64."""
    def floor(self) -> Tensor:
        """``floor`` of each element; integers count as float32 where the result is a fraction."""
    def floor_(self) -> Tensor:
        """In place: ``floor`` of each element; integers count as float32 where the result is a fraction."""
    def floor_divide(self, other: Any) -> Tensor:
        """``floor_divide`` of each element; operands broadcast and promote."""
    def floor_divide_(self, other: Any) -> Tensor:
        """In place: ``floor_divide`` of each element; operands broadcast and promote."""
    def fmax(self, other: Tensor) -> Tensor:
        """The larger element of each pair, or the one that is not NaN; all gradient goes to ``input`` where they equal."""
    def fmin(self, other: Tensor) -> Tensor:
        """The smaller element of each pair, or the one that is not NaN; all gradient goes to ``input`` where they equal."""
    def fmod(self, other: Any) -> Tensor:
        """``fmod`` of each element; operands broadcast and promote."""
    def fmod_(self, other: Any) -> Tensor:
        """In place: ``fmod`` of each element; operands broadcast and promote."""
    def frac(self) -> Tensor:
        """The part behind the point, with the sign of ``input``."""
    def frac_(self) -> Tensor:
        """In place: The part behind the point, with the sign of ``input``."""
    def frexp(self) -> tuple[Tensor, Tensor]:
        """``(mantissa, exponent)`` with ``input = mantissa * 2 ** exponent`` and a mantissa in [0.5, 1); exponents int32."""
    def gather(self, dim: builtins.int, index: Tensor) -> Tensor:
        """``input`` along ``dim`` at ``index``, which has as many dimensions and may be smaller in the others."""
    def gcd(self, other: Tensor) -> Tensor:
        """The greatest common divisor of integers; not in a compiled step."""
    def gcd_(self, other: Tensor) -> Tensor:
        """In place: The greatest common divisor of integers; not in a compiled step."""
    def ge(self, other: Any) -> Tensor:
        """``ge`` of each element; operands broadcast and promote."""
    def ge_(self, other: Any) -> Tensor:
        """In place: ``ge`` of each element; operands broadcast and promote."""
    def geometric_(self, p: builtins.float, *, generator: Generator | None = None) -> Tensor:
        """Fill with the numbers of trials, 1 or more, until one of probability ``p`` succeeds."""
    def geqrf(self) -> Reflections:
        """The QR decomposition as LAPACK keeps it; without gradients. Eager only."""
    def ger(self, vec2: Tensor) -> Tensor:
        """Outer product of two vectors."""
    def get_device(self) -> builtins.int:
        """-1: the tensor is on the CPU."""
    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has added up; None where there is none."""
    @grad.setter
    def grad(self, grad: Tensor | None) -> None: ...
    def greater(self, other: Any) -> Tensor:
        """``gt`` of each element; operands broadcast and promote."""
    def greater_(self, other: Any) -> Tensor:
        """In place: ``gt`` of each element; operands broadcast and promote."""
    def greater_equal(self, other: Any) -> Tensor:
        """``ge`` of each element; operands broadcast and promote."""
    def greater_equal_(self, other: Any) -> Tensor:
        """In place: ``ge`` of each element; operands broadcast and promote."""
    def gt(self, other: Any) -> Tensor:
        """``gt`` of each element; operands broadcast and promote."""
    def gt_(self, other: Any) -> Tensor:
        """In place: ``gt`` of each element; operands broadcast and promote."""
    def half(self) -> Tensor:
        """In float16."""
    def hardshrink(self, lambd: builtins.float = 0.5) -> Tensor:
        """``x`` where ``|x| > lambd``, else zero."""
    def heaviside(self, values: Tensor) -> Tensor:
        """0 below zero, 1 above, ``values`` at zero."""
    def heaviside_(self, values: Tensor) -> Tensor:
        """In place: 0 below zero, 1 above, ``values`` at zero."""
    def histc(self, bins: builtins.int = 100, min: builtins.float = 0, max: builtins.float = 0) -> Tensor:
        """How many elements are in each of ``bins`` equal intervals from ``min`` to ``max``, both included."""
    def histogram(
        self,
        bins: builtins.int | Tensor,
        *,
        range: Sequence[builtins.float] | None = None,
        weight: Tensor | None = None,
        density: builtins.bool = False,
    ) -> Histogram:
        """How many elements (or the sum of their weights) are between the edges ``bins``, or in so many equal intervals."""
    def hsplit(self, indices_or_sections: builtins.int | Sequence[builtins.int]) -> tuple[Tensor, ...]:
        """Equal parts, or parts cut at indices, along the second dimension; of a vector along the first."""
    def hypot(self, other: Any) -> Tensor:
        """``hypot`` of each element; operands broadcast and promote."""
    def hypot_(self, other: Any) -> Tensor:
        """In place: ``hypot`` of each element; operands broadcast and promote."""
    def i0(self) -> Tensor:
        """``i0`` of each element; integers count as float32 where the result is a fraction."""
    def i0_(self) -> Tensor:
        """In place: ``i0`` of each element; integers count as float32 where the result is a fraction."""
    def igamma(self, other: Tensor) -> Tensor:
        """The share of the gamma function of ``input`` that lies below ``other``; a gradient for ``other``. Eager only."""
    def igamma_(self, other: Tensor) -> Tensor:
        """In place: The share of the gamma function of ``input`` that lies below ``other``; a gradient for ``other``. Eager only."""
    def igammac(self, other: Tensor) -> Tensor:
        """``1 - igamma(input, other)``, as exact for small values. Eager only."""
    def igammac_(self, other: Tensor) -> Tensor:
        """In place: ``1 - igamma(input, other)``, as exact for small values. Eager only."""
    def index_add(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
        """``input`` with the slices of ``source``, times ``alpha``, added along ``dim`` at ``index``."""
    def index_add_(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input`` with the slices of ``source``, times ``alpha``, added along ``dim`` at ``index``."""
    def index_copy(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """``input`` with the slices of ``source`` written along ``dim`` at ``index``."""
    def index_copy_(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """In place: ``input`` with the slices of ``source`` written along ``dim`` at ``index``."""
    def index_fill(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """``input`` with a number written along ``dim`` at ``index``; a negative index counts from the end."""
    def index_fill_(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """In place: ``input`` with a number written along ``dim`` at ``index``; a negative index counts from the end."""
    def index_put(self, indices: Sequence[Tensor | None], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """``input`` with ``values`` written to ``input[indices]``, or added there; a copy."""
    def index_put_(self, indices: Sequence[Tensor | None], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """In place: ``input`` with ``values`` written to ``input[indices]``, or added there; a copy."""
    def index_reduce(
        self, dim: builtins.int, index: Tensor, source: Tensor, reduce: str, *, include_self: builtins.bool = True
    ) -> Tensor:
        """``input`` joined with the slices of ``source`` along ``dim`` at ``index`` by "prod", "mean", "amax" or "amin"."""
    def index_reduce_(
        self, dim: builtins.int, index: Tensor, source: Tensor, reduce: str, *, include_self: builtins.bool = True
    ) -> Tensor:
        """In place: ``input`` joined with the slices of ``source`` along ``dim`` at ``index`` by "prod", "mean", "amax" or "amin"."""
    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices along ``dim`` at ``index``, a vector or a single number."""
    def inner(self, other: Tensor) -> Tensor:
        """The products of the last dimensions, added up: ``[*, n]`` and ``[+, n]`` give ``[*, +]``."""
    def int(self) -> Tensor:
        """In int32."""
    def inverse(self) -> Tensor:
        """The inverse of square matrices ``[*, n, n]``. Eager only; raises for a singular one."""
    def is_complex(self) -> builtins.bool:
        """False: there are no complex tensors."""
    def is_conj(self) -> builtins.bool:
        """False: there are no complex tensors."""
    def is_inference(self) -> builtins.bool:
        """False: tensors that are made in ``inference_mode`` are like others."""
    def is_nonzero(self) -> builtins.bool:
        """Whether the one element is not zero. Raises RuntimeError for another number of elements."""
    def is_pinned(self, device: Any = None) -> builtins.bool:
        """False: memory is not pinned."""
    def is_same_size(self, other: Tensor) -> builtins.bool:
        """Whether the shapes are equal."""
    def is_shared(self) -> builtins.bool:
        """False: other processes do not see the memory."""
    def is_signed(self) -> builtins.bool:
        """Whether elements may be negative."""
    def isclose(
        self,
        other: Tensor,
        rtol: builtins.float = 1e-05,
        atol: builtins.float = 1e-08,
        equal_nan: builtins.bool = False,
    ) -> Tensor:
        """Whether ``|input - other| <= atol + rtol * |other|`` for each pair of elements."""
    def isfinite(self) -> Tensor:
        """``isfinite`` of each element; integers count as float32 where the result is a fraction."""
    def isinf(self) -> Tensor:
        """``isinf`` of each element; integers count as float32 where the result is a fraction."""
    def isnan(self) -> Tensor:
        """``isnan`` of each element; integers count as float32 where the result is a fraction."""
    def isneginf(self) -> Tensor:
        """Whether each element is negative infinity."""
    def isposinf(self) -> Tensor:
        """Whether each element is positive infinity."""
    def isreal(self) -> Tensor:
        """True everywhere: no tensor is complex."""
    def kron(self, other: Tensor) -> Tensor:
        """The Kronecker product: each element of ``input`` times all of ``other``, as blocks."""
    def kthvalue(self, k: builtins.int, dim: builtins.int = -1, keepdim: builtins.bool = False) -> ValuesIndices:
        """The ``k``-th least element along ``dim``, counted from 1, and where it was."""
    def lcm(self, other: Tensor) -> Tensor:
        """The least common multiple of integers; not in a compiled step."""
    def lcm_(self, other: Tensor) -> Tensor:
        """In place: The least common multiple of integers; not in a compiled step."""
    def ldexp(self, other: Any) -> Tensor:
        """``input * 2 ** other``."""
    def ldexp_(self, other: Any) -> Tensor:
        """In place: ``input * 2 ** other``."""
    def le(self, other: Any) -> Tensor:
        """``le`` of each element; operands broadcast and promote."""
    def le_(self, other: Any) -> Tensor:
        """In place: ``le`` of each element; operands broadcast and promote."""
    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        """``input + weight * (end - input)``."""
    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        """In place: ``input + weight * (end - input)``."""
    def less(self, other: Any) -> Tensor:
        """``lt`` of each element; operands broadcast and promote."""
    def less_(self, other: Any) -> Tensor:
        """In place: ``lt`` of each element; operands broadcast and promote."""
    def less_equal(self, other: Any) -> Tensor:
        """``le`` of each element; operands broadcast and promote."""
    def less_equal_(self, other: Any) -> Tensor:
        """In place: ``le`` of each element; operands broadcast and promote."""
    def lgamma(self) -> Tensor:
        """``lgamma`` of each element; integers count as float32 where the result is a fraction."""
    def lgamma_(self) -> Tensor:
        """In place: ``lgamma`` of each element; integers count as float32 where the result is a fraction."""
    def log(self) -> Tensor:
        """``log`` of each element; integers count as float32 where the result is a fraction."""
    def log10(self) -> Tensor:
        """``log10`` of each element; integers count as float32 where the result is a fraction."""
    def log10_(self) -> Tensor:
        """In place: ``log10`` of each element; integers count as float32 where the result is a fraction."""
    def log1p(self) -> Tensor:
        """``log1p`` of each element; integers count as float32 where the result is a fraction."""
    def log1p_(self) -> Tensor:
        """In place: ``log1p`` of each element; integers count as float32 where the result is a fraction."""
    def log2(self) -> Tensor:
        """``log2`` of each element; integers count as float32 where the result is a fraction."""
    def log2_(self) -> Tensor:
        """In place: ``log2`` of each element; integers count as float32 where the result is a fraction."""
    def log_(self) -> Tensor:
        """In place: ``log`` of each element; integers count as float32 where the result is a fraction."""
    def log_normal_(
        self, mean: builtins.float = 1, std: builtins.float = 2, *, generator: Generator | None = None
    ) -> Tensor:
        """Fill with exponentials of normal draws of this mean and standard deviation."""
    def log_softmax(self, dim: builtins.int, dtype: Any = None) -> Tensor:
        """``log(softmax(x))`` along ``dim``."""
    def logaddexp(self, other: Any) -> Tensor:
        """``logaddexp`` of each element; operands broadcast and promote."""
    def logaddexp2(self, other: Any) -> Tensor:
        """``logaddexp2`` of each element; operands broadcast and promote."""
    def logcumsumexp(self, dim: builtins.int) -> Tensor:
        """``log(cumsum(exp(x)))`` along ``dim``, without overflow."""
    def logdet(self) -> Tensor:
        """The logarithms of determinants; NaN of negative ones. Eager only."""
    def logical_and(self, other: Any) -> Tensor:
        """Elementwise ``and``; anything not zero is true."""
    def logical_and_(self, other: Any) -> Tensor:
        """In place: Elementwise ``and``; anything not zero is true."""
    def logical_not(self) -> Tensor:
        """Elementwise ``not``; anything not zero is true."""
    def logical_not_(self) -> Tensor:
        """In place: Elementwise ``not``; anything not zero is true."""
    def logical_or(self, other: Any) -> Tensor:
        """Elementwise ``or``; anything not zero is true."""
    def logical_or_(self, other: Any) -> Tensor:
        """In place: Elementwise ``or``; anything not zero is true."""
    def logical_xor(self, other: Any) -> Tensor:
        """Elementwise exclusive ``or``; anything not zero is true."""
    def logical_xor_(self, other: Any) -> Tensor:
        """In place: Elementwise exclusive ``or``; anything not zero is true."""
    def logit(self, eps: builtins.float | None = None) -> Tensor:
        """``log(x / (1 - x))``, of ``x`` limited to ``[eps, 1 - eps]`` where ``eps`` is given."""
    def logit_(self, eps: builtins.float | None = None) -> Tensor:
        """In place: ``log(x / (1 - x))``, of ``x`` limited to ``[eps, 1 - eps]`` where ``eps`` is given."""
    def logsumexp(self, dim: Dim, keepdim: builtins.bool = False) -> Tensor:
        """``log(sum(exp(x)))`` over ``dim``, without overflow; -inf where there is nothing to sum."""
    def long(self) -> Tensor:
        """In int64."""
    def lt(self, other: Any) -> Tensor:
        """``lt`` of each element; operands broadcast and promote."""
    def lt_(self, other: Any) -> Tensor:
        """In place: ``lt`` of each element; operands broadcast and promote."""
    def lu(self, pivot: builtins.bool = True, get_infos: builtins.bool = False) -> tuple[Tensor, ...]:
        """:func:`linalg.lu_factor`, with ``get_infos`` :func:`linalg.lu_factor_ex`. Eager only."""
    def lu_solve(self, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
        """``X`` with ``A X = b``, of the factors of ``A``; :func:`linalg.lu_solve`. Eager only."""
    @property
    def mH(self) -> Tensor:
        """The last two dimensions exchanged."""
    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged."""
    def map2_(self, *others: Any) -> Tensor:
        """Write what a function of Python gives for each element and of 2 other tensors. Eager only."""
    def map_(self, *others: Any) -> Tensor:
        """Write what a function of Python gives for each element and of 1 other tensors. Eager only."""
    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """``value`` where ``mask`` is true."""
    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        """In place: ``value`` where ``mask`` is true."""
    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """``input`` with the elements of ``source``, in order, written where ``mask`` is true."""
    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        """In place: ``input`` with the elements of ``source``, in order, written where ``mask`` is true."""
    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where ``mask`` is true, as a vector. Eager only."""
    def matmul(self, other: Tensor) -> Tensor:
        """Matrix product, batched over leading dimensions."""
    def matrix_exp(self) -> Tensor:
        """The exponential of square matrices: a Taylor series of ``input / 2**s``, squared ``s`` times. Eager only."""
    def matrix_power(self, n: builtins.int) -> Tensor:
        """``n`` equal matrices multiplied; a negative ``n`` takes the inverse (eager only)."""
    @overload
    def max(self, dim: None = None) -> Tensor:
        """The largest of all elements, of those along ``dim`` (values and indices), or of each pair of two tensors."""
    @overload
    def max(self, dim: builtins.int, keepdim: builtins.bool = False) -> ValuesIndices: ...
    @overload
    def max(self, dim: Tensor) -> Tensor: ...
    @overload
    def max(self, *, other: Tensor) -> Tensor: ...
    def maximum(self, other: Any) -> Tensor:
        """``maximum`` of each element; operands broadcast and promote."""
    def mean(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``mean`` over ``dim`` (an int, several, or None for all)."""
    def median(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any:
        """The element in the middle, the lower one of two: of all, or those along ``dim`` with its place. NaN beats all."""
    @overload
    def min(self, dim: None = None) -> Tensor:
        """The smallest of all elements, of those along ``dim`` (values and indices), or of each pair of two tensors."""
    @overload
    def min(self, dim: builtins.int, keepdim: builtins.bool = False) -> ValuesIndices: ...
    @overload
    def min(self, dim: Tensor) -> Tensor: ...
    @overload
    def min(self, *, other: Tensor) -> Tensor: ...
    def minimum(self, other: Any) -> Tensor:
        """``minimum`` of each element; operands broadcast and promote."""
    def mm(self, mat2: Tensor) -> Tensor:
        """The product of two matrices."""
    def mode(self, dim: builtins.int = -1, keepdim: builtins.bool = False) -> ValuesIndices:
        """The most frequent element along ``dim``, the least of several, and the last place where it stands."""
    def moveaxis(self, source: Dims, destination: Dims) -> Tensor:
        """The dimensions ``source`` at the places ``destination``; the others keep their order."""
    def movedim(self, source: Dims, destination: Dims) -> Tensor:
        """The dimensions ``source`` at the places ``destination``; the others keep their order."""
    def msort(self) -> Tensor:
        """The elements in order along the first dimension."""
    def mul(self, other: Any) -> Tensor:
        """``mul`` of each element; operands broadcast and promote."""
    def mul_(self, other: Any) -> Tensor:
        """In place: ``mul`` of each element; operands broadcast and promote."""
    def multinomial(
        self, num_samples: builtins.int, replacement: builtins.bool = False, *, generator: Generator | None = None
    ) -> Tensor:
        """Places drawn with probabilities in proportion to ``input`` (one row, or rows), int64."""
    def multiply(self, other: Any) -> Tensor:
        """``mul`` of each element; operands broadcast and promote."""
    def multiply_(self, other: Any) -> Tensor:
        """In place: ``mul`` of each element; operands broadcast and promote."""
    def mv(self, vec: Tensor) -> Tensor:
        """The product of a matrix and a vector."""
    def mvlgamma(self, p: builtins.int) -> Tensor:
        """The logarithm of the multivariate gamma function of dimension ``p``, for elements above ``(p - 1) / 2``."""
    def mvlgamma_(self, p: builtins.int) -> Tensor:
        """In place: The logarithm of the multivariate gamma function of dimension ``p``, for elements above ``(p - 1) / 2``."""
    def nan_to_num(
        self,
        nan: builtins.float | None = None,
        posinf: builtins.float | None = None,
        neginf: builtins.float | None = None,
    ) -> Tensor:
        """0 for NaN and the largest numbers for infinities, or the numbers that are given."""
    def nan_to_num_(
        self,
        nan: builtins.float | None = None,
        posinf: builtins.float | None = None,
        neginf: builtins.float | None = None,
    ) -> Tensor:
        """In place: 0 for NaN and the largest numbers for infinities, or the numbers that are given."""
    def nanmean(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """The mean over ``dim`` of the elements that are no NaN; NaN if there is nothing else."""
    def nanmedian(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any:
        """:func:`median` of the elements that are no NaN."""
    def nanquantile(
        self, q: Any, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        """:func:`quantile` of the elements that are no NaN."""
    def nansum(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """The sum over ``dim``, a NaN counting as 0."""
    def narrow(self, dim: builtins.int, start: builtins.int, length: builtins.int) -> Tensor:
        """``length`` elements from ``start`` along ``dim``."""
    def narrow_copy(self, dim: builtins.int, start: builtins.int, length: builtins.int) -> Tensor:
        """A copy of ``length`` elements from ``start`` along ``dim``."""
    def ne(self, other: Any) -> Tensor:
        """``ne`` of each element; operands broadcast and promote."""
    def ne_(self, other: Any) -> Tensor:
        """In place: ``ne`` of each element; operands broadcast and promote."""
    def neg(self) -> Tensor:
        """``neg`` of each element; integers count as float32 where the result is a fraction."""
    def neg_(self) -> Tensor:
        """In place: ``neg`` of each element; integers count as float32 where the result is a fraction."""
    def negative(self) -> Tensor:
        """``neg`` of each element; integers count as float32 where the result is a fraction."""
    def negative_(self) -> Tensor:
        """In place: ``neg`` of each element; integers count as float32 where the result is a fraction."""
    def new(self, *data: Any) -> Tensor:
        """Zeros of the given sizes, or the numbers of a sequence or a tensor, in the dtype of ``input``."""
    def new_empty(
        self,
        *size: Any,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """Zeros of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_empty_strided(
        self,
        size: Sequence[builtins.int],
        stride: Sequence[builtins.int],
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """Zeros of ``size`` with these strides, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_full(
        self,
        size: Sequence[builtins.int],
        fill_value: Any,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """A tensor of ``size`` filled with a number, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_ones(
        self,
        *size: Any,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """Ones of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_tensor(
        self,
        data: Any,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
    ) -> Tensor:
        """A new tensor with a copy of ``data``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_zeros(
        self,
        *size: Any,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
        pin_memory: builtins.bool = False,
    ) -> Tensor:
        """Zeros of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def nextafter(self, other: Tensor) -> Tensor:
        """The next number from ``input`` towards ``other``; not in a compiled step."""
    def nextafter_(self, other: Tensor) -> Tensor:
        """In place: The next number from ``input`` towards ``other``; not in a compiled step."""
    def nonzero(self, *, as_tuple: builtins.bool = False) -> Any:
        """The indices of all elements that are not zero, one in a row; or one tensor for each dimension. Eager only."""
    def nonzero_static(self, *, size: builtins.int, fill_value: builtins.int = -1) -> Tensor:
        """The indices of the first ``size`` elements that are not zero, one in a row; rows behind them ``fill_value``."""
    def norm(self, p: Any = "fro", dim: Dim = None, keepdim: builtins.bool = False, dtype: Any = None) -> Tensor:
        """Vector norm of order ``p`` ("fro" is 2) over ``dim`` or all elements."""
    def normal_(
        self, mean: builtins.float = 0.0, std: builtins.float = 1.0, generator: Generator | None = None
    ) -> Tensor:
        """Fill with normal draws."""
    def not_equal(self, other: Any) -> Tensor:
        """``ne`` of each element; operands broadcast and promote."""
    def not_equal_(self, other: Any) -> Tensor:
        """In place: ``ne`` of each element; operands broadcast and promote."""
    def orgqr(self, tau: Tensor) -> Tensor:
        """:func:`linalg.householder_product`."""
    def ormqr(self, tau: Tensor, other: Tensor, left: builtins.bool = True, transpose: builtins.bool = False) -> Tensor:
        """The product of the reflections of :func:`geqrf`, or its transpose, with ``other`` behind it, or before it."""
    def outer(self, vec2: Tensor) -> Tensor:
        """Outer product of two vectors."""
    def permute(self, *dims: Any) -> Tensor:
        """The dimensions in another order."""
    def pin_memory(self, device: Any = None) -> Tensor:
        """The tensor itself: no copy to a GPU waits for it."""
    def pinverse(self, rcond: builtins.float = 1e-15) -> Tensor:
        """:func:`linalg.pinv` with singular values below ``rcond`` times the largest as 0. Eager only."""
    def polygamma(self, n: builtins.int) -> Tensor:
        """The ``n``-th derivative of :func:`digamma`; raises OpError for a negative ``n``."""
    def polygamma_(self, n: builtins.int) -> Tensor:
        """In place: The ``n``-th derivative of :func:`digamma`; raises OpError for a negative ``n``."""
    def positive(self) -> Tensor:
        """``input`` itself; raises OpError for bools."""
    def pow(self, exponent: Any) -> Tensor:
        """``input ** exponent`` of each element; operands broadcast and promote."""
    def pow_(self, exponent: Any) -> Tensor:
        """In place: ``input ** exponent`` of each element; operands broadcast and promote."""
    def prelu(self, weight: Tensor) -> Tensor:
        """``x`` if positive, else ``weight * x``, with one weight or one per channel (dimension 1)."""
    def prod(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """The product of all elements, or of those along ``dim``; of integers and bools in int64."""
    def put(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """``input`` with ``source`` written (added) at ``index`` of it as a vector; negative indices count from the end."""
    def put_(self, index: Tensor, source: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """In place: ``input`` with ``source`` written (added) at ``index`` of it as a vector; negative indices count from the end."""
    def qr(self, some: builtins.bool = True) -> Qr:
        """:func:`linalg.qr`, complete unless ``some``. Eager only."""
    def quantile(
        self, q: Any, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        """The ``q`` quantiles, of all elements or along ``dim``; several ``q`` are a first dimension. NaN where one is NaN."""
    def rad2deg(self) -> Tensor:
        """Radians as degrees."""
    def rad2deg_(self) -> Tensor:
        """In place: Radians as degrees."""
    def random_(
        self, low: builtins.int = 0, high: builtins.int | None = None, *, generator: Generator | None = None
    ) -> Tensor:
        """Fill with whole numbers from ``[low, high)``; one number is ``high``; without any, all that the dtype holds."""
    def ravel(self) -> Tensor:
        """The elements as a vector: a view where strides allow one, else a copy."""
    def reciprocal(self) -> Tensor:
        """``reciprocal`` of each element; integers count as float32 where the result is a fraction."""
    def reciprocal_(self) -> Tensor:
        """In place: ``reciprocal`` of each element; integers count as float32 where the result is a fraction."""
    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call ``hook(gradient)`` whenever a gradient of this tensor is ready; its result, unless None, replaces it."""
    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call ``hook(tensor)`` whenever a backward pass has added to ``.grad`` of this leaf, once for each pass."""
    def relu(self) -> Tensor:
        """``relu`` of each element; integers count as float32 where the result is a fraction."""
    def relu_(self) -> Tensor:
        """In place: ``relu`` of each element; integers count as float32 where the result is a fraction."""
    def remainder(self, other: Any) -> Tensor:
        """``remainder`` of each element; operands broadcast and promote."""
    def remainder_(self, other: Any) -> Tensor:
        """In place: ``remainder`` of each element; operands broadcast and promote."""
    def renorm(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """Each slice along ``dim`` whose norm of order ``p`` exceeds ``maxnorm`` is scaled down to it."""
    def renorm_(self, p: builtins.float, dim: builtins.int, maxnorm: builtins.float) -> Tensor:
        """In place: Each slice along ``dim`` whose norm of order ``p`` exceeds ``maxnorm`` is scaled down to it."""
    def repeat(self, *repeats: Any) -> Tensor:
        """The tensor tiled ``repeats`` times along each dimension."""
    def repeat_interleave(
        self,
        repeats: builtins.int | Tensor,
        dim: builtins.int | None = None,
        *,
        output_size: builtins.int | None = None,
    ) -> Tensor:
        """Each slice along ``dim`` (each element, for None) ``repeats`` times in a row."""
    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one size may be -1. A view where strides allow one, else a copy."""
    def reshape_as(self, other: Tensor) -> Tensor:
        """In the shape of ``other``."""
    def resize_(self, *sizes: Any, memory_format: Any = None) -> Tensor:
        """In place, outside compiled steps: another shape of the elements in order, with zeros where it asks for more."""
    def resize_as_(self, other: Tensor, memory_format: Any = None) -> Tensor:
        """In place, outside compiled steps: the shape of ``other``, as :meth:`resize_` gives it."""
    def retain_grad(self) -> None:
        """Keep ``.grad`` of a tensor that is not a leaf, too."""
    def roll(self, shifts: Dims, dims: Dims | None = None) -> Tensor:
        """The elements moved on by ``shifts`` along ``dims`` (None: as one vector), the last ones to the front."""
    def rot90(self, k: builtins.int = 1, dims: Sequence[builtins.int] = (0, 1)) -> Tensor:
        """Turned ``k`` times by 90 degrees, from the first of ``dims`` towards the second."""
    def round(self, *, decimals: builtins.int = 0) -> Tensor:
        """Rounded to ``decimals`` places behind the point (before it, where negative), halves to the even digit."""
    def round_(self, *, decimals: builtins.int = 0) -> Tensor:
        """In place: Rounded to ``decimals`` places behind the point (before it, where negative), halves to the even digit."""
    def rsqrt(self) -> Tensor:
        """``rsqrt`` of each element; integers count as float32 where the result is a fraction."""
    def rsqrt_(self) -> Tensor:
        """In place: ``rsqrt`` of each element; integers count as float32 where the result is a fraction."""
    def scatter(
        self, dim: builtins.int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
    ) -> Tensor:
        """``input`` with ``src`` (or a number) written along ``dim`` at ``index``; of several for a place the last stays."""
    def scatter_(
        self, dim: builtins.int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
    ) -> Tensor:
        """In place: ``input`` with ``src`` (or a number) written along ``dim`` at ``index``; of several for a place the last stays."""
    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """``input`` with ``src`` added along ``dim`` at ``index``; of ``src`` only what ``index`` covers counts."""
    def scatter_add_(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """In place: ``input`` with ``src`` added along ``dim`` at ``index``; of ``src`` only what ``index`` covers counts."""
    def scatter_reduce(
        self, dim: builtins.int, index: Tensor, src: Tensor, reduce: str, *, include_self: builtins.bool = True
    ) -> Tensor:
        """``input`` joined with ``src`` along ``dim`` at ``index`` by "sum", "prod", "mean", "amax" or "amin"."""
    def scatter_reduce_(
        self, dim: builtins.int, index: Tensor, src: Tensor, reduce: str, *, include_self: builtins.bool = True
    ) -> Tensor:
        """In place: ``input`` joined with ``src`` along ``dim`` at ``index`` by "sum", "prod", "mean", "amax" or "amin"."""
    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice at ``index``, without that dimension."""
    def select_scatter(self, src: Tensor, dim: builtins.int, index: builtins.int) -> Tensor:
        """A copy of ``input`` with ``src`` in place of ``input.select(dim, index)``."""
    def sgn(self) -> Tensor:
        """The same as :func:`sign`."""
    def sgn_(self) -> Tensor:
        """In place: The same as :func:`sign`."""
    def share_memory_(self) -> Tensor:
        """The tensor itself: processes that work for a loader get what they need by fork, or as a copy."""
    def short(self) -> Tensor:
        """In int16."""
    def sigmoid(self) -> Tensor:
        """``sigmoid`` of each element; integers count as float32 where the result is a fraction."""
    def sigmoid_(self) -> Tensor:
        """In place: ``sigmoid`` of each element; integers count as float32 where the result is a fraction."""
    def sign(self) -> Tensor:
        """``sign`` of each element; integers count as float32 where the result is a fraction."""
    def sign_(self) -> Tensor:
        """In place: ``sign`` of each element; integers count as float32 where the result is a fraction."""
    def signbit(self) -> Tensor:
        """Whether each element is negative; -0.0 is."""
    def sin(self) -> Tensor:
        """``sin`` of each element; integers count as float32 where the result is a fraction."""
    def sin_(self) -> Tensor:
        """In place: ``sin`` of each element; integers count as float32 where the result is a fraction."""
    def sinc(self) -> Tensor:
        """``sinc`` of each element; integers count as float32 where the result is a fraction."""
    def sinc_(self) -> Tensor:
        """In place: ``sinc`` of each element; integers count as float32 where the result is a fraction."""
    def sinh(self) -> Tensor:
        """``sinh`` of each element; integers count as float32 where the result is a fraction."""
    def sinh_(self) -> Tensor:
        """In place: ``sinh`` of each element; integers count as float32 where the result is a fraction."""
    def slice_scatter(
        self,
        src: Tensor,
        dim: builtins.int = 0,
        start: builtins.int | None = None,
        end: builtins.int | None = None,
        step: builtins.int = 1,
    ) -> Tensor:
        """A copy of ``input`` with ``src`` in place of ``input[start:end:step]`` along ``dim``."""
    def slogdet(self) -> SignLogDeterminant:
        """The sign of determinants, and the logarithms of their absolute values. Eager only."""
    def softmax(self, dim: builtins.int, dtype: Any = None) -> Tensor:
        """``exp(x) / sum(exp(x))`` along ``dim``."""
    def sort(
        self, dim: builtins.int = -1, descending: builtins.bool = False, stable: builtins.bool = False
    ) -> ValuesIndices:
        """The elements in order along ``dim``, and where they were. Equal ones keep their order; a NaN is the largest."""
    def split(self, split_size: builtins.int | Sequence[builtins.int], dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Pieces of a size, or of the sizes given, along ``dim``."""
    def split_with_sizes(self, split_sizes: Sequence[builtins.int], dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Views of parts of these sizes."""
    def sqrt(self) -> Tensor:
        """``sqrt`` of each element; integers count as float32 where the result is a fraction."""
    def sqrt_(self) -> Tensor:
        """In place: ``sqrt`` of each element; integers count as float32 where the result is a fraction."""
    def square(self) -> Tensor:
        """``input * input``."""
    def square_(self) -> Tensor:
        """In place: ``input * input``."""
    def squeeze(self, dim: Dim = None) -> Tensor:
        """Without the dimensions of size 1 (those in ``dim``, or all)."""
    def squeeze_(self, dim: Dim = None) -> Tensor:
        """In place: without dimensions of size 1, all or those in ``dim``."""
    def std(
        self,
        dim: Dim = None,
        unbiased: builtins.bool = True,
        keepdim: builtins.bool = False,
        *,
        correction: builtins.float | None = None,
    ) -> Tensor:
        """Standard deviation over ``dim``: the root of :func:`var`, with the same arguments."""
    def sub(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """``input - alpha * other``."""
    def sub_(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input - alpha * other``."""
    def subtract(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """``input - alpha * other``."""
    def subtract_(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input - alpha * other``."""
    def sum(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``sum`` over ``dim`` (an int, several, or None for all)."""
    def sum_to_size(self, *size: Any) -> Tensor:
        """The sum over the dimensions along which ``size`` broadcasts to the shape."""
    def svd(self, some: builtins.bool = True, compute_uv: builtins.bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """``U``, ``S`` and ``V`` (not its transpose) with ``input = U diag(S) V^T``. Eager only."""
    def swapaxes(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two dimensions exchanged."""
    def swapaxes_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """In place: two dimensions exchanged."""
    def swapdims(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two dimensions exchanged."""
    def swapdims_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """In place: two dimensions exchanged."""
    def t(self) -> Tensor:
        """A matrix transposed; vectors as they are."""
    def t_(self) -> Tensor:
        """In place: a matrix transposed."""
    def take(self, index: Tensor) -> Tensor:
        """The elements at ``index`` of the tensor as a vector; a negative index counts from the end."""
    def take_along_dim(self, indices: Tensor, dim: builtins.int | None = None) -> Tensor:
        """:func:`gather` where the other dimensions broadcast; without ``dim``, of the tensors as vectors."""
    def tan(self) -> Tensor:
        """``tan`` of each element; integers count as float32 where the result is a fraction."""
    def tan_(self) -> Tensor:
        """In place: ``tan`` of each element; integers count as float32 where the result is a fraction."""
    def tanh(self) -> Tensor:
        """``tanh`` of each element; integers count as float32 where the result is a fraction."""
    def tanh_(self) -> Tensor:
        """In place: ``tanh`` of each element; integers count as float32 where the result is a fraction."""
    def tensor_split(
        self, indices_or_sections: builtins.int | Sequence[builtins.int] | Tensor, dim: builtins.int = 0
    ) -> tuple[Tensor, ...]:
        """Views of so many parts, the first ones longer by one where it does not divide; or of parts cut at indices."""
    def tile(self, *dims: Any) -> Tensor:
        """The tensor repeated ``dims`` times along its last dimensions, or along new ones in front."""
    def to(
        self,
        *targets: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """``to(dtype)``, ``to(device, dtype)`` or ``to(other)``, each with ``non_blocking, copy``: converted."""
    def topk(
        self, k: builtins.int, dim: builtins.int = -1, largest: builtins.bool = True, sorted: builtins.bool = True
    ) -> ValuesIndices:
        """The ``k`` largest (least) elements along ``dim`` in order, and where they were; of equals the first ones."""
    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix."""
    def transpose(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two dimensions exchanged."""
    def transpose_(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """In place: two dimensions exchanged."""
    def triangular_solve(
        self,
        A: Tensor,
        upper: builtins.bool = True,
        transpose: builtins.bool = False,
        unitriangular: builtins.bool = False,
    ) -> TriangularSolution:
        """:func:`linalg.solve_triangular` of ``A``, or of its transpose, and a copy of ``A``. Eager only."""
    def tril(self, diagonal: builtins.int = 0) -> Tensor:
        """The lower triangle of the last two dimensions; zero elsewhere."""
    def tril_(self, diagonal: builtins.int = 0) -> Tensor:
        """In place: The lower triangle of the last two dimensions; zero elsewhere."""
    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The upper triangle of the last two dimensions; zero elsewhere."""
    def triu_(self, diagonal: builtins.int = 0) -> Tensor:
        """In place: The upper triangle of the last two dimensions; zero elsewhere."""
    def true_divide(self, other: Any) -> Tensor:
        """``true_divide`` of each element; operands broadcast and promote."""
    def true_divide_(self, other: Any) -> Tensor:
        """In place: ``true_divide`` of each element; operands broadcast and promote."""
    def trunc(self) -> Tensor:
        """``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def trunc_(self) -> Tensor:
        """In place: ``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """Converted to ``dtype``, also ``FloatTensor`` or ``"genesis.FloatTensor"``; without it, the text of its own."""
    def type_as(self, other: Tensor) -> Tensor:
        """In the dtype of ``other``."""
    def unbind(self, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """The slices along ``dim``; views."""
    def unflatten(self, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """Dimension ``dim`` as several."""
    def unfold(self, dimension: builtins.int, size: builtins.int, step: builtins.int) -> Tensor:
        """The windows of ``size`` along ``dimension``, ``step`` apart; the elements of a window are the last dimension."""
    def uniform_(self, a: builtins.float = 0.0, b: builtins.float = 1.0, generator: Generator | None = None) -> Tensor:
        """Fill with uniform draws from ``[a, b)``."""
    def unique(
        self,
        sorted: builtins.bool = True,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> Any:
        """The different elements, or slices along ``dim``, in order; where each came to, and how often. Eager only."""
    def unique_consecutive(
        self,
        return_inverse: builtins.bool = False,
        return_counts: builtins.bool = False,
        dim: builtins.int | None = None,
    ) -> Any:
        """The elements, or slices along ``dim``, without those that equal the one before them. Eager only."""
    def unsafe_chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """At most ``chunks`` views of equal size, the last may be smaller; of an empty tensor ``chunks`` empty ones."""
    def unsafe_split(
        self, split_size: builtins.int | Sequence[builtins.int], dim: builtins.int = 0
    ) -> tuple[Tensor, ...]:
        """Pieces of a size, or of the sizes given, along ``dim``."""
    def unsafe_split_with_sizes(self, split_sizes: Sequence[builtins.int], dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Views of parts of these sizes."""
    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """A new dimension of size 1 at ``dim``."""
    def unsqueeze_(self, dim: builtins.int) -> Tensor:
        """In place: a new dimension of size 1 at ``dim``."""
    def var(
        self,
        dim: Dim = None,
        unbiased: builtins.bool = True,
        keepdim: builtins.bool = False,
        *,
        correction: builtins.float | None = None,
    ) -> Tensor:
        """Variance over ``dim``, divided by ``n - correction`` (1 by default). ``var(x, False)`` means ``unbiased``."""
    def vdot(self, other: Tensor) -> Tensor:
        """The dot product of two vectors."""
    def view(self, *size: Any, dtype: Any = None) -> Tensor:
        """In another shape, without a copy; of a dtype: the same memory read as that dtype."""
    def view_as(self, other: Tensor) -> Tensor:
        """In the shape of ``other``, without a copy."""
    def vsplit(self, indices_or_sections: builtins.int | Sequence[builtins.int]) -> tuple[Tensor, ...]:
        """Equal parts, or parts cut at indices, along the first dimension."""
    def where(self, condition: Tensor, other: Any) -> Tensor:
        """The tensor where ``condition`` holds, else ``other``."""
    def xlogy(self, other: Any) -> Tensor:
        """``xlogy`` of each element; operands broadcast and promote."""
    def xlogy_(self, other: Any) -> Tensor:
        """In place: ``xlogy`` of each element; operands broadcast and promote."""
    def zero_(self) -> Tensor:
        """Set every element to zero."""
