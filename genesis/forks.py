"""Locks of compiled functions in the child of a fork.

A fork copies a lock in the state it is in, but only the thread that forks lives on in the child. A lock that another
thread held would stay locked there for ever, so every lock is made new.
"""

from __future__ import annotations

import os
from threading import RLock
from typing import Protocol
from weakref import WeakSet


class Locking(Protocol):
    """Something that guards itself with ``with self._lock``."""

    _lock: RLock


_OWNERS: WeakSet[Locking] = WeakSet()


def give_lock(owner: Locking) -> None:
    """Set ``owner._lock`` to a lock that is free in every child process."""
    owner._lock = RLock()
    _OWNERS.add(owner)


def _renew() -> None:
    for owner in _OWNERS:
        owner._lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
