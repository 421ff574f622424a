"""Compiled functions in the child of a fork."""

import os
import signal
import threading
import warnings

import pytest

import genesis

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    step = genesis.compile(lambda x: x * 2, backend="interpret")
    step(genesis.ones(3))
    entered, leave = threading.Event(), threading.Event()

    def stay_inside() -> None:
        """As a thread does that is in the middle of a call."""
        with step._lock:
            entered.set()
            leave.wait()

    thread = threading.Thread(target=stay_inside)
    thread.start()
    entered.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs dies
        os._exit(0 if step(genesis.ones(3)).tolist() == [2, 2, 2] else 1)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
