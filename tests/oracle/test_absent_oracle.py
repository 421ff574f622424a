"""Every public name of PyTorch is in Genesis, or the error for it says why not and what to use."""

import importlib
from types import ModuleType
from typing import Any

import pytest

import genesis
from genesis.absent import advice

torch = pytest.importorskip("torch")

SPACES = """
torch torch.nn torch.nn.functional torch.nn.init torch.nn.utils torch.nn.utils.rnn torch.nn.utils.parametrize
torch.nn.utils.parametrizations torch.nn.utils.stateless torch.nn.utils.fusion torch.nn.attention torch.nn.parallel
torch.optim torch.optim.lr_scheduler torch.optim.swa_utils torch.linalg torch.special torch.fft torch.autograd
torch.autograd.functional torch.autograd.graph torch.autograd.profiler torch.func torch.distributions
torch.distributions.constraints torch.distributions.transforms torch.distributions.kl torch.distributions.utils
torch.utils torch.utils.data torch.utils.checkpoint torch.amp torch.random torch.testing torch.compiler
torch.masked
""".split()
NO_NAMES = {
    "torch": "TYPE_CHECKING builtins torch",
    "torch.nn.functional": "BroadcastingList1 BroadcastingList2 BroadcastingList3 DType "
    "GRID_SAMPLE_INTERPOLATION_MODES GRID_SAMPLE_PADDING_MODES Tensor assert_int_or_pair boolean_dispatch "
    "TYPE_CHECKING reproducibility_notes sparse_support_notes tf32_notes",
    "torch.nn.utils": "memory_format",
    "torch.nn.utils.rnn": "PackedSequence_ bind",
    "torch.nn.utils.parametrizations": "parametrize",
    "torch.optim.lr_scheduler": "EPOCH_DEPRECATION_WARNING inf",
    "torch.optim.swa_utils": "TYPE_CHECKING",
    "torch.linalg": "common_notes",
    "torch.special": "common_args multi_dim_common",
    "torch.fft": "common_args factory_common_args",
    "torch.autograd.functional": "fwAD",
    "torch.distributions.kl": "inf",
    "torch.distributions.utils": "F",
    "torch.utils": "file_baton",
    "torch.utils.checkpoint": "Text",
    "torch.random": "TYPE_CHECKING",
}
"""What a module imports for itself, and texts of its documentation."""


def public(space: str, module: Any) -> list[str]:
    """The names that users call or read: without underscore, and made in PyTorch."""
    listed = getattr(module, "__all__", ())
    found = []
    for name in sorted({*listed, *dir(module)}):
        thing = getattr(module, name, None)
        home = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None) or "torch"
        if name.startswith("_") or not (name in listed or str(home).startswith(("torch", "builtins"))):
            continue
        if type(thing).__module__ == "typing" or (isinstance(thing, ModuleType) and name == "torch"):
            continue
        foreign = not isinstance(thing, ModuleType) and listed and name not in listed and space != "torch"
        if not foreign and name not in NO_NAMES.get(space, "").split():
            found.append(name)
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("space", [*SPACES, "torch.Tensor"])
def test_a_name_is_there_or_says_why_not(space: str) -> None:
    if space == "torch.Tensor":
        theirs: Any = torch.Tensor
        ours: Any = genesis.ones(1, 1)
    else:
        theirs = importlib.import_module(space)
        ours = importlib.import_module(space.replace("torch", "genesis", 1))
    names = public(space, theirs)
    assert names
    assert not [name for name in names if not (hasattr(ours, name) or advice(f"{space}.{name}"))]
