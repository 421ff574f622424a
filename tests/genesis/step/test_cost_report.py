"""``step.cost()``."""

import re
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.cost import Processor
from compiler.errors import ChoiceError, MemoryBudgetError
from genesis import nn
from runtime import processor
from runtime.devices.cpu import CpuDevice
from runtime.toolchain import find_compiler
from tests.genesis.step.test_ledger import X, Y, trained

SMALL = Processor("a small one", "c", {"f32": 1e9}, plain=1e8, bandwidth=1e8, memory=1000)
needs_c = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")


def test_a_call_is_costed_without_running_it() -> None:
    step = trained()
    found = step.cost(X, Y, device=SMALL)
    assert step.compiles == 0 and repr(step).endswith("not called yet>")
    count = 8 * 16 + 16 + 16 * 4 + 4
    assert found.memory.parameters == 4 * count
    assert found.memory.optimizer == 8 * count + 4  # two moments, and the number of steps
    assert not found.fits
    text = str(found)
    assert re.search(r"^parameters +848 B", text, re.M) and "does NOT fit into the 1 kB of a small one" in text
    assert re.search(r"^temporaries at the peak .* at test_ledger.py:\d+", text, re.M)


@needs_c
def test_the_arena_is_that_of_the_plan() -> None:
    step = trained(backend="c")
    before = step.cost(X, Y)
    step(X, Y)
    assert before.memory.arena == step.plan.arena_bytes == step.cost().memory.arena
    assert [k.launch for k in before.kernels] == list(step.plan.launches)
    assert before.memory.total - before.memory.scratch <= sum(
        (step.memory().states, step.memory().arena, step.memory().outputs, before.memory.arguments)
    )


def test_a_gpu_need_not_be_there() -> None:
    pytest.importorskip("triton")
    step = trained(precision="bf16-mixed")
    found = step.cost(X, Y, device="h100")
    assert found.fits and found.processor.name == "NVIDIA H100 SXM"
    assert 1e-6 < found.seconds < 1e-3


def test_unknown_devices_list_the_known_ones() -> None:
    with pytest.raises(ChoiceError, match=r"cost\(device='tpu'\): there are cpu, a100, h100, h200, b200, mi300x"):
        trained().cost(X, Y, device="tpu")


@needs_c
def test_a_step_that_does_not_fit_says_so_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "memory", lambda: 1000)
    step = genesis.compile(lambda x: x @ x @ x, backend="c")
    with pytest.raises(
        MemoryBudgetError, match=r"does not fit: it takes .* for temporaries, and this machine has 1 kB"
    ) as e:
        step(np.ones((64, 64), np.float32))
    assert "temporaries at the peak" in str(e.value) and isinstance(e.value, MemoryError)
    monkeypatch.undo()
    assert step(np.ones((64, 64), np.float32))[0, 0].item() == 64 * 64


@needs_c
@pytest.mark.parametrize("at", ["start", "run"])
def test_memory_that_the_system_does_not_give_is_reported_the_same_way(
    at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, nbytes: int) -> Any:
        raise MemoryError(f"Unable to allocate {nbytes} bytes")

    weight = nn.Parameter(genesis.ones(64, 64))
    step = genesis.compile(lambda x: ((x @ weight) @ x).sum().backward(), backend="c")
    x = np.ones((64, 64), np.float32)
    if at == "run":
        step(x)
    with monkeypatch.context() as m:
        m.setattr(CpuDevice, "alloc", refuse)
        if at == "run":
            step._program.executor.threads = 0  # as set_num_threads() does: scratch memory is taken again
        with pytest.raises(MemoryBudgetError, match=r"does not fit: it takes (.|\n)*Unable to allocate \d+ bytes") as e:
            step(x)
    assert "temporaries at the peak" in str(e.value)
    step(x)


def test_this_machine_has_memory_and_peaks() -> None:
    room: Any = processor.memory()
    assert room is None or room > 1e8
    flops, bandwidth = processor.peaks()
    assert flops > 1e8 and bandwidth > 1e8
