"""Native programs behind eager ops: they compute what NumPy does, and come and fail without anybody noticing."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import ChoiceError, GenesisWarning
from genesis import nn
from genesis.eager import calls as eager
from genesis.eager import pieces
from genesis.eager.pieces import Piece
from genesis.nn import functional as F
from runtime.toolchain import CompileError, find_compiler

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known of calls, before and after."""
    eager._KNOWN.clear()
    eager._PIECES.clear()
    monkeypatch.setattr(pieces, "_WORKSHOP", pieces._Workshop())
    monkeypatch.setenv("GENESIS_EAGER", "native")
    yield
    eager._KNOWN.clear()
    eager._PIECES.clear()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """The pieces that were made, in order."""
    found: list[Piece] = []
    start = Piece.__init__

    def note(self: Piece, *args: Any) -> None:
        start(self, *args)
        found.append(self)

    monkeypatch.setattr(Piece, "__init__", note)
    return found


def drawn(*shape: int, seed: int = 0) -> genesis.Tensor:
    made = genesis.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32)).clone()
    return made.requires_grad_()


def rnn(x: genesis.Tensor) -> genesis.Tensor:
    genesis.manual_seed(0)
    return nn.RNN(8, 4)(x)[0]


def lstm(x: genesis.Tensor) -> genesis.Tensor:
    genesis.manual_seed(0)
    return nn.LSTM(8, 4)(x)[0]


def dropped(x: genesis.Tensor) -> genesis.Tensor:
    genesis.manual_seed(0)
    return F.dropout(x, 0.3)


CLASSES = genesis.tensor([1, 0, 3, 2, 1, 7])
FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[[genesis.Tensor], genesis.Tensor]]] = {
    "gelu": ((6, 8), F.gelu),
    "softmax": ((6, 8), lambda x: F.softmax(x, -1)),
    "layer_norm": ((6, 8), lambda x: F.layer_norm(x, (8,))),
    "cross_entropy": ((6, 8), lambda x: F.cross_entropy(x, CLASSES)),
    "convolution": ((2, 3, 8, 8), lambda x: F.conv2d(x, drawn(4, 3, 3, 3, seed=1), padding=1)),
    "max_pool": ((2, 3, 8, 8), lambda x: F.max_pool2d(x, 2)),
    "batch_norm": ((4, 3, 5, 5), lambda x: F.batch_norm(x, None, None, training=True)),
    "attention": ((2, 2, 8, 4), lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
    "embedding": ((8, 5), lambda x: F.embedding(CLASSES, x)),
    "linear": ((6, 8), lambda x: F.linear(x, drawn(4, 8, seed=1), drawn(4, seed=2))),
    "rnn": ((5, 2, 8), rnn),
    "lstm": ((5, 2, 8), lstm),
    "dropout": ((6, 8), dropped),
    "erf": ((64, 64), genesis.erf),
    "bfloat16": ((6, 8), lambda x: x.bfloat16() @ drawn(8, 4, seed=1).bfloat16()),
}


def computed(name: str) -> list[np.ndarray]:
    """The result of a function of the table and the gradient of its argument, of the third call."""
    shape, function = FUNCTIONS[name]
    for _ in range(3):
        x = drawn(*shape)
        y = function(x)
        (y.float() * drawn(*y.shape, seed=3).detach()).sum().backward()
    return [y.detach().float().numpy(), x.grad.numpy()]


@needs_compiler
@pytest.mark.parametrize("name", FUNCTIONS)
def test_programs_compute_what_numpy_does(name: str, made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    found = computed(name)
    assert any(piece.is_native for piece in made)
    monkeypatch.setenv("GENESIS_EAGER", "numpy")
    eager._KNOWN.clear()
    tolerance = 2e-2 if name == "bfloat16" else 2e-6
    for native, numpy in zip(found, computed(name), strict=True):
        np.testing.assert_allclose(native, numpy, rtol=tolerance, atol=tolerance * np.abs(numpy).max())


@needs_compiler
def test_a_program_takes_over_when_it_is_there(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_EAGER", "auto")
    x = drawn(6, 8).detach()
    first = F.gelu(x)
    for _ in range(pieces.RUNS + 1):  # and one more, which the first call was
        F.gelu(x)
    (piece,) = made
    end = time.monotonic() + 120
    while not piece.is_native:
        assert time.monotonic() < end
        time.sleep(0.01)
    np.testing.assert_allclose(F.gelu(x).numpy(), first.numpy(), rtol=1e-6, atol=1e-6)


def test_what_runs_once_or_twice_needs_no_program(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_EAGER", "auto")
    for _ in range(pieces.RUNS):
        F.gelu(drawn(6, 8).detach())
    assert pieces._WORKSHOP._thread is None


def test_numpy_can_be_asked_for(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_EAGER", "numpy")
    for _ in range(9):
        F.gelu(drawn(6, 8))
    assert made and not any(piece.is_native for piece in made)


@needs_compiler
def test_deterministic_results_wait_for_programs(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENESIS_EAGER")
    genesis.use_deterministic_algorithms(True)
    try:
        F.gelu(drawn(6, 8).detach())
    finally:
        genesis.use_deterministic_algorithms(False)
    assert [piece.is_native for piece in made] == [True]


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_EAGER", "fast")
    with pytest.raises(ChoiceError, match="auto, numpy or native"):
        F.gelu(drawn(6, 8))


def test_without_a_compiler_numpy_stays(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_CC", "none")
    for _ in range(3):
        y = F.gelu(drawn(6, 8))
    assert y.shape == (6, 8)
    assert not any(piece.is_native for piece in made)


def test_a_failure_is_said_once(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Piece) -> None:
        raise CompileError(["cc"], ["nonsense"], pieces.__file__)  # type: ignore[arg-type]

    monkeypatch.setattr(Piece, "build", fail)
    monkeypatch.setattr(pieces, "find_compiler", lambda: "there is one")
    with pytest.warns(GenesisWarning, match=r"gelu\(f32\[:,:\]\)\n.*CompileError") as said:
        y = F.gelu(drawn(6, 8).detach())
        F.softmax(drawn(6, 8).detach(), -1)
    assert len(said) == 1
    assert y.shape == (6, 8)


def test_a_failure_in_the_background_is_raised_where_warnings_are_errors(
    made: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Piece) -> None:
        failed.set()
        raise CompileError(["cc"], ["nonsense"], pieces.__file__)  # type: ignore[arg-type]

    failed = threading.Event()
    monkeypatch.setenv("GENESIS_EAGER", "auto")
    monkeypatch.setattr(Piece, "build", fail)
    monkeypatch.setattr(pieces, "find_compiler", lambda: "there is one")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(pieces.RUNS + 2):
            F.gelu(drawn(6, 8).detach())
        assert failed.wait(60)
        with pieces._WORKSHOP._at_work:
            thread = pieces._WORKSHOP._thread
        with pytest.raises(GenesisWarning, match=r"gelu\(f32\[:,:\]\)\n.*CompileError"):
            F.gelu(drawn(6, 8).detach())
        F.gelu(drawn(6, 8).detach())
    assert thread is not None
    assert thread.is_alive()


@needs_compiler
def test_programs_share_the_memory_of_temporaries() -> None:
    x, w = drawn(2, 4, 8, 8), drawn(4, 4, 3, 3)
    for n in (1, 2):
        loss = F.conv2d(x, w, padding=n).square().sum()
        loss.backward()
        assert x.grad is not None
    executors = [p._executor for p in pieces._PIECES if p._executor is not None]
    assert {memory.nbytes for e in executors for memory in (e._arena, e._scratch)} == {0}


@needs_compiler
def test_an_index_out_of_range_is_reported_in_the_words_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def message() -> str:
        with pytest.raises(IndexError) as caught:
            F.cross_entropy(drawn(6, 8), genesis.tensor([9] * 6))
        return str(caught.value)

    native = message()
    monkeypatch.setenv("GENESIS_EAGER", "numpy")
    eager._KNOWN.clear()
    assert native == message()


@needs_compiler
def test_gradients_that_pass_through_share_no_memory() -> None:
    a, b = drawn(6, 8), drawn(6, 8, seed=1)
    for _ in range(3):
        a.grad = b.grad = None
        F.gelu(a + b).sum().backward()
    before = b.grad.numpy().copy()
    a.grad.numpy()
    a.grad.mul_(0)
    np.testing.assert_array_equal(b.grad.numpy(), before)


@needs_compiler
def test_results_are_not_those_of_the_next_call() -> None:
    results = [F.softmax(drawn(6, 8, seed=seed).detach(), -1) for seed in range(3)]
    for seed, result in enumerate(results):
        x = np.exp(drawn(6, 8, seed=seed).detach().numpy())
        np.testing.assert_allclose(result.numpy(), x / x.sum(1, keepdims=True), rtol=1e-5)


@needs_compiler
def test_inputs_are_let_go() -> None:
    x = drawn(256, 256).detach()
    array = weakref.ref(x.value)
    F.gelu(x)
    del x
    gc.collect()
    assert array() is None


def test_tensors_without_elements_stay_in_numpy(made: list[Piece]) -> None:
    assert F.layer_norm(genesis.zeros(0, 8), (8,)).shape == (0, 8)
    assert not any(piece.is_native for piece in made)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_products_of_doubles_stay_with_blas(dtype: str, made: list[Piece]) -> None:
    x, w, b = (drawn(*shape).detach().to(getattr(genesis, dtype)) for shape in ((40, 48), (32, 48), (32,)))
    w.requires_grad_()
    for _ in range(2):
        (F.linear(x, w, b) + x @ w.T).sum().backward()
    products = [p for p in made if any(node.op.anchor == "contract" for node in p.tape.computes())]
    assert {piece.is_native for piece in products} == ({True} if dtype == "float32" else {False})


@needs_compiler
def test_programs_are_for_some_shapes_only(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SHAPES", 2)
    for n in (3, 4, 5, 6):
        F.softmax(drawn(n, 8).detach(), 1)
    assert [piece.is_native for piece in made] == [True, True, False, False]


@needs_compiler
def test_pieces_that_compute_each_row_alone_share_programs(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_SHARED", {})
    x = drawn(40, 8).detach()
    for n in range(3, 40):
        np.testing.assert_allclose(F.softmax(x[:n], 1).numpy(), F.softmax(x, 1).numpy()[:n], rtol=1e-5, atol=1e-7)
    assert [piece.shapes[0][0] for piece in made if piece.is_native] == [3, 40, 4, 16, 32, 48]


@needs_compiler
def test_elementwise_pieces_of_further_shapes_share_a_program(
    made: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "SHAPES", 1)
    monkeypatch.setattr(pieces, "_SHARED", {})
    for n in (3, 4, 3000):
        x = drawn(n, 8).detach()
        monkeypatch.setenv("GENESIS_EAGER", "numpy")
        expected = F.gelu(x)
        monkeypatch.setenv("GENESIS_EAGER", "native")
        monkeypatch.setattr(eager, "_KNOWN", {})
        np.testing.assert_allclose(F.gelu(x).numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    (block,) = [piece for piece in made if piece.family.endswith("in blocks")]
    assert block.is_native
    assert block in pieces._SHARED.values()


@needs_compiler
def test_attributes_that_are_equal_but_not_the_same() -> None:
    x = genesis.zeros(3)
    assert genesis.full((2,), 0.0).signbit().tolist() == [False, False]
    assert genesis.full((2,), -0.0).signbit().tolist() == [True, True]
    assert (x + 1).dtype is genesis.float32
    assert (genesis.zeros(3, dtype=genesis.int64) + 1).dtype is genesis.int64
    assert (genesis.zeros(3, dtype=genesis.int64) + 1.0).dtype is genesis.float32
    assert (genesis.zeros(3, dtype=genesis.int64) + True).dtype is genesis.int64


SHORT = """
import genesis
from genesis.nn import functional as F

x = genesis.zeros(64, 64, requires_grad=True)
for _ in range(4):
    F.cross_entropy(F.layer_norm(F.gelu(x), (64,)), genesis.arange(64)).backward()
"""


@needs_compiler
def test_a_script_that_ends_while_a_program_is_built(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SHORT],
        env={**os.environ, "GENESIS_EAGER": "auto", "GENESIS_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not list(tmp_path.rglob("failed-*"))


@needs_compiler
def test_threads_share_a_program() -> None:
    x = drawn(64, 64).detach()
    expected, found = F.gelu(x).numpy(), []

    def work() -> None:
        found.extend(F.gelu(x).numpy() for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert all(np.array_equal(result, expected) for result in found)


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_computes_whatever_its_parent_was_at(made: list[Piece]) -> None:
    x = drawn(6, 8).detach()
    expected = F.gelu(x).tolist()
    (piece,) = made
    with piece._lock:  # as a thread holds it that is inside
        child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if F.gelu(x).tolist() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_compiler
@pytest.mark.parametrize("kind", ["SGD", "Adam", "RMSprop"])
def test_the_update_of_all_parameters_is_one_piece(
    kind: str, made: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained() -> list[np.ndarray]:
        genesis.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 1))
        options = {"momentum": 0.9} if kind != "Adam" else {"weight_decay": 0.1}
        optimizer = getattr(genesis.optim, kind)(model.parameters(), lr=0.01, **options)
        for _ in range(4):
            optimizer.zero_grad()
            model(drawn(6, 8).detach()).square().sum().backward()
            optimizer.step()
        return [p.detach().numpy().copy() for p in model.parameters()]

    native = trained()
    assert [piece.is_native for piece in made if piece.family.startswith("4 times")] == [True]
    monkeypatch.setenv("GENESIS_EAGER", "numpy")
    eager._KNOWN.clear()
    eager._PIECES.clear()
    for found, expected in zip(native, trained(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@needs_compiler
def test_second_derivatives_go_through_the_rules() -> None:
    x = drawn(6, 8)
    for _ in range(3):
        (g,) = genesis.autograd.grad(F.gelu(x).sum(), x, create_graph=True)
        (h,) = genesis.autograd.grad((g**2).sum(), x)
    shift = 1e-3
    slopes = [genesis.autograd.grad(F.gelu(x + s).sum(), x)[0] for s in (shift, -shift)]
    expected = 2 * g.detach() * (slopes[0] - slopes[1]) / (2 * shift)
    np.testing.assert_allclose(h.numpy(), expected.numpy(), atol=2e-3)


@needs_compiler
@pytest.mark.parametrize("function", [genesis.fmod, lambda a, b: genesis.div(a, b, rounding_mode="trunc")])
def test_a_division_by_zero_is_reported_in_the_words_of_numpy(
    function: Callable[..., genesis.Tensor], made: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    def message() -> str:
        with pytest.raises(ZeroDivisionError) as caught:
            function(genesis.tensor([7, 8]), genesis.tensor([2, 0]))
        return str(caught.value)

    native = message()
    assert made[0].is_native
    monkeypatch.setenv("GENESIS_EAGER", "numpy")
    eager._KNOWN.clear()
    assert native == message()
    assert "test_pieces.py" in native


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_floats_of_every_kind_are_told_by_their_sign(kind: Callable[[float], Any]) -> None:
    assert genesis.full((2,), kind(0.0)).signbit().tolist() == [False, False]
    assert genesis.full((2,), kind(-0.0)).signbit().tolist() == [True, True]


def test_nan_as_an_attribute_is_learnt_once() -> None:
    def filled() -> int:
        genesis.full((2,), float("nan"))
        F.pad(genesis.ones(3), (1, 1), value=float("nan"))
        return len(eager._KNOWN)

    assert filled() == filled()


@needs_compiler
def test_an_interrupted_build_is_done_at_the_next_run(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Piece) -> None:
        raise KeyboardInterrupt

    x = drawn(6, 8).detach()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Piece, "build", interrupt)
        F.gelu(x)
    F.gelu(x)
    assert made[0].is_native


def test_ever_new_numbers_cost_no_program(made: list[Piece], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "MOST", 50)
    x = drawn(6, 8)
    for i in range(200):
        (F.gelu(x) * (1 + i / 7)).sum().backward()
    assert len(eager._KNOWN) <= 50
    assert len(made) == len({piece.family for piece in made})


def test_ever_new_programs_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESIS_EAGER", "numpy")
    monkeypatch.setattr(eager, "MOST", 50)
    for i in range(200):
        F.celu(drawn(3).detach(), 1 + i / 7)
    assert len(eager._KNOWN) <= 50
