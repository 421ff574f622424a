"""The base of Tensor that carries its methods."""


class Methods:
    """Methods, operators and properties of a Tensor that are functions of ``genesis.functions``, and come from there.

    ``methods.pyi`` beside this file lists them for editors and mypy.
    """

    __slots__ = ()
