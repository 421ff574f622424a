"""Show what is in a checkpoint: `genesis checkpoint show FILE`.

Reads Genesis's checkpoints, PyTorch's files and safetensors, and executes nothing in them. Prints the tree with types,
shapes and numbers, and the sizes. The exit code is 1 where the file is none of these, or is damaged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from compiler.errors import CheckpointError, GenesisError
from genesis.io import load, load_checkpoint
from genesis.step.cost_report import amount
from genesis.tensor import Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["show"])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--depth", type=int, default=6, help="levels of the tree to print (default 6)")


def run(arguments: argparse.Namespace) -> int:
    try:
        try:
            tree: Any = load_checkpoint(arguments.file)
            kind = "a checkpoint of Genesis"
        except CheckpointError:
            tree = load(arguments.file)
            kind = "a file of PyTorch or safetensors"
    except (GenesisError, OSError) as error:
        print(f"genesis: {error}", file=sys.stderr)
        return 1
    sizes: list[int] = []
    lines = list(_lines(tree, "", arguments.depth, sizes))
    print(f"{arguments.file}: {kind}, {len(sizes)} tensors, {amount(sum(sizes), 'B')}")
    print("\n".join(lines))
    return 0


def _lines(tree: Any, indent: str, depth: int, sizes: list[int]) -> list[str]:
    """The tree as lines; the sizes of its tensors in bytes are added to ``sizes``."""
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    lines = []
    for key, value in items:
        if isinstance(value, Tensor):
            sizes.append(value.numel() * value.element_size())
            lines.append(f"{indent}{key}: {value.dtype}{list(value.shape)}")
        elif isinstance(value, Mapping | list | tuple) and value:
            inner = _lines(value, indent + "  ", depth - 1, sizes)
            plain = isinstance(value, list | tuple) and all(isinstance(v, int | float | str | bool) for v in value)
            if plain:
                text = ", ".join(map(repr, value[:8])) + (", ..." if len(value) > 8 else "")
                lines.append(f"{indent}{key}: [{text}]")
            else:
                lines.append(f"{indent}{key}:" + ("" if depth > 1 else f" {len(value)} entries"))
                lines += inner if depth > 1 else []
        else:
            lines.append(f"{indent}{key}: {value!r}")
    return lines
