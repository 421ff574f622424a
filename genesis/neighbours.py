"""Genesis's packages ``compiler`` and ``runtime`` bear common names: importing this module checks that they are found.

It is the first that ``genesis`` imports. Its error is a plain ImportError: Genesis's own errors are in ``compiler``.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

HOME = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def _place(name: str) -> str | None:
    """The folder, or the file, that ``import name`` gives; None where there is none."""
    spec = getattr(sys.modules.get(name), "__spec__", None) or PathFinder.find_spec(name)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or [])
    found = places[0] if places else spec.origin
    return None if found is None else os.path.realpath(found)


def check(name: str) -> None:
    """Raise ImportError where ``name`` is found, and is not the one beside the package ``genesis``."""
    own, found = os.path.join(HOME, name), _place(name)
    if found is not None and found != own:
        raise ImportError(
            f"Genesis's own package {name!r} is hidden: `import {name}` finds {found}, not {own}. "
            f"Rename it, or start Python in another folder, or put {HOME} before it in sys.path (PYTHONPATH)."
        )


for _name in ("compiler", "runtime"):
    check(_name)
