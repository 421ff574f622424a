"""NumPy arrays, and tensors by ``.data =``, share the memory of a tensor for good: in-place ops write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import GenesisError, TraceError
from genesis import Tensor, nn, optim

WRITES: dict[str, Callable[[Tensor], Any]] = {
    "add_": lambda x: x.add_(1),
    "item": lambda x: x.__setitem__(0, 7),
    "view": lambda x: x.t().mul_(3),
    "copy_": lambda x: x.copy_(x.flip(0)),
    "exp_": lambda x: x.exp_(),
    "data": lambda x: x.data.add_(2),
    "filled": lambda x: x[:, 1:].zero_(),
}


def array() -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("write", WRITES)
def test_writes_are_seen_by_arrays(write: str) -> None:
    given = array()
    shown = genesis.from_numpy(given)
    exported = genesis.tensor(array())
    taken, part = exported.numpy(), exported.t().numpy()
    for _ in range(2):
        WRITES[write](shown)
        WRITES[write](exported)
        np.testing.assert_array_equal(given, shown.tolist())
        np.testing.assert_array_equal(taken, given)
        np.testing.assert_array_equal(part, given.T)
    given[1] = 50
    assert shown[1].tolist() == [50, 50, 50]


def test_arrays_of_any_positive_strides_are_shared() -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for part in (base.T, base[:, ::2], base[1:3, 2:], base[0]):
        x = genesis.from_numpy(part)
        assert x.stride() == tuple(s // 4 for s in part.strides)
        x.mul_(-1)
        np.testing.assert_array_equal(part, x.tolist())
    with pytest.raises(ValueError, match=r"neither negative(.|\n)*array\.copy\(\)"):
        genesis.from_numpy(base[::-1])
    base.flags.writeable = False
    with pytest.raises(RuntimeError, match=r"read-only NumPy array float32\[4, 6\](.|\n)*clone"):
        genesis.from_numpy(base).add_(1)


def test_asarray_and_dlpack_share() -> None:
    x = genesis.zeros(3)
    arrays = [np.asarray(x), np.from_dlpack(x)]
    x.add_(1)
    assert [a.tolist() for a in arrays] == [[1, 1, 1]] * 2


def test_a_step_writes_an_array_that_it_wraps() -> None:
    def step(x: Any) -> Tensor:
        shown = genesis.as_tensor(x)
        shown.mul_(2)
        return shown.sum()

    compiled = genesis.compile(step)
    for _ in range(3):
        eager, there = np.ones(3, np.float32), np.ones(3, np.float32)
        assert step(eager).item() == compiled(there).item()
        assert eager.tolist() == there.tolist() == [2, 2, 2]


@pytest.mark.parametrize("order", ["C", "F"])
def test_states_of_a_step_share_their_memory(order: Any) -> None:
    given = np.zeros((2, 3), np.float32, order=order)
    state, other = genesis.from_numpy(given), genesis.ones(3)

    @genesis.compile
    def step() -> Tensor:
        state.add_(other)
        other.mul_(2)
        return state * 1

    seen = other.numpy()
    for k in range(4):
        result = step()
        np.testing.assert_array_equal(given, np.full((2, 3), 2 ** (k + 1) - 1))
        np.testing.assert_array_equal(seen, np.full(3, 2 ** (k + 1)))
        np.testing.assert_array_equal(given, result.tolist())
    given[:] = 0
    step()
    assert given[0, 0] == 16
    seen[:] = 0
    state.zero_()  # at once
    step()
    assert not given.any()


def test_a_parameter_that_numpy_shows_trains() -> None:
    weight = nn.Parameter(genesis.ones(3))
    optimizer = optim.SGD([weight], lr=0.5)
    shown = weight.detach().numpy()

    def step() -> None:
        optimizer.zero_grad()
        (weight * weight).sum().backward()
        optimizer.step()

    compiled = genesis.compile(step)
    for run in (step, compiled, compiled, step, compiled):
        weight.data.fill_(4)
        run()
        assert shown.tolist() == [0, 0, 0]


def test_data_shares_the_memory_of_what_is_assigned() -> None:
    weight, source = nn.Parameter(genesis.ones(3)), genesis.zeros(2, 3)
    weight.data = source[1]
    source.add_(7)
    assert weight.tolist() == [7, 7, 7]
    with genesis.no_grad():
        weight.mul_(2)
    assert source.tolist() == [[7, 7, 7], [14, 14, 14]]

    @genesis.compile
    def step() -> Tensor:
        return weight.data.add_(1).sum()

    step()
    assert source[1].tolist() == weight.tolist() == [15, 15, 15]
    made = nn.Parameter(source)
    source.zero_()
    assert not made.detach().numpy().any()


def test_data_of_a_tensor_that_lives_on_is_refused_in_a_step() -> None:
    weight, outside = nn.Parameter(genesis.ones(3)), genesis.zeros(3)

    def borrows(x: Tensor) -> None:
        weight.data = x

    def takes_outside() -> None:
        weight.data = outside

    def keeps() -> Tensor:
        made = weight.detach() * 2
        weight.data = made
        return made

    def uses_up() -> None:
        weight.data = weight.detach() * 2

    for step, args in ((borrows, (outside,)), (takes_outside, ()), (keeps, ())):
        with pytest.raises(TraceError, match=r"\.data(.|\n)*test_shared_memory(.|\n)*clone"):
            genesis.compile(step)(*args)
    genesis.compile(uses_up)()
    assert weight.tolist() == [2, 2, 2]


def test_an_array_of_the_outside_is_not_written_in_a_step() -> None:
    outside = np.zeros(3, np.float32)

    @genesis.compile
    def step() -> Tensor:
        return genesis.from_numpy(outside).add_(1)

    with pytest.raises(TraceError, match=r"from_numpy(.|\n)*make the tensor outside"):
        step()


def test_two_states_in_one_memory_are_refused_where_one_is_written() -> None:
    memory = np.zeros(4, np.float32)
    first, second = genesis.from_numpy(memory), genesis.from_numpy(memory[1:])

    @genesis.compile
    def step() -> Tensor:
        first.add_(1)
        return second * 2

    with pytest.raises(GenesisError, match="shares its memory"):
        step()


def test_gradients_use_what_was_saved() -> None:
    weight = genesis.full((3,), 3.0).requires_grad_()
    state = genesis.ones(2, 3)
    state.numpy()
    state[0].mul_(weight)  # its gradient needs the old row
    state.sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [1, 1, 1]
    hidden = weight * 2
    hidden.detach().numpy()
    hidden.mul_(weight)
    weight.grad = None
    hidden.sum().backward()
    assert weight.grad.tolist() == [12, 12, 12]  # 2 w²
    squared = weight * weight
    squared.detach().numpy()
    third = squared * squared
    squared.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        third.sum().backward()


def test_views_keep_the_memory_that_data_leaves() -> None:
    p = genesis.nn.Parameter(genesis.tensor([1.0, 2.0, 3.0]))
    detached, data, part, array = p.detach()[:2], p.data, p[1:], p.detach().numpy()
    p.data = genesis.tensor([7.0, 8.0, 9.0])
    detached.mul_(10)
    array[2] = 0
    assert p.tolist() == [7, 8, 9]
    assert data.tolist() == array.tolist() == [10, 20, 0]
    assert part.tolist() == [20, 0] and part.requires_grad
    part.sum().backward()
    assert p.grad.tolist() == [0, 1, 1]


@pytest.mark.parametrize("compiled", [False, True])
def test_views_keep_the_memory_that_a_step_gives_up(compiled: bool) -> None:
    p = genesis.nn.Parameter(genesis.tensor([1.0, 2.0]))

    def step() -> Any:
        old = p.detach()
        p.data = p.data * 2
        return old + 0, p[:1].detach() + 0

    run = genesis.compile(step) if compiled else step
    views, arrays = [], []
    for k in range(5):
        views.append(p.detach())
        if k % 2:
            arrays.append(p.detach().numpy())
        old, new = run()
        assert old.tolist() == [2**k, 2 ** (k + 1)] and new.tolist() == [2 ** (k + 1)]
    assert [v.tolist()[0] for v in views] == [1, 2, 4, 8, 16]
    assert [a.tolist()[0] for a in arrays] == [2, 8]
    assert p.tolist() == [32, 64]


def test_a_view_from_outside_is_not_read_behind_an_assignment_to_data() -> None:
    p = genesis.tensor([1.0, 2.0])
    view = p[:1]

    def step() -> Any:
        p.data = p.data * 2
        return view + 0

    with pytest.raises(TraceError, match="keeps the old memory"):
        genesis.compile(step)()
    assert step().tolist() == [1] and p.tolist() == [2, 4]


@pytest.mark.parametrize("compiled", [False, True])
def test_an_intermediate_result_keeps_its_history_where_its_data_is_assigned(compiled: bool) -> None:
    w = genesis.tensor([1.0, 2.0], requires_grad=True)

    def step() -> Any:
        w.grad = None
        c = w * 2
        old = c.detach()
        c.data = c.data * 0.5
        (c * c + old).sum().backward()
        return c.detach(), old, w.grad

    for _ in range(2):
        c, old, grad = (genesis.compile(step) if compiled else step)()
        assert (c.tolist(), old.tolist(), grad.tolist()) == ([1, 2], [2, 4], [4, 8])


def test_an_intermediate_result_shares_what_is_assigned_to_its_data() -> None:
    w = genesis.tensor([1.0, 2.0], requires_grad=True)
    c, source = w * 2, genesis.tensor([7.0, 8.0])
    first = w[:1]
    c.data, first.data = source, source[1:]
    source.add_(1)
    assert c.tolist() == [8, 9] and first.tolist() == [9] and w.tolist() == [1, 2]
    c.detach().mul_(2)
    assert source.tolist() == [16, 18]
    (c.sum() + 3 * first.sum()).backward()
    assert w.grad.tolist() == [5, 2] and not first.is_leaf
