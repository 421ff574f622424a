"""The base of Tensor that carries its methods."""

from genesis.replaced import Watched


class Methods(metaclass=Watched):
    """Methods, operators and properties of a Tensor that are functions of ``genesis.functions``, and come from there.

    ``methods.pyi`` beside this file lists them for editors and mypy.
    """

    __slots__ = ()
