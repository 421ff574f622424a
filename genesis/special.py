"""Special functions under PyTorch's names; most are functions of ``genesis``, too."""

from genesis.functions.calls import checked
from genesis.functions.elementary import logit
from genesis.functions.incomplete_gamma import igamma as gammainc
from genesis.functions.incomplete_gamma import igammac as gammaincc
from genesis.functions.pointwise import erf, erfc, erfinv, exp2, expm1, i0, log1p, round, sinc, xlogy
from genesis.functions.pointwise import lgamma as gammaln
from genesis.functions.pointwise import sigmoid as expit
from genesis.functions.reductions import log_softmax, logsumexp, softmax
from genesis.functions.special import digamma as digamma
from genesis.functions.special import (
    entr,
    erfcx,
    i0e,
    i1,
    i1e,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    spherical_bessel_j0,
    xlog1py,
    zeta,
)
from genesis.functions.special import mvlgamma as multigammaln

psi = digamma
modified_bessel_i0, modified_bessel_i1 = i0, i1

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "modified_bessel_i0",
    "modified_bessel_i1",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "spherical_bessel_j0",
    "xlog1py",
    "xlogy",
    "zeta",
]

for _name in __all__:
    if not isinstance(globals()[_name], type):
        globals()[_name] = checked(globals()[_name], f"special.{_name}")
