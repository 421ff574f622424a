"""Names that are not there: an error that says what to use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from compiler.errors import MissingNameError
from compiler.ir.location import here

INSTEAD: dict[str, str] = {
    "save": "use genesis.save_checkpoint(dict, path)",
    "load": "use genesis.load_checkpoint(path)",
    "cuda": "genesis.compile(step, backend='cuda') runs a step on a GPU; eager tensors stay on the CPU",
    "einsum": "use genesis.matmul with permute and reshape",
    "concat": "use genesis.cat",
    "concatenate": "use genesis.cat",
    "clip": "use clamp",
    "clip_": "use clamp_",
    "absolute": "use abs",
    "multiply": "use mul",
    "subtract": "use sub",
    "divide": "use div",
    "movedim": "use permute",
    "swapaxes": "use transpose",
    "nonzero": "its shape would depend on data; masks with genesis.where keep the shape",
    "masked_select": "x[mask], outside compiled steps; genesis.where keeps the shape",
    "from_pretrained": "load the arrays, then module.load_state_dict",
    "jit": "use genesis.compile",
    "DataParallel": "there is no distributed training",
    "distributed": "there is no distributed training",
    "sparse": "there are no sparse tensors",
    "complex64": "there are no complex numbers",
    "storage": "there are no storages; .numpy() shares memory",
}
"""Names of PyTorch that Genesis does not have, and the way out."""


def missing(owner: str, name: str, known: Iterable[str]) -> MissingNameError:
    """The error for ``owner.name``, with the way out or the names that are near."""
    advice = INSTEAD.get(name)
    if advice is None:
        near = get_close_matches(name, [k for k in known if not k.startswith("_")], n=3)
        advice = f"did you mean {' or '.join(near)}?" if near else ""
    return MissingNameError(here(f"{owner} has no attribute {name!r}" + (f"; {advice}" if advice else "")))


def module_getattr(module: str, space: Mapping[str, Any]) -> Callable[[str], Any]:
    """A module's ``__getattr__``, which Python calls for names that the module does not have."""

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing(f"module {module!r}", name, (k for k, v in space.items() if not isinstance(v, ModuleType)))

    return __getattr__
