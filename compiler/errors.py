"""Every error and warning Genesis raises on purpose.

Errors double as the built-in type a PyTorch user would catch (``RuntimeError``, ``TypeError`` ...), so existing
``except`` clauses keep working.
"""

from __future__ import annotations

from compiler.callers import shown, user_line


class GenesisError(Exception):
    """Base of all errors raised by Genesis."""


class UsageError(GenesisError):
    """A call that cannot be meant so. The message ends with the user's line, unless it names one already."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message if "\n  at " in message else f"{message}\n  at {shown(*user_line())}")


class GenesisWarning(UserWarning):
    """Base of all warnings issued by Genesis."""


class OpError(GenesisError, RuntimeError):
    """An op was called with shapes, dtypes or attributes it does not accept."""


class OpTypeError(OpError, TypeError):
    """An attribute of an op is a value of the wrong kind: a text as a dimension, say."""


class AxisError(OpError, IndexError):
    """A dimension that the tensor does not have, or that has no elements."""


class ArgumentError(UsageError, TypeError):
    """A function was called with an argument of a wrong type, or with one that it does not have."""


class ChoiceError(UsageError, ValueError):
    """An argument has a type that fits and a value that does not."""


class InvariantError(UsageError, AssertionError):
    """An argument breaks a condition that PyTorch asserts."""


class IndexingError(UsageError, IndexError):
    """An index that the tensor does not have, or that is no index."""


class OutOfRangeError(GenesisError, IndexError):
    """An index in the data, which is known only when the op runs, lies outside its range."""


class KeyedError(UsageError, KeyError):
    """A name or key that a container does not have, has already, or cannot have."""

    __str__ = Exception.__str__  # KeyError would quote the message


class UnsupportedError(UsageError, NotImplementedError):
    """A part of PyTorch that Genesis does not have."""


class UndefinedError(UsageError, NotImplementedError):
    """A method that a subclass has to define is not there."""


class MisuseError(UsageError, RuntimeError):
    """A call that does not fit those before it, such as a second ``unscale_()``, or options that exclude each other."""


class MissingNameError(UsageError, AttributeError):
    """A module or object of Genesis has no such name; the message says what to use."""


class MissingImportError(GenesisError, ImportError):
    """``from genesis import name``: there is no such name; the message says what to use."""


class TraceError(GenesisError, RuntimeError):
    """The traced step does something that cannot be part of one graph."""


class AutogradError(GenesisError, RuntimeError):
    """Differentiation was asked for where there is nothing to differentiate, or twice."""


class DivisionError(GenesisError, ZeroDivisionError, RuntimeError):
    """An integer is divided by zero."""


class NumericsError(GenesisError, ArithmeticError):
    """An op of a step compiled with ``check_numerics=True`` made an infinity or a NaN."""


class VerifyError(GenesisError):
    """A graph breaks a rule of the IR; the message shows the graph with the finding under the failing op."""


class ParseError(GenesisError, SyntaxError):
    """A ``.gir`` text is not well formed; the message carries line, column and the offending line."""


class RecompileError(GenesisError, RuntimeError):
    """The same guard failed too often: the step would be compiled again on almost every call."""


class ScheduleError(GenesisError, ValueError):
    """A learning-rate schedule does not fit the parameter groups of its optimizer."""


class MemoryBudgetError(GenesisError, MemoryError):
    """A step does not fit in the memory it was given, whatever it computes a second time."""


class DeviceError(GenesisError, RuntimeError):
    """A device, driver or compiler that was asked for is not there, or failed."""


class OutOfMemoryError(MemoryBudgetError, DeviceError):
    """A GPU has no memory left for a step."""


class CheckpointError(GenesisError):
    """A checkpoint file cannot be trusted, is none, or cannot be written where it should be."""


class UnsavableError(CheckpointError, TypeError):
    """A checkpoint cannot hold a value of this kind; the message says where in the tree it is."""


class ResumeError(GenesisError, AssertionError):
    """Training that was resumed from a checkpoint is not the training that was saved."""


class CompilerError(GenesisError, RuntimeError):
    """The compiler found a fault of its own; the message says which part. Please report it."""
