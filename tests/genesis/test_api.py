"""The names that ``import genesis`` gives, and the cost of the import."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genesis

CONTRACT = """
Tensor tensor Generator Size dtype device compile
float16 bfloat16 float32 float64 half float double int8 int16 int32 int64 uint8 short int long bool
no_grad enable_grad set_grad_enabled inference_mode is_grad_enabled autocast
manual_seed get_rng_state set_rng_state default_generator save_checkpoint load_checkpoint load
zeros ones full empty zeros_like ones_like full_like arange linspace eye rand randn randint randperm from_numpy
matmul mm bmm where cat stack split chunk tril triu softmax log_softmax exp log sqrt tanh relu sigmoid
sum mean var std amax amin max min argmax argmin any all logsumexp norm clamp allclose equal gather scatter_add
nn.Module nn.Parameter nn.Linear nn.ReLU nn.GELU nn.Tanh nn.Sigmoid nn.SiLU nn.Softmax nn.Dropout nn.LayerNorm
nn.Embedding nn.Flatten nn.Sequential nn.ModuleList nn.CrossEntropyLoss nn.MSELoss nn.NLLLoss nn.BCEWithLogitsLoss
nn.functional.scaled_dot_product_attention nn.init.normal_ nn.utils.clip_grad_norm_ nn.utils.clip_grad_value_
optim.SGD optim.Adam optim.AdamW optim.Optimizer
optim.lr_scheduler.StepLR optim.lr_scheduler.ExponentialLR optim.lr_scheduler.CosineAnnealingLR
optim.lr_scheduler.LambdaLR
amp.autocast amp.GradScaler
utils.data.Dataset utils.data.TensorDataset utils.data.DataLoader
"""


@pytest.mark.parametrize("path", CONTRACT.split())
def test_the_names_of_the_contract_are_there(path: str) -> None:
    found = genesis
    for name in path.split("."):
        found = getattr(found, name)


def test_every_public_name_has_a_purpose_that_is_written_down() -> None:
    for name in genesis.__all__:
        thing = getattr(genesis, name)
        if callable(thing) and name != "dtype":
            assert thing.__doc__, name


def test_star_import_brings_no_helpers() -> None:
    assert not {"np", "annotations", "Any"} & set(genesis.__all__)
    assert genesis.compiler.__name__ == "genesis.compiler"  # PyTorch's namespace, not Genesis's compiler


def test_dtypes_have_the_names_of_pytorch() -> None:
    assert repr(genesis.float16) == "genesis.float16"
    assert genesis.half is genesis.float16
    assert genesis.tensor([1.5]).dtype is genesis.float
    assert genesis.tensor([1]).dtype is genesis.long
    assert genesis.tensor([True]).dtype is genesis.bool
    assert genesis.tensor(np.zeros(2)).dtype is genesis.double


def test_importing_is_light() -> None:
    heavy = {"triton", "networkx", "lark", "torch", "sklearn", "rich", "ctypes.util"}
    program = f"import sys, genesis; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_version_is_that_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'\nversion = "{genesis.__version__}"\n' in project
