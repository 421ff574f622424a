"""In-place methods against PyTorch: the result, and what an alias sees."""

import inspect

import numpy as np
import pytest

import genesis
from genesis.functions.table import IN_PLACE

torch = pytest.importorskip("torch")


def array(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", sorted(IN_PLACE))
def test_in_place_forms_are_those_of_pytorch(name: str) -> None:
    rest = {
        "addcdiv_": ((5,), (5,)), "addcmul_": ((5,), (5,)), "clamp_": (0.5,),
        "clip_": (0.5,), "lerp_": ((5,), 0.3), "pow_": (2.0,),
        "clamp_max_": (0.5,), "clamp_min_": (0.5,), "heaviside_": ((5,),), "mvlgamma_": (1,), "polygamma_": (1,),
        "masked_fill_": ("mask", 3.0), "scatter_add_": (0, "index", (5,)), "cumsum_": (0,), "cumprod_": (0,),
        "renorm_": (2, 0, 1.0),
        "scatter_": (0, "index", (5,)), "scatter_reduce_": (0, "index", (5,), "amax"), "index_add_": (0, "index", (5,)),
        "index_copy_": (0, "order", (5,)), "index_fill_": (0, "index", 2.0), "masked_scatter_": ("mask", (5,)),
        "index_reduce_": (0, "index", (5,), "prod"), "index_put_": ("places", (5,)), "put_": ("order", (5,)),
    }  # fmt: skip
    rest |= {
        "addmm_": ((3, 4), (4, 5)), "addbmm_": ((2, 3, 4), (2, 4, 5)), "baddbmm_": ((2, 3, 4), (2, 4, 5)),
        "addmv_": ((3, 4), (4,)), "addr_": ((3,), (4,)),
    }  # fmt: skip
    shapes = {
        "addmm_": (3, 5), "addbmm_": (3, 5), "baddbmm_": (2, 3, 5), "addmv_": (3,), "addr_": (3, 4),
        "tril_": (3, 4), "triu_": (3, 4), "renorm_": (5, 1),
    }  # fmt: skip
    binary = inspect.signature(getattr(genesis.Tensor, name)).parameters
    operands = rest.get(name, ((5,),) if "other" in binary else ())
    results = []
    whole = name in ("gcd_", "lcm_") or name.startswith("bitwise")
    for lib in (genesis, torch):
        special = {
            "mask": lib.tensor([True, False, True, False, False]),
            "index": lib.tensor([4, 0, 0, 2, 1]),
            "order": lib.tensor([4, 0, 3, 2, 1]),
            "places": (lib.tensor([4, 0, 3, 2, 1]),),
        }
        given = [
            special.get(x, x) if isinstance(x, str) else lib.tensor(array(i, *x)) if isinstance(x, tuple) else x
            for i, x in enumerate(operands, 1)
        ]
        x = lib.tensor(np.abs(array(0, *shapes.get(name, (5,)))) + 0.1)
        if whole:
            x, given = (x * 5).long(), [(a * 3).abs().long() for a in given]
        if name == "float_power_":
            x, given = x.double(), [1.5]
        alias = x.view(-1)
        assert getattr(x, name)(*given) is x
        results.append(alias.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6, atol=1e-6)
