"""Steps compiled for the GPU, on a driver that records calls and moves memory but computes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import DeviceError
from genesis import gpu, nn, optim
from tests.runtime.devices.conftest import driver, library

pytest.importorskip("triton", minversion="3.9")
__all__ = ["driver", "library"]  # fixtures


@pytest.fixture
def step(driver: Any) -> Any:
    gpu.gpu.cache_clear()
    model = nn.Linear(16, 16)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @genesis.compile(backend="cuda")
    def step(x: genesis.Tensor) -> genesis.Tensor:
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    step.model = model
    yield step
    gpu.gpu.cache_clear()


def test_a_step_is_one_graph_of_launches(step: Any, driver: Any) -> None:
    x = np.ones((16, 16), np.float32)
    before = step.model.weight.detach().numpy().copy()
    step(x)
    calls = driver.calls()
    launches = [c for c in calls if c.startswith("cuLaunchKernel")]
    assert 0 < len(launches) <= 8
    assert sum(c.startswith("cuGraphInstantiate") for c in calls) == 1
    step(x)
    later = driver.calls()
    assert not any(c.startswith(("cuLaunchKernel", "cuModule", "cuMemAlloc")) for c in later)
    assert sum(c.startswith("cuGraphLaunch") for c in later) == 1
    assert np.array_equal(
        step.model.weight.detach().numpy(), before
    )  # back from the device, where nothing was computed


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_recurrent_layer_trains_in_one_graph(layer: Any, driver: Any) -> None:
    gpu.gpu.cache_clear()
    model = layer(8, 16)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def train(x: genesis.Tensor) -> genesis.Tensor:
        optimizer.zero_grad()
        loss = (model(x)[0] ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    def launches(time: int) -> int:
        genesis.compile(train, backend="cuda")(np.ones((time, 2, 8), np.float32))
        return sum(c.startswith("cuLaunchKernel") for c in driver.calls())

    three, five, seven = map(launches, (3, 5, 7))
    assert 0 < five - three == seven - five, "every iteration launches the same kernels"
    gpu.gpu.cache_clear()


def test_a_step_compiled_before_comes_from_the_cache(
    driver: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither the passes nor Triton run again."""
    monkeypatch.setenv("GENESIS_CACHE", str(tmp_path))
    gpu.gpu.cache_clear()
    weight = genesis.tensor(np.ones((16, 16), np.float32))

    def launches() -> list[str]:
        genesis.compile(lambda x: (x @ weight).relu(), backend="cuda")(np.ones((16, 16), np.float32))
        return [c for c in driver.calls() if c.startswith("cuLaunchKernel")]

    first = launches()
    for name in ("compiler.codegen.triton.module.emit", "runtime.triton.parallel.compile_program"):
        monkeypatch.setattr(name, None)
    assert launches() == first and len(first) == 1
    gpu.gpu.cache_clear()


def test_an_edited_file_runs_in_place_of_the_generated(driver: Any, tmp_path: Path) -> None:
    gpu.gpu.cache_clear()
    step = genesis.compile(lambda x: x * 3.0 + 1.0, backend="cuda")
    x = np.ones(64, np.float32)
    step(x)
    step.dump(tmp_path)
    driver.calls()
    file = tmp_path / "step_triton.py"
    text = file.read_text()
    file.write_text(text.replace("3.0", "5.0"))
    step.replace(file)
    step(x)
    calls = driver.calls()
    assert "cuModuleGetFunction flat_mul_add" in calls and any(c.startswith("cuModuleLoadData") for c in calls)
    assert step.source("triton") == file.read_text() != text
    for wrong, problem in ("3.0)", "SyntaxError: unmatched"), ("tl.nothing", "has no attribute 'nothing'"):
        file.write_text(text.replace("3.0", wrong))
        with pytest.raises(DeviceError, match=rf"Triton does not compile .* for sm_90: (.|\n)*{problem}"):
            step.replace(file)
            step(x)
    file.write_text(text.replace("def flat_mul_add", "def other"))
    with pytest.raises(DeviceError, match="flat_mul_add"):
        step.replace(file)
        step(x)
    gpu.gpu.cache_clear()


def test_memory_of_a_step(step: Any) -> None:
    step(np.ones((16, 16), np.float32))
    memory = step.memory()
    assert memory.arena > 0 and memory.scratch == 0
    assert memory.states == sum(p.numel() * 4 for p in step.model.parameters())


def test_a_step_too_large_for_the_gpu_says_so_before_anything_is_allocated(step: Any, driver: Any) -> None:
    driver.set_memory(2000)
    with pytest.raises(genesis.cuda.OutOfMemoryError, match=r"does not fit: it takes .* the GPU has 2 kB") as e:
        step(np.ones((16, 16), np.float32))
    assert "temporaries at the peak" in str(e.value) and "2 kB of NVIDIA H100 80GB HBM3" in str(e.value)
    assert not any(c.startswith("cuMemAlloc") for c in driver.calls())
    driver.set_memory(80_000_000)
    step(np.ones((16, 16), np.float32))


def test_memory_that_the_gpu_does_not_give_is_reported_the_same_way(step: Any, driver: Any) -> None:
    driver.fail(b"cuMemAlloc_v2", 2)
    with pytest.raises(MemoryError, match=r"does not fit: (.|\n)*cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY") as e:
        step(np.ones((16, 16), np.float32))
    assert "temporaries at the peak" in str(e.value)
    driver.calls()  # from here on the driver gives it
    step(np.ones((16, 16), np.float32))


def test_reading_a_state_brings_it_back_once(step: Any, driver: Any) -> None:
    step(np.ones((16, 16), np.float32))
    driver.calls()
    step.model.weight.detach().numpy()
    assert any("DtoH" in c for c in driver.calls())
    step.model.weight.detach().numpy()
    assert driver.calls() == []


def on_device(step: Any) -> Any:
    """The device memory of the model's weight."""
    store = step.plain.executor.store
    return store.resident(step.model.weight._cell.value.data).parts["f32"].memory


@pytest.fixture
def trained(step: Any) -> Any:
    """The step after a call, with ones as the weights that it left on the device."""
    step(np.ones((16, 16), np.float32))
    step.plain = step._program
    on_device(step).write(np.ones((16, 16), np.float32))
    return step


@pytest.mark.parametrize("backend", ["c", "interpret"])
def test_a_step_on_the_cpu_reads_what_the_gpu_left(trained: Any, backend: str) -> None:
    evaluate = genesis.compile(lambda x: trained.model.weight @ x, backend=backend)
    x = np.ones(16, np.float32)
    for value in (1, 2):
        assert (evaluate(x).detach().numpy() == 16 * value).all()
        trained(np.ones((16, 16), np.float32))
        on_device(trained).write(np.full((16, 16), 2, np.float32))


@pytest.mark.parametrize("backend", ["c", "interpret"])
def test_what_a_step_on_the_cpu_wrote_is_on_the_gpu_in_the_next_call(trained: Any, backend: str) -> None:
    weight = trained.model.weight

    @genesis.compile(backend=backend)
    def add_one() -> None:
        with genesis.no_grad():
            weight.add_(1.0)

    found = np.empty((16, 16), np.float32)
    for value in (2, 3):
        add_one()
        trained(np.ones((16, 16), np.float32))
        on_device(trained).read(found)
        assert (found == value).all()


def test_what_is_written_by_way_of_numpy_is_on_the_gpu_in_the_next_call(trained: Any) -> None:
    trained.model.weight.detach().numpy()[...] = 5
    trained(np.ones((16, 16), np.float32))
    found = np.empty((16, 16), np.float32)
    on_device(trained).read(found)
    assert (found == 5).all()


def test_what_eager_code_wrote_is_on_the_gpu_in_the_next_call(trained: Any) -> None:
    with genesis.no_grad():
        trained.model.weight.mul_(4.0)
    trained(np.ones((16, 16), np.float32))
    found = np.empty((16, 16), np.float32)
    on_device(trained).read(found)
    assert (found == 4).all()


def test_an_old_driver_is_refused(driver: Any) -> None:
    gpu.gpu.cache_clear()
    driver.set_version(11080)
    double = genesis.compile(lambda x: x * 2, backend="cuda")
    with pytest.raises(DeviceError, match=r"knows CUDA up to 11\.8, but Triton's ptxas"):
        double(np.ones(3, np.float32))
    gpu.gpu.cache_clear()


def test_without_a_driver_the_error_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu.gpu.cache_clear()
    monkeypatch.setenv("GENESIS_LIBCUDA", str(tmp_path / "nothing.so"))
    double = genesis.compile(lambda x: x * 2, backend="cuda")
    with pytest.raises(DeviceError, match=r'no CUDA driver.*backend="c"'):
        double(np.ones(3, np.float32))
