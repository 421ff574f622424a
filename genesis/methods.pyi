"""The methods of a Tensor that are functions of ``genesis.functions``."""

# Written by `pytest --update-golden tests/genesis/test_declarations.py`.

import builtins
from collections.abc import Callable, Sequence
from typing import Any, overload

from genesis.functions.pointwise import Dim
from genesis.functions.rearranging import Dims
from genesis.functions.reductions import ValuesIndices
from genesis.history import Handle
from genesis.random import Generator
from genesis.tensor import Tensor

class Methods:
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
    def __ifloordiv__(self, other: Any) -> Tensor:
        """In place: ``floor_divide`` of each element; operands broadcast and promote."""
    def __imod__(self, other: Any) -> Tensor:
        """In place: ``remainder`` of each element; operands broadcast and promote."""
    def __imul__(self, other: Any) -> Tensor:
        """In place: ``mul`` of each element; operands broadcast and promote."""
    def __invert__(self) -> Tensor:
        """Bit complement; ``not`` for bool."""
    def __ipow__(self, exponent: Any) -> Tensor:
        """In place: ``input ** exponent`` of each element; operands broadcast and promote."""
    def __isub__(self, other: Any, *, alpha: builtins.float = 1) -> Tensor:
        """In place: ``input - alpha * other``."""
    def __itruediv__(self, other: Any) -> Tensor:
        """In place: ``true_divide`` of each element; operands broadcast and promote."""
    def __le__(self, other: Any) -> Tensor: ...
    def __lt__(self, other: Any) -> Tensor: ...
    def __matmul__(self, other: Any) -> Tensor: ...
    def __mod__(self, other: Any) -> Tensor: ...
    def __mul__(self, other: Any) -> Tensor: ...
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __neg__(self) -> Tensor:
        """``neg`` of each element; integers count as float32 where the result is a fraction."""
    def __or__(self, other: Any) -> Tensor: ...
    def __pow__(self, other: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Tensor: ...
    def __rand__(self, other: Any) -> Tensor: ...
    def __rfloordiv__(self, other: Any) -> Tensor: ...
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def __rmod__(self, other: Any) -> Tensor: ...
    def __rmul__(self, other: Any) -> Tensor: ...
    def __ror__(self, other: Any) -> Tensor: ...
    def __rpow__(self, other: Any) -> Tensor: ...
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
    def any(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """``any`` over ``dim`` (an int, several, or None for all)."""
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
    ) -> None:
        """Add the gradient of this tensor with respect to every leaf it depends on to the leaf's ``.grad``."""
    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1, alpha: builtins.float = 1) -> Tensor:
        """``beta * input + alpha * (batch1 @ batch2)`` of batches of matrices."""
    def bfloat16(self) -> Tensor:
        """In bfloat16."""
    def bmm(self, mat2: Tensor) -> Tensor:
        """The products of two batches of matrices of the same length."""
    def bool(self) -> Tensor:
        """As bool: false for zero."""
    def broadcast_to(self, shape: Sequence[builtins.int]) -> Tensor:
        """``expand`` to ``shape``."""
    def byte(self) -> Tensor:
        """In uint8."""
    def ceil(self) -> Tensor:
        """``ceil`` of each element; integers count as float32 where the result is a fraction."""
    def ceil_(self) -> Tensor:
        """In place: ``ceil`` of each element; integers count as float32 where the result is a fraction."""
    def char(self) -> Tensor:
        """In int8."""
    def chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """At most ``chunks`` views of equal size, the last may be smaller; of an empty tensor ``chunks`` empty ones."""
    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """In place: Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """In place: Each element limited to ``[min, max]``; NaN stays. The gradient of elements inside, bounds included, passes."""
    def clone(self) -> Tensor:
        """A copy with its own storage, in the order of its dimensions that ``input`` has; gradients flow through."""
    def contiguous(self) -> Tensor:
        """The tensor itself if its elements stand in row-major order, else a copy."""
    def copy_(self, source: Any) -> Tensor:
        """Take the contents of ``source``, broadcast and cast."""
    def cos(self) -> Tensor:
        """``cos`` of each element; integers count as float32 where the result is a fraction."""
    def cos_(self) -> Tensor:
        """In place: ``cos`` of each element; integers count as float32 where the result is a fraction."""
    def cpu(self) -> Tensor:
        """The tensor itself: eager tensors are on the CPU."""
    def cuda(self, device: Any = None, non_blocking: builtins.bool = False) -> Tensor:
        """Refused, as ``to("cuda")`` is: a step that is compiled with ``backend="cuda"`` runs on a GPU."""
    @property
    def data(self) -> Tensor:
        """The contents outside autograd. Assigned: the memory of another tensor, of any shape."""
    @data.setter
    def data(self, source: Tensor) -> None: ...
    def detach(self) -> Tensor:
        """The same storage without gradient history."""
    def diagonal(self, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1) -> Tensor:
        """The diagonal ``offset`` above the main one of ``dim1`` and ``dim2``, as the last dimension; a view."""
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
    def eq(self, other: Any) -> Tensor:
        """``eq`` of each element; operands broadcast and promote."""
    def equal(self, other: Tensor) -> builtins.bool:
        """Whether two tensors have the same shape and elements."""
    def erf(self) -> Tensor:
        """``erf`` of each element; integers count as float32 where the result is a fraction."""
    def erf_(self) -> Tensor:
        """In place: ``erf`` of each element; integers count as float32 where the result is a fraction."""
    def exp(self) -> Tensor:
        """``exp`` of each element; integers count as float32 where the result is a fraction."""
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
    def fill_(self, value: Any) -> Tensor:
        """Set every element to a number."""
    def fix(self) -> Tensor:
        """``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def fix_(self) -> Tensor:
        """In place: ``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """Dimensions ``start_dim`` to ``end_dim`` as one."""
    def flip(self, *dims: Any) -> Tensor:
        """A copy that is reversed along ``dims``."""
    def float(self) -> Tensor:
        """In float32."""
    def floor(self) -> Tensor:
        """``floor`` of each element; integers count as float32 where the result is a fraction."""
    def floor_(self) -> Tensor:
        """In place: ``floor`` of each element; integers count as float32 where the result is a fraction."""
    def floor_divide(self, other: Any) -> Tensor:
        """``floor_divide`` of each element; operands broadcast and promote."""
    def floor_divide_(self, other: Any) -> Tensor:
        """In place: ``floor_divide`` of each element; operands broadcast and promote."""
    def gather(self, dim: builtins.int, index: Tensor) -> Tensor:
        """``input`` along ``dim`` at ``index``, which has as many dimensions and may be smaller in the others."""
    def ge(self, other: Any) -> Tensor:
        """``ge`` of each element; operands broadcast and promote."""
    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has added up; None where there is none."""
    @grad.setter
    def grad(self, grad: Tensor | None) -> None: ...
    def greater(self, other: Any) -> Tensor:
        """``gt`` of each element; operands broadcast and promote."""
    def greater_equal(self, other: Any) -> Tensor:
        """``ge`` of each element; operands broadcast and promote."""
    def gt(self, other: Any) -> Tensor:
        """``gt`` of each element; operands broadcast and promote."""
    def half(self) -> Tensor:
        """In float16."""
    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices along ``dim`` at ``index``, a vector or a single number."""
    def int(self) -> Tensor:
        """In int32."""
    def isfinite(self) -> Tensor:
        """``isfinite`` of each element; integers count as float32 where the result is a fraction."""
    def isinf(self) -> Tensor:
        """``isinf`` of each element; integers count as float32 where the result is a fraction."""
    def isnan(self) -> Tensor:
        """``isnan`` of each element; integers count as float32 where the result is a fraction."""
    def le(self, other: Any) -> Tensor:
        """``le`` of each element; operands broadcast and promote."""
    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        """``input + weight * (end - input)``."""
    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        """In place: ``input + weight * (end - input)``."""
    def less(self, other: Any) -> Tensor:
        """``lt`` of each element; operands broadcast and promote."""
    def less_equal(self, other: Any) -> Tensor:
        """``le`` of each element; operands broadcast and promote."""
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
    def log_softmax(self, dim: builtins.int, dtype: Any = None) -> Tensor:
        """``log(softmax(x))`` along ``dim``."""
    def logical_and(self, other: Any) -> Tensor:
        """Elementwise ``and``; anything not zero is true."""
    def logical_not(self) -> Tensor:
        """Elementwise ``not``; anything not zero is true."""
    def logical_or(self, other: Any) -> Tensor:
        """Elementwise ``or``; anything not zero is true."""
    def logical_xor(self, other: Any) -> Tensor:
        """Elementwise exclusive ``or``; anything not zero is true."""
    def logsumexp(self, dim: Dim, keepdim: builtins.bool = False) -> Tensor:
        """``log(sum(exp(x)))`` over ``dim``, without overflow; -inf where there is nothing to sum."""
    def long(self) -> Tensor:
        """In int64."""
    def lt(self, other: Any) -> Tensor:
        """``lt`` of each element; operands broadcast and promote."""
    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged."""
    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """``value`` where ``mask`` is true."""
    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        """In place: ``value`` where ``mask`` is true."""
    def matmul(self, other: Tensor) -> Tensor:
        """Matrix product, batched over leading dimensions."""
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
    def moveaxis(self, source: Dims, destination: Dims) -> Tensor:
        """The dimensions ``source`` at the places ``destination``; the others keep their order."""
    def movedim(self, source: Dims, destination: Dims) -> Tensor:
        """The dimensions ``source`` at the places ``destination``; the others keep their order."""
    def mul(self, other: Any) -> Tensor:
        """``mul`` of each element; operands broadcast and promote."""
    def mul_(self, other: Any) -> Tensor:
        """In place: ``mul`` of each element; operands broadcast and promote."""
    def multiply(self, other: Any) -> Tensor:
        """``mul`` of each element; operands broadcast and promote."""
    def multiply_(self, other: Any) -> Tensor:
        """In place: ``mul`` of each element; operands broadcast and promote."""
    def mv(self, vec: Tensor) -> Tensor:
        """The product of a matrix and a vector."""
    def narrow(self, dim: builtins.int, start: builtins.int, length: builtins.int) -> Tensor:
        """``length`` elements from ``start`` along ``dim``."""
    def ne(self, other: Any) -> Tensor:
        """``ne`` of each element; operands broadcast and promote."""
    def neg(self) -> Tensor:
        """``neg`` of each element; integers count as float32 where the result is a fraction."""
    def neg_(self) -> Tensor:
        """In place: ``neg`` of each element; integers count as float32 where the result is a fraction."""
    def negative(self) -> Tensor:
        """``neg`` of each element; integers count as float32 where the result is a fraction."""
    def negative_(self) -> Tensor:
        """In place: ``neg`` of each element; integers count as float32 where the result is a fraction."""
    def new_empty(
        self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
    ) -> Tensor:
        """Zeros of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_full(
        self,
        size: Sequence[builtins.int],
        fill_value: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
    ) -> Tensor:
        """A tensor of ``size`` filled with a number, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_ones(
        self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
    ) -> Tensor:
        """Ones of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_tensor(
        self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
    ) -> Tensor:
        """A new tensor with a copy of ``data``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def new_zeros(
        self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
    ) -> Tensor:
        """Zeros of ``size``, of ``input``'s dtype unless ``dtype`` says otherwise."""
    def norm(self, p: Any = "fro", dim: Dim = None, keepdim: builtins.bool = False, dtype: Any = None) -> Tensor:
        """Vector norm of order ``p`` ("fro" is 2) over ``dim`` or all elements."""
    def normal_(
        self, mean: builtins.float = 0.0, std: builtins.float = 1.0, generator: Generator | None = None
    ) -> Tensor:
        """Fill with normal draws."""
    def not_equal(self, other: Any) -> Tensor:
        """``ne`` of each element; operands broadcast and promote."""
    def outer(self, vec2: Tensor) -> Tensor:
        """Outer product of two vectors."""
    def permute(self, *dims: Any) -> Tensor:
        """The dimensions in another order."""
    def pow(self, exponent: Any) -> Tensor:
        """``input ** exponent`` of each element; operands broadcast and promote."""
    def pow_(self, exponent: Any) -> Tensor:
        """In place: ``input ** exponent`` of each element; operands broadcast and promote."""
    def ravel(self) -> Tensor:
        """The elements as a vector: a view where strides allow one, else a copy."""
    def reciprocal(self) -> Tensor:
        """``reciprocal`` of each element; integers count as float32 where the result is a fraction."""
    def reciprocal_(self) -> Tensor:
        """In place: ``reciprocal`` of each element; integers count as float32 where the result is a fraction."""
    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call ``hook(gradient)`` whenever a gradient of this tensor is ready; its result, unless None, replaces it."""
    def relu(self) -> Tensor:
        """``relu`` of each element; integers count as float32 where the result is a fraction."""
    def relu_(self) -> Tensor:
        """In place: ``relu`` of each element; integers count as float32 where the result is a fraction."""
    def remainder(self, other: Any) -> Tensor:
        """``remainder`` of each element; operands broadcast and promote."""
    def remainder_(self, other: Any) -> Tensor:
        """In place: ``remainder`` of each element; operands broadcast and promote."""
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
    def retain_grad(self) -> None:
        """Keep ``.grad`` of a tensor that is not a leaf, too."""
    def roll(self, shifts: Dims, dims: Dims | None = None) -> Tensor:
        """The elements moved on by ``shifts`` along ``dims`` (None: as one vector), the last ones to the front."""
    def round(self) -> Tensor:
        """``round`` of each element; integers count as float32 where the result is a fraction."""
    def round_(self) -> Tensor:
        """In place: ``round`` of each element; integers count as float32 where the result is a fraction."""
    def rsqrt(self) -> Tensor:
        """``rsqrt`` of each element; integers count as float32 where the result is a fraction."""
    def rsqrt_(self) -> Tensor:
        """In place: ``rsqrt`` of each element; integers count as float32 where the result is a fraction."""
    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """``input`` with ``src`` added along ``dim`` at ``index``; of ``src`` only what ``index`` covers counts."""
    def scatter_add_(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """In place: ``input`` with ``src`` added along ``dim`` at ``index``; of ``src`` only what ``index`` covers counts."""
    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice at ``index``, without that dimension."""
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
    def sin(self) -> Tensor:
        """``sin`` of each element; integers count as float32 where the result is a fraction."""
    def sin_(self) -> Tensor:
        """In place: ``sin`` of each element; integers count as float32 where the result is a fraction."""
    def softmax(self, dim: builtins.int, dtype: Any = None) -> Tensor:
        """``exp(x) / sum(exp(x))`` along ``dim``."""
    def split(self, split_size: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Pieces of a size, or of the sizes given, along ``dim``."""
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
    def swapaxes(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two dimensions exchanged."""
    def swapdims(self, axis0: builtins.int, axis1: builtins.int) -> Tensor:
        """Two dimensions exchanged."""
    def t(self) -> Tensor:
        """A matrix transposed; vectors as they are."""
    def tanh(self) -> Tensor:
        """``tanh`` of each element; integers count as float32 where the result is a fraction."""
    def tanh_(self) -> Tensor:
        """In place: ``tanh`` of each element; integers count as float32 where the result is a fraction."""
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
    def transpose(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Two dimensions exchanged."""
    def tril(self, diagonal: builtins.int = 0) -> Tensor:
        """The lower triangle of the last two dimensions; zero elsewhere."""
    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The upper triangle of the last two dimensions; zero elsewhere."""
    def true_divide(self, other: Any) -> Tensor:
        """``true_divide`` of each element; operands broadcast and promote."""
    def true_divide_(self, other: Any) -> Tensor:
        """In place: ``true_divide`` of each element; operands broadcast and promote."""
    def trunc(self) -> Tensor:
        """``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def trunc_(self) -> Tensor:
        """In place: ``trunc`` of each element; integers count as float32 where the result is a fraction."""
    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """Converted to ``dtype``, which may be a text like ``"genesis.FloatTensor"``; without it, the text of its own."""
    def type_as(self, other: Tensor) -> Tensor:
        """In the dtype of ``other``."""
    def unbind(self, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """The slices along ``dim``; views."""
    def unflatten(self, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """Dimension ``dim`` as several."""
    def uniform_(self, a: builtins.float = 0.0, b: builtins.float = 1.0, generator: Generator | None = None) -> Tensor:
        """Fill with uniform draws from ``[a, b)``."""
    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """A new dimension of size 1 at ``dim``."""
    def var(
        self,
        dim: Dim = None,
        unbiased: builtins.bool = True,
        keepdim: builtins.bool = False,
        *,
        correction: builtins.float | None = None,
    ) -> Tensor:
        """Variance over ``dim``, divided by ``n - correction`` (1 by default). ``var(x, False)`` means ``unbiased``."""
    def view(self, *size: Any, dtype: Any = None) -> Tensor:
        """In another shape, without a copy; of a dtype: the same memory read as that dtype."""
    def view_as(self, other: Tensor) -> Tensor:
        """In the shape of ``other``, without a copy."""
    def where(self, condition: Tensor, other: Any) -> Tensor:
        """The tensor where ``condition`` holds, else ``other``."""
    def zero_(self) -> Tensor:
        """Set every element to zero."""
