"""Namespaces about other hardware answer as PyTorch does on a machine without it."""

import pytest

import genesis
from genesis import accelerator, cuda, nn, optim


def test_no_device_is_found_so_a_program_chooses_the_cpu() -> None:
    assert not cuda.is_available()
    assert not cuda.is_initialized()
    assert not cuda.is_bf16_supported()
    assert cuda.device_count() == 0
    assert not accelerator.is_available()
    assert accelerator.device_count() == 0
    assert accelerator.current_accelerator() is None


def test_nothing_is_held_on_a_gpu() -> None:
    genesis.ones(1000)
    cuda.empty_cache()
    for answer in (cuda.memory_allocated, cuda.max_memory_allocated, cuda.memory_reserved, cuda.max_memory_reserved):
        assert answer() == 0


@pytest.mark.parametrize("seed", [cuda.manual_seed, cuda.manual_seed_all])
def test_seeding_gpus_leaves_the_generator_of_the_cpu(seed) -> None:
    genesis.manual_seed(3)
    expected = genesis.rand(4)
    genesis.manual_seed(3)
    seed(7)
    assert genesis.equal(genesis.rand(4), expected)


@pytest.mark.parametrize(
    "name", ["synchronize", "current_device", "get_device_name", "get_device_properties", "get_device_capability"]
)
def test_asking_a_gpu_that_is_not_there_is_an_error_with_the_way_out(name: str) -> None:
    with pytest.raises(RuntimeError, match=rf"cuda\.{name}\(\)(.|\n)*test_cuda\.py(.|\n)*backend='cuda'") as raised:
        getattr(cuda, name)()
    assert isinstance(raised.value, genesis.GenesisError)


@pytest.mark.parametrize("device", [(), (0,), ("cuda:1",), (genesis.device("cuda"),)])
def test_moving_a_tensor_to_a_gpu_is_an_error_with_the_way_out(device: tuple) -> None:
    with pytest.raises(genesis.GenesisError, match=r"tensors on device 'cuda(.|\n)*backend='cuda'"):
        genesis.ones(2).cuda(*device)


def test_the_old_names_of_mixed_precision_mean_the_new_ones() -> None:
    a, b = genesis.rand(2, 3), genesis.rand(3, 2)
    with cuda.amp.autocast():
        assert (a @ b).dtype is genesis.float16
    with cuda.amp.autocast(False):
        assert (a @ b).dtype is genesis.float32
    with cuda.amp.autocast(dtype=genesis.bfloat16):
        assert (a @ b).dtype is genesis.bfloat16
    assert cuda.amp.GradScaler(8.0).get_scale() == 8.0


def test_a_compiled_step_takes_the_old_names() -> None:
    def losses(compiled: bool) -> list[float]:
        genesis.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), cuda.amp.GradScaler(16.0)

        def step(x: genesis.Tensor) -> genesis.Tensor:
            optimizer.zero_grad()
            with cuda.amp.autocast(dtype=genesis.bfloat16):
                loss = model(x).float().square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        run = genesis.compile(step, backend="interpret") if compiled else step
        x = genesis.ones(8, 4)
        return [run(x).item() for _ in range(3)]

    assert losses(compiled=True) == pytest.approx(losses(compiled=False), rel=1e-6)
