"""The errors of calls that cannot be meant so name the function, the types, the line, the way out."""

import re
import warnings
from collections.abc import Callable

import pytest

import genesis
from genesis import nn
from tests.calls import CALLS, called


def test_messages_of_wrong_calls(golden: Callable[[str, str], None]) -> None:
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in CALLS:
            error = called(source, genesis)
            if isinstance(error, Exception):
                assert isinstance(error, genesis.GenesisError), source
                lines.append(f"{source}\n{type(error).__name__}: {error}\n")
    golden("genesis/call_errors.txt", "\n".join(lines))


def test_a_wrong_call_names_the_line() -> None:
    with pytest.raises(TypeError, match=r"sum\(\) got an unexpected keyword argument 'foo'(.|\n)*errors.py:\d+"):
        genesis.ones(2).sum(foo=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"it takes sum\(input, dim=None, keepdim=False, dtype=None\)"):
        genesis.sum(genesis.ones(2), foo=1)
    with pytest.raises(IndexError, match=r"sum\(f32\[2,3\]\): Dimension out of range(.|\n)*test_call_errors.py:\d+"):
        genesis.ones(2, 3).sum(2)
    with pytest.raises(TypeError, match=r"softmax\(\): argument 'input' must be Tensor, not list"):
        nn.functional.softmax([1.0, 2.0], 0)  # type: ignore[arg-type]


def test_an_error_of_a_users_function_stays_what_it_is() -> None:
    def body(carry: genesis.Tensor, x: genesis.Tensor) -> None:
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$"):
        genesis.scan(body, genesis.ones(1), genesis.ones(2, 1))


@pytest.mark.parametrize(
    ("owner", "name", "says"),
    [
        (genesis, "sofmax", "did you mean softmax"),
        (nn, "Conv2D", "did you mean Conv2d"),
        (nn.functional, "cross_entropi", "did you mean cross_entropy"),
        (genesis.optim, "Adamw", "did you mean AdamW?"),
        (genesis.optim, "Adma", "did you mean Adam"),
        (genesis.ones(1), "untyped_storage", "tensors share memory by views"),
        (genesis.ones(1), "reshap", "did you mean reshape"),
    ],
)
def test_a_missing_name_says_what_to_use(owner: object, name: str, says: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(says)) as raised:
        getattr(owner, name)
    assert isinstance(raised.value, genesis.GenesisError) and f"no attribute {name!r}" in str(raised.value)
    assert not hasattr(owner, name)


def test_devices_are_honoured_or_refused() -> None:
    assert genesis.zeros(2, device="cpu").shape == (2,)
    makers = (
        lambda d: genesis.zeros(2, device=d),
        lambda d: genesis.tensor([1.0], device=d),
        lambda d: genesis.rand(2, device=d),
        lambda d: genesis.arange(3, device=d),
        lambda d: genesis.full((2,), 1, device=d),
        lambda d: genesis.eye(2, device=d),
        lambda d: genesis.ones_like(genesis.ones(2), device=d),
        lambda d: nn.Linear(2, 2, device=d),
        lambda d: genesis.ones(2).to(d),
        lambda d: nn.Linear(2, 2).to(d),
        lambda d: genesis.Tensor(2, device=d),
    )
    for make in makers:
        with pytest.raises(NotImplementedError, match=r"device 'cuda'(.|\n)*backend='cuda'"):
            make("cuda")
        with pytest.raises(RuntimeError, match="unknown device 'tpu'"):
            make("tpu")


def test_a_tensor_made_in_a_step_is_new_at_every_call() -> None:
    @genesis.compile(backend="interpret")
    def step() -> genesis.Tensor:
        x = genesis.tensor([0.0])
        x += 1
        return x

    assert [step().tolist() for _ in range(3)] == [[1], [1], [1]]
