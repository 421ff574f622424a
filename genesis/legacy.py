"""Paths at which PyTorch keeps names as well: ``nn.modules.conv.Conv2d``, ``utils.data.dataloader.DataLoader``.

They are modules without a file of their own, which look a name up in those that have it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from genesis import amp, autograd, cuda, derivatives, distributions, func, nn, optim, profiler, utils
from genesis.cuda import amp as cuda_amp
from genesis.kinds import ON_GPU
from genesis.names import missing_in_module
from genesis.nn import attention_bias, tuples
from genesis.nn.utils import clip_grad, convert_parameters, legacy_norms


class OldPath(ModuleType):
    """A module that has the names of others, the first that knows one."""

    def __init__(self, name: str, sources: Sequence[ModuleType]) -> None:
        super().__init__(name, f"The names of {', '.join(source.__name__ for source in sources)}.")
        self._sources = sources
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        for source in self._sources:
            if name in vars(source):
                return vars(source)[name]
        known = dict.fromkeys(key for source in self._sources for key in vars(source))
        raise missing_in_module(self.__name__, name, known, sys._getframe(1))

    def __dir__(self) -> list[str]:
        return sorted({name for source in self._sources for name in vars(source)})


_LAYERS = (nn, *(part for part in vars(nn).values() if isinstance(part, ModuleType)), tuples)
_FILES = (
    "activation adaptive batchnorm channelshuffle container conv distance dropout flatten fold instancenorm lazy "
    "linear linear_cross_entropy loss module normalization padding pixelshuffle pooling rnn sparse transformer "
    "upsampling utils"
).split()
_DISTRIBUTIONS = (
    "bernoulli beta binomial categorical cauchy chi2 continuous_bernoulli dirichlet exp_family exponential "
    "fishersnedecor gamma generalized_pareto geometric gumbel half_cauchy half_normal independent inverse_gamma "
    "kumaraswamy laplace lkj_cholesky log_normal logistic_normal lowrank_multivariate_normal mixture_same_family "
    "multinomial negative_binomial normal one_hot_categorical pareto poisson relaxed_bernoulli relaxed_categorical "
    "studentT transformed_distribution uniform von_mises weibull wishart"
).split()
_PATHS: dict[str, tuple[ModuleType, ...]] = {
    "functional": (sys.modules["genesis.functions"], nn.functional),
    "nn.modules": _LAYERS,
    **{f"nn.modules.{name}": _LAYERS for name in _FILES},
    **{f"distributions.{name}": (distributions,) for name in _DISTRIBUTIONS},
    "nn.attention.bias": (attention_bias,),
    "nn.parameter": (nn,),
    "nn.utils.weight_norm": (legacy_norms,),
    "nn.utils.spectral_norm": (legacy_norms,),
    "nn.parallel.distributed": (nn.parallel,),
    "nn.parallel.data_parallel": (nn.parallel,),
    "nn.utils.clip_grad": (clip_grad,),
    "nn.utils.convert_parameters": (convert_parameters,),
    "nn.utils.stateless": (func,),
    "nn.utils.init": (nn.utils.building,),
    "utils.dlpack": (sys.modules["genesis.functions"],),
    "autograd.anomaly_mode": (autograd,),
    "autograd.function": (autograd,),
    "autograd.functional": (derivatives,),
    "autograd.grad_mode": (autograd,),
    "autograd.gradcheck": (autograd,),
    "autograd.graph": (autograd,),
    "autograd.profiler": (profiler,),
    "autograd.variable": (autograd,),
    "amp.autocast_mode": (amp,),
    "amp.grad_scaler": (amp,),
    "cuda.amp.autocast_mode": (cuda_amp,),
    "cuda.amp.grad_scaler": (cuda_amp,),
    "cuda.memory": (cuda,),
    "cuda.random": (cuda,),
    "optim.adamw": (optim,),
    "optim.optimizer": (sys.modules["genesis.optim.optimizer"],),
    "utils.data.dataloader": (utils.data,),
    "utils.data.dataset": (utils.data,),
    "utils.data.sampler": (utils.data,),
    "utils.data._utils.collate": (utils.data,),
    "utils.data._utils": (utils.data,),
}


def _enter(path: str, sources: tuple[ModuleType, ...]) -> None:
    """Make the module ``genesis.<path>``, unless something real stands there."""
    name = f"genesis.{path}"
    parent, _, last = name.rpartition(".")
    if name not in sys.modules:
        sys.modules[name] = OldPath(name, sources)
    if parent in sys.modules and last not in vars(sys.modules[parent]):
        setattr(sys.modules[parent], last, sys.modules[name])


for _path in sorted(_PATHS):
    _enter(_path, _PATHS[_path])
for _name, _kind in ON_GPU.items():
    setattr(cuda, _name, _kind)
