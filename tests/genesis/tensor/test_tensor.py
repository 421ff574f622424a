"""Tensors at once: storage, views, conversion, errors, and what a step being compiled cannot do."""

import copy
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import genesis
from compiler.errors import AutogradError, OpError, TraceError
from compiler.ir.ambient import using
from genesis.recording import Recording
from tests.genesis.recorded import Recorded

# Making and leaving


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, "int64"),
        (1.5, "float32"),
        (True, "bool"),
        ([1, 2.0], "float32"),
        ([[True], [False]], "bool"),
        ([], "float32"),
        (np.float64(2), "float64"),
        (np.zeros(2, np.float16), "float16"),
        (np.zeros(2, np.int32), "int32"),
        (np.zeros(2, ml_dtypes.bfloat16), "bfloat16"),
    ],
)
def test_dtypes_of_data(data: Any, dtype: str) -> None:
    made = genesis.tensor(data)
    assert made.dtype.name == dtype and tuple(made.shape) == np.shape(data)


def test_tensor_copies_and_from_numpy_shares() -> None:
    array = np.zeros(2, np.float32)
    copied, shared = genesis.tensor(array), genesis.from_numpy(array)
    array[0] = 5
    assert copied.tolist() == [0, 0] and shared.tolist() == [5, 0]
    shared.numpy()[1] = 7
    assert array[1] == 7


def test_a_dtype_genesis_does_not_have() -> None:
    with pytest.raises(TypeError, match="no Genesis dtype for"):
        genesis.tensor(np.zeros(2, np.complex64))
    with pytest.raises(TypeError, match="known: bool, uint8"):
        genesis.zeros(2, dtype="float8")


def test_numpy_functions_take_tensors() -> None:
    x = genesis.tensor([1.0, 2.0])
    assert np.add(np.asarray(x), 1).tolist() == [2, 3]
    assert (np.ones(2, np.float32) + x).tolist() == [2, 3] and isinstance(np.ones(2) * x, genesis.Tensor)
    np.testing.assert_array_equal(np.from_dlpack(x), [1, 2])


def test_scalars() -> None:
    x = genesis.tensor(3)
    assert (x.item(), int(x), float(x), bool(x), f"{genesis.tensor(0.5):.2f}") == (3, 3, 3.0, True, "0.50")
    assert [10, 20, 30, 40][x] == 40
    with pytest.raises(AutogradError, match="a Tensor with 2 elements cannot be converted to Scalar"):
        genesis.ones(2).item()
    with pytest.raises(AutogradError, match="Boolean value of Tensor with 2 values is ambiguous"):
        bool(genesis.ones(2))
    with pytest.raises(TypeError, match="only integer tensors"):
        [1][genesis.tensor(0.0)]


def test_repr() -> None:
    assert repr(genesis.tensor([1.5, 2.0])) == "tensor([1.5000, 2.0000])"
    assert repr(genesis.tensor([1, 2])) == "tensor([1, 2])"
    assert repr(genesis.tensor(1.0).half()) == "tensor(1., dtype=genesis.float16)"
    assert repr(genesis.ones(1, requires_grad=True)) == "tensor([1.], requires_grad=True)"


def test_copies_are_separate() -> None:
    x = genesis.ones(2, requires_grad=True)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad and twin.is_leaf
        twin.data.zero_()
        assert x.tolist() == [1, 1]
    with pytest.raises(AutogradError, match="deepcopy"):
        copy.deepcopy(x * 2)


def test_iteration_and_length() -> None:
    x = genesis.arange(6).view(3, 2)
    assert len(x) == 3 and [r.tolist() for r in x] == [[0, 1], [2, 3], [4, 5]]
    *_, last = x
    assert last.tolist() == [4, 5]


# Storage and views


def test_every_alias_sees_a_write() -> None:
    x = genesis.zeros(3, 4)
    row, column, turned, flat = x[1], x[:, 2], x.t(), x.view(12)
    turned.add_(1)
    row.mul_(5)
    column[0] = 9
    flat[-1:].fill_(-2)
    assert x.tolist() == [[1, 1, 9, 1], [5, 5, 5, 5], [1, 1, 1, -2]]
    assert row.tolist() == [5, 5, 5, 5] and column.tolist() == [9, 5, 1]
    assert turned[0].tolist() == [1, 5, 1] and flat[2].item() == 9


def test_views_of_views() -> None:
    x = genesis.arange(24).view(2, 3, 4)
    y = x.permute(2, 0, 1)[1:3].unsqueeze(1)[..., ::2].squeeze(1)
    y.zero_()
    expected = np.arange(24).reshape(2, 3, 4)
    expected.transpose(2, 0, 1)[1:3, :, ::2] = 0
    np.testing.assert_array_equal(x.numpy(), expected)


COPIES: dict[str, Any] = {
    "flip": lambda x: x.flip(0),
    "contiguous": lambda x: x.t().contiguous(),
    "reshape": lambda x: x.t().reshape(-1),
    "flatten": lambda x: x.t().flatten(),
    "to": lambda x: x.to(genesis.float32, copy=True),
    "repeat": lambda x: x.repeat(2, 1),
    "repeat once": lambda x: x.repeat(1, 1),
    "expanded": lambda x: x[:1].expand(3, 4).contiguous(),
    "expanded and reshaped": lambda x: x[:1].expand(3, 4).reshape(12),
    "pad by nothing": lambda x: genesis.nn.functional.pad(x, (0, 0), "replicate"),
    "index_select": lambda x: x.index_select(1, genesis.tensor([0, 1, 2, 3])),
    "range": lambda x: x[range(3)],
}
VIEWS: dict[str, Any] = {
    "reshape": lambda x: x.reshape(-1),
    "flatten": lambda x: x[1:].flatten(),
    "contiguous": lambda x: x[:2].contiguous(),
    "to": lambda x: x.to(genesis.float32),
    "expand to the same": lambda x: x.expand(3, 4),
    "expand by one": lambda x: x.expand(1, 3, 4),
    "reshape of a transpose of a row": lambda x: x[:1].t().reshape(4),
    "unflatten": lambda x: x.t().unflatten(0, (2, 2)),
    "0-d index": lambda x: x[genesis.tensor(1)],
    "chunk": lambda x: x.chunk(2)[1],
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("kind", "name"), [("copy", n) for n in COPIES] + [("view", n) for n in VIEWS])
def test_what_is_a_copy_and_what_a_view(kind: str, name: str, compiled: bool) -> None:
    x, call = genesis.zeros(3, 4), (COPIES if kind == "copy" else VIEWS)[name]

    def step() -> Any:
        return call(x).add_(100)

    made = genesis.compile(step, backend="interpret")() if compiled else step()
    assert (made == 100).all() and bool((x == 100).any()) is (kind == "view")


def test_a_view_that_strides_cannot_show() -> None:
    with pytest.raises(OpError, match=r"view size is not compatible(.|\n)*reshape(.|\n)*test_tensor.py"):
        genesis.zeros(3, 4).t().view(12)


def test_strides() -> None:
    x = genesis.zeros(2, 3, 4)
    assert x.stride() == (12, 4, 1) and x.stride(-1) == 1 and x.is_contiguous()
    assert x.transpose(0, 2)[::2].stride() == (2, 4, 12)
    assert x[:, :1].expand(2, 5, 4).stride() == (12, 0, 1)
    assert x[:, 1].is_contiguous() is False and x[1].is_contiguous() and x[:0].transpose(0, 1).is_contiguous()


def test_copies_do_not_alias() -> None:
    x = genesis.zeros(3)
    copies = [x.clone(), x + 0, x[[0, 1, 2]], genesis.cat([x]), x.float().half()]
    x.fill_(1)
    assert not any(c.numpy().any() for c in copies)


def test_setitem() -> None:
    x = genesis.zeros(2, 3)
    x[0] = genesis.tensor([1, 2, 3])
    x[1, ::2] = 5
    x[x == 2] = -1
    assert x.tolist() == [[1, -1, 3], [5, 0, 5]]
    x[:, 1] += 10
    assert x[:, 1].tolist() == [9, 10]


def test_setitem_by_integer_tensors() -> None:
    x = genesis.zeros(2, 3, 4)
    expected = np.zeros((2, 3, 4), np.float32)
    for index in ([1, 0, 1], (0, [2, 0]), (slice(None), [0, -1]), ([0, 1], slice(None), [1, 3]), ([0, 1], [1, 2], 0)):
        index = index if isinstance(index, tuple) else (index,)
        arrays = tuple(np.array(i) if isinstance(i, list) else i for i in index)
        value = np.random.default_rng(0).standard_normal(expected[arrays].shape).astype(np.float32)
        expected[arrays] = value
        x[tuple(genesis.tensor(i) if isinstance(i, list) else i for i in index)] = genesis.tensor(value)
        np.testing.assert_array_equal(x.numpy(), expected)
    x[genesis.tensor([1, 1])] = 7
    assert (x[1] == 7).all() and not (x[0] == 7).any()


def test_the_last_of_several_writes_stays() -> None:
    values = genesis.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)

    @genesis.compile(keep_grads=True)
    def step(values: Any, index: Any) -> Any:
        x = genesis.zeros(3)
        x[index] = values
        return x

    index = genesis.tensor([2, 0, 2, 0])
    with genesis.no_grad():
        assert step(values, index).tolist() == [4, 0, 3]
    x = genesis.zeros(3)
    x[index] = values
    (x * x).sum().backward()
    assert x.tolist() == [4, 0, 3] and values.grad.tolist() == [0, 0, 6, 8]


def test_overlapping_views_are_not_written() -> None:
    with pytest.raises(AutogradError, match=r"single memory location(.|\n)*clone"):
        genesis.zeros(1, 3).expand(2, 3).add_(1)


def test_in_place_keeps_shape_and_kind() -> None:
    with pytest.raises(AutogradError, match=r"output with shape \[3, 1\] doesn't match the broadcast shape \[3, 4\]"):
        genesis.zeros(3, 1).add_(genesis.ones(3, 4))
    with pytest.raises(OpError, match="can't be cast to the desired output type"):
        genesis.arange(3).div_(2)
    with pytest.raises(OpError, match=r"genesis\.int64 can't be cast to the desired output type genesis\.bool"):
        (genesis.arange(3) > 0).mul_(2)
    assert genesis.ones(2).half().add_(genesis.ones(2)).dtype is genesis.float16


def test_data_is_the_storage_without_history() -> None:
    w = genesis.ones(3, requires_grad=True)
    w.data.mul_(2)
    w.data[0] = 7
    w.detach().add_(1)
    assert w.tolist() == [8, 3, 3] and w.is_leaf and w.requires_grad
    (w * w).sum().backward()
    assert w.grad is not None and w.grad.tolist() == [16, 6, 6]
    w.data = genesis.zeros(2, 2)
    assert w.shape == (2, 2) and w.requires_grad


def test_what_fill_leaves_is_writable_memory() -> None:
    x = genesis.empty(4).fill_(3.0)
    x.numpy()[0] = 1
    assert x.tolist() == [1, 3, 3, 3]


# Indexing


def test_index_errors() -> None:
    x = genesis.zeros(2, 3)
    with pytest.raises(IndexError, match="index 2 is out of bounds for dimension 0 with size 2"):
        x[2]
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 2"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match=r"index 5 is out of range \[0, 3\)"):
        x[:, genesis.tensor([5])]
    with pytest.raises(IndexError, match=r"The shape of the mask \[3\]"):
        x[genesis.tensor([True, False, True])]
    with pytest.raises(IndexError, match="must be long, int, byte or bool tensors"):
        x[genesis.tensor([0.0])]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        x[::-1]


def test_index_tensors_as_numpy_has_them() -> None:
    array = np.arange(60).reshape(3, 4, 5)
    x = genesis.tensor(array)
    i, j = np.array([2, 0, -1]), np.array([[1], [3]])
    for index in (
        (i,),
        (slice(None), i),
        (i, slice(1, 3)),
        (slice(None), j, i),
        (i, slice(None), i),
        (None, i),
        (..., i),
    ):
        ours = tuple(genesis.tensor(n) if isinstance(n, np.ndarray) else n for n in index)
        np.testing.assert_array_equal(x[ours].numpy(), array[index], err_msg=str(index))
    np.testing.assert_array_equal(x[x > 30].numpy(), array[array > 30])


# Errors say what and where


def test_an_op_error_names_op_types_and_reason() -> None:
    with pytest.raises(OpError, match=r"add\(f32\[2,3\], f32\[4\]\): shapes \[2, 3\] and \[4\] do not broadcast"):
        genesis.ones(2, 3) + genesis.ones(4)
    with pytest.raises(OpError, match=r"matmul\(f32\[2,3\], f32\[2,3\]\)"):
        genesis.ones(2, 3) @ genesis.ones(2, 3)
    with pytest.raises(TypeError):
        genesis.ones(2) + "a"
    with pytest.raises(OpError, match="shape '\\[5\\]' is invalid for input of size 6"):
        genesis.ones(2, 3).view(5)


def test_devices() -> None:
    x = genesis.ones(2)
    assert str(x.device) == "cpu" and x.to("cpu") is x and x.cpu() is x
    with pytest.raises(NotImplementedError, match="backend='cuda'"):
        x.to("cuda")
    with pytest.raises(RuntimeError, match="unknown device 'tpu'"):
        genesis.device("tpu")


# While a step is being compiled

READS: dict[str, Any] = {
    "item": lambda x: x.sum().item(),
    "a branch": lambda x: 1 if x.sum() > 0 else 2,
    "float": lambda x: float(x.sum()),
    "numpy": lambda x: x.numpy(),
    "print": lambda x: print(x),
    "tolist": lambda x: x.tolist(),
    "a bool index": lambda x: x[x > 0],
    "one_hot": lambda x: genesis.nn.functional.one_hot(x.long()),
}


@pytest.mark.parametrize("name", READS)
def test_contents_cannot_be_looked_at(name: str) -> None:
    x = genesis.ones(3)
    with pytest.raises(TraceError, match=r"test_tensor\.py:\d+"):
        Recorded(lambda: READS[name](x * 2))


def test_a_tensor_that_leaks_out_of_a_step_says_so() -> None:
    kept: list[Any] = []
    x = genesis.ones(3)
    Recorded(lambda: kept.append(x * 2))
    with pytest.raises(TraceError, match="used outside that step"):
        kept[0] + 1


def test_recorded_writes_reach_the_storage() -> None:
    x, y = genesis.zeros(2, 3), genesis.ones(3)
    view = x[1]

    def step() -> None:
        view.add_(y)
        x.t()[0].mul_(2)
        y.mul_(3)

    recorded = Recorded(step)
    assert x.tolist() == [[0, 0, 0], [0, 0, 0]] and y.tolist() == [1, 1, 1]
    recorded()
    recorded()
    assert x.tolist() == [[0, 0, 0], [10, 4, 4]] and view.tolist() == [10, 4, 4] and y.tolist() == [9, 9, 9]


def test_results_of_a_step_do_not_run_it() -> None:
    recording = Recording("step")
    with using(recording.builder):
        y = genesis.ones(3) * 2
        assert y.shape == (3,) and y.dtype is genesis.float32
    assert [n.op.name for n in recording.builder.nodes][-1] == "mul"
