"""Losses with a margin, likelihoods, distances and what draws, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(11)
X = (6, 5)
SIGNS = np.where(RNG.random(6) < 0.5, -1, 1)
GRID = np.where(RNG.random((6, 5)) < 0.5, -1.0, 1.0).astype(np.float32)
LABELS = RNG.integers(0, 5, 6)
SETS = np.array(
    [[1, 3, -1, 0, 0], [0, -1, 2, 2, 2], [4, 3, 2, 1, 0], [-1, 1, 1, 1, 1], [2, 2, -1, 0, 1], [0, 4, -1, 3, 3]]
)
WEIGHT = (RNG.random(5) + 0.5).astype(np.float32)
COUNTS = RNG.integers(0, 6, (6, 5)).astype(np.float32)
POSITIVE = (RNG.random((6, 5)) + 0.2).astype(np.float32)

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "weighted losses of elements": (
        lambda f, x, y, w: tuple(
            loss(x, y, reduction=kind, weight=w)
            for loss in (f.mse_loss, f.l1_loss, f.huber_loss)
            for kind in ("none", "mean", "sum")
        ),
        X,
        X,
        POSITIVE,
    ),
    "margin_ranking_loss": (lambda f, x, y, t: f.margin_ranking_loss(x, y, t, 0.3), 6, 6, SIGNS),
    "hinge_embedding_loss": (lambda f, x, t: f.hinge_embedding_loss(x, t.detach(), 0.4, reduction="none"), X, GRID),
    "cosine_embedding_loss": (lambda f, x, y, t: f.cosine_embedding_loss(x, y, t, 0.1), X, X, SIGNS),
    "cosine_embedding_loss of one": (lambda f, x, y, t: f.cosine_embedding_loss(x, y, t[0]), 5, 5, SIGNS),
    "multi_margin_loss": (lambda f, x, t: f.multi_margin_loss(x, t), X, LABELS),
    "multi_margin_loss of squares": (
        lambda f, x, t, w: f.multi_margin_loss(x, t, 2, 0.7, w.detach(), reduction="none"), X, LABELS, WEIGHT,
    ),
    "multi_margin_loss of one": (lambda f, x, t: f.multi_margin_loss(x, t[0], reduction="none"), 5, LABELS),
    "multilabel_margin_loss": (lambda f, x, t: f.multilabel_margin_loss(x, t, reduction="none"), X, SETS),
    "multilabel_margin_loss of one": (lambda f, x, t: f.multilabel_margin_loss(x, t), 5, SETS[0]),
    "multilabel_soft_margin_loss": (
        lambda f, x, t, w: f.multilabel_soft_margin_loss(x, t.detach(), w.detach(), reduction="sum"),
        X,
        (GRID + 1) / 2,
        WEIGHT,
    ),
    "soft_margin_loss": (lambda f, x, t: f.soft_margin_loss(x * 9, t.detach()), X, GRID),
    "triplet_margin_loss": (lambda f, a, p, n: f.triplet_margin_loss(a, p, n, swap=True, reduction="none"), X, X, X),
    "triplet_margin_loss of order 1": (lambda f, a, p, n: f.triplet_margin_loss(a, p, n, 0.5, p=1), X, X, X),
    "triplet of a distance": (
        lambda f, a, p, n: f.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: ((x - y) ** 2).sum(-1), margin=2.0
        ),
        X,
        X,
        X,
    ),
    "poisson_nll_loss": (lambda f, x, t: f.poisson_nll_loss(x, t.detach(), full=True, reduction="sum"), X, COUNTS),
    "poisson_nll_loss of rates": (lambda f, x, t: f.poisson_nll_loss(x, t.detach(), False), POSITIVE, COUNTS),
    "gaussian_nll_loss": (lambda f, x, t, v: f.gaussian_nll_loss(x, t, v, full=True), X, X, POSITIVE),
    "gaussian_nll_loss of one variance": (
        lambda f, x, t, v: (f.gaussian_nll_loss(x, t, v[:, 0], eps=0.5), f.gaussian_nll_loss(x, t, 0.3)),
        X,
        X,
        POSITIVE,
    ),
    "pairwise_distance": (lambda f, x, y: f.pairwise_distance(x, y, 3.0, keepdim=True), X, X),
    "pairwise_distance broadcasts": (lambda f, x, y: f.pairwise_distance(x, y), X, 5),
    "pdist": (lambda f, x: (f.pdist(x), f.pdist(x, 1.0), f.pdist(x[:1])), X),
    "rrelu": (lambda f, x: (f.rrelu(x), f.rrelu(x, 0.2, 0.2, training=True)), X),
    "in place": (lambda f, x: (f.elu_(x * 1), f.selu_(x * 1), f.celu_(x * 1), f.relu_(x * 1), f.rrelu_(x * 1)), X),
    "more in place": (lambda f, x: (f.threshold_(x * 1, 0.1, 0.2), f.hardtanh_(x * 1), f.leaky_relu_(x * 1, 0.1)), X),
    "dropouts outside training": (lambda f, x: (f.alpha_dropout(x), f.feature_alpha_dropout(x, 0.3)), X),
    "dropout of all": (lambda f, x: f.alpha_dropout(x, 1.0, training=True), X),
}  # fmt: skip


def shaped(*shapes: Any) -> list[Any]:
    return [(s,) if isinstance(s, int) else s for s in shapes]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function(name: str) -> None:
    call, *shapes = FUNCTIONS[name]
    agree(lambda t, *x: call(t.nn.functional, *x), *shaped(*shapes), rtol=2e-5)


MODULES: dict[str, tuple[Any, ...]] = {
    "MarginRankingLoss": (lambda n: n.MarginRankingLoss(0.2), 6, 6, SIGNS),
    "HingeEmbeddingLoss": (lambda n: n.HingeEmbeddingLoss(0.7, reduction="sum"), X, GRID),
    "CosineEmbeddingLoss": (lambda n: n.CosineEmbeddingLoss(0.2), X, X, SIGNS),
    "MultiMarginLoss": (lambda n: n.MultiMarginLoss(2, 0.5), X, LABELS),
    "MultiLabelMarginLoss": (lambda n: n.MultiLabelMarginLoss(), X, SETS),
    "MultiLabelSoftMarginLoss": (lambda n: n.MultiLabelSoftMarginLoss(), X, (GRID + 1) / 2),
    "SoftMarginLoss": (lambda n: n.SoftMarginLoss(), X, GRID),
    "TripletMarginLoss": (lambda n: n.TripletMarginLoss(p=1), X, X, X),
    "TripletMarginWithDistanceLoss": (lambda n: n.TripletMarginWithDistanceLoss(swap=True), X, X, X),
    "PoissonNLLLoss": (lambda n: n.PoissonNLLLoss(full=True), X, COUNTS),
    "GaussianNLLLoss": (lambda n: n.GaussianNLLLoss(full=True), X, X, POSITIVE),
    "NLLLoss2d": (lambda n: n.NLLLoss2d(), X, LABELS),
    "PairwiseDistance": (lambda n: n.PairwiseDistance(1.0, keepdim=True), X, X),
    "CosineSimilarity": (lambda n: n.CosineSimilarity(0), X, X),
    "Softmax2d": (lambda n: n.Softmax2d(), (2, 3, 4)),
    "RReLU": (lambda n: n.RReLU(0.1, 0.3).eval(), X),
    "AlphaDropout": (lambda n: n.AlphaDropout(0.3).eval(), X),
    "FeatureAlphaDropout": (lambda n: n.FeatureAlphaDropout(0.3).eval(), X),
}


@pytest.mark.filterwarnings("ignore:.*NLLLoss2d")
@pytest.mark.parametrize("name", MODULES)
def test_a_module(name: str) -> None:
    make, *shapes = MODULES[name]
    mine, other = make(nn), make(torch.nn)
    assert repr(mine) == repr(other) or "Similarity" in name or "Distance" in name
    fixed = [isinstance(s, np.ndarray) for s in shapes]

    def call(t: Any, *operands: Any) -> Any:
        given = [x.detach() if f else x for x, f in zip(operands, fixed, strict=True)]
        return (mine if t is genesis else other)(*given)

    agree(call, *shaped(*shapes), rtol=2e-5)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    genesis.manual_seed(3)
    x = genesis.nn.functional.selu(genesis.randn(100, 400))
    for drop in (nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.2)):
        y = drop(x)
        assert abs(y.mean().item()) < 0.03 and abs(y.std().item() - 1) < 0.03
        assert (y == y.amin()).float().mean().item() == pytest.approx(0.2, abs=0.02)


def test_rrelu_draws_slopes_between_its_bounds() -> None:
    genesis.manual_seed(3)
    slopes = genesis.nn.functional.rrelu(-genesis.ones(1000), 0.25, 0.5, training=True).neg().numpy()
    assert 0.25 <= slopes.min() < 0.26 and 0.49 < slopes.max() <= 0.5


def test_gumbel_softmax_draws_classes_by_their_probabilities() -> None:
    genesis.manual_seed(3)
    logits = genesis.log(genesis.tensor([0.1, 0.6, 0.3])).expand(4000, 3).contiguous().requires_grad_()
    hard = genesis.nn.functional.gumbel_softmax(logits, tau=0.5, hard=True)
    np.testing.assert_allclose(hard.detach().numpy().mean(0), [0.1, 0.6, 0.3], atol=0.03)
    assert ((hard == 0) | (hard == 1)).all()
    (hard * genesis.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert logits.grad.abs().sum().item() > 0


ERRORS: dict[str, tuple[Any, ...]] = {
    "ranks": (lambda f, x, y, t: f.margin_ranking_loss(x, y, t), X, X, SIGNS),
    "cosine targets": (lambda f, x, t: f.cosine_embedding_loss(x, x, t), X, GRID),
    "cosine inputs": (lambda f, x, t: f.cosine_embedding_loss(x, x, t[0]), X, SIGNS),
    "margin p": (lambda f, x, t: f.multi_margin_loss(x, t, p=3), X, LABELS),
    "margin weight": (lambda f, x, t, w: f.multi_margin_loss(x, t, weight=w[:3]), X, LABELS, WEIGHT),
    "margin targets": (lambda f, x, t: f.multi_margin_loss(x, t[:3]), X, LABELS),
    "label sets": (lambda f, x, t: f.multilabel_margin_loss(x, t[:, :3]), X, SETS),
    "triplet ranks": (lambda f, x, y: f.triplet_margin_loss(x, x, y), X, (5,)),
    "triplet margin": (lambda f, x: f.triplet_margin_loss(x, x, x, margin=-1.0), X),
    "variance size": (lambda f, x, v: f.gaussian_nll_loss(x, x, v[:, :2]), X, POSITIVE),
    "negative variance": (lambda f, x, v: f.gaussian_nll_loss(x, x, -v), X, POSITIVE),
    "reduction": (lambda f, x, t: f.soft_margin_loss(x, t, reduction="some"), X, GRID),
    "pdist of a vector": (lambda f, x: f.pdist(x), (5,)),
    "alpha_dropout p": (lambda f, x: f.alpha_dropout(x, 1.5), X),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(lambda t, *x: call(t.nn.functional, *x), *shapes)


OLDER = [{"size_average": False}, {"reduce": False}, {"size_average": True}, {"size_average": False, "reduce": True}]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("older", OLDER, ids=str)
@pytest.mark.parametrize("name", ["MSELoss", "CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"])
def test_older_reductions(name: str, older: dict[str, bool]) -> None:
    """``size_average`` and ``reduce`` mean what they mean to PyTorch, given to a module or to a function."""
    target = POSITIVE if name == "MSELoss" else LABELS
    function = {"MSELoss": "mse_loss", "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss"}
    found: dict[Any, list[Any]] = {}
    for t in (genesis, torch):
        x, y = t.tensor(COUNTS), t.tensor(target)
        found[t] = [getattr(t.nn, name)(**older)(x, y)]
        if name in function:
            found[t].append(getattr(t.nn.functional, function[name])(x, y, **older))
    for a, b in zip(found[genesis], found[torch], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-5, 1e-6)
    with pytest.warns(UserWarning, match="reduction="):
        getattr(genesis.nn, name)(**older)
