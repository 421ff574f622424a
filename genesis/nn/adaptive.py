"""A softmax over very many classes, whose rare ones stand in clusters with smaller layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from compiler.errors import ChoiceError, OpError
from genesis.context import current_recording
from genesis.functions.gathering import gather
from genesis.functions.pointwise import add, clamp, ge, logical_and, logical_or, lt, neg, sub, where
from genesis.functions.reductions import any as any_of
from genesis.functions.reductions import argmax, log_softmax, mean
from genesis.functions.shapes import cat, narrow, reshape, squeeze, unsqueeze
from genesis.nn.container import ModuleList, Sequential
from genesis.nn.linear import Linear
from genesis.nn.module import Module
from genesis.tensor import Tensor


class ASMoutput(NamedTuple):
    """The log-probability of each target, and the mean loss."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of ``n_classes`` classes, sorted by frequency, in clusters that end at ``cutoffs``.

    The classes before the first cutoff are in the head, beside one entry for each cluster. Cluster ``i`` projects its
    input to ``in_features / div_value ** (i + 1)`` features. Every cluster is computed for every example, so that no
    shape depends on data. Grave et al., "Efficient softmax approximation for GPUs", 2017.

    Raises ValueError for cutoffs that do not rise from above 0 to below ``n_classes``.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs)
        if not ends:
            raise ChoiceError("cutoffs should be a sequence of length larger than 0")
        rising = ends == sorted(set(ends)) and all(int(c) == c for c in ends)
        if not rising or ends[0] <= 0 or ends[-1] > n_classes - 1:
            raise ChoiceError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                "value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = ends[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden, out = int(in_features // div_value ** (i + 1)), self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(Linear(in_features, hidden, bias=False, **made), Linear(hidden, out, bias=False, **made))
            )

    def reset_parameters(self) -> None:
        """Draw all layers again."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def _of_cluster(self, input: Tensor, head: Tensor, i: int) -> Tensor:
        """Log-probabilities of the classes of cluster ``i``."""
        return add(log_softmax(self.tail[i](input), 1), narrow(head, 1, self.shortlist_size + i, 1))

    def forward(self, input: Tensor, target: Tensor) -> ASMoutput:
        single = target.ndim == 0
        if target.ndim > 1 or input.ndim != target.ndim + 1 or (not single and input.shape[0] != target.shape[0]):
            raise OpError(
                "AdaptiveLogSoftmaxWithLoss: expected [N, in_features] with targets [N], or one of each, but got "
                f"{list(input.shape)} and {list(target.shape)}"
            )
        rows, labels = (unsqueeze(input, 0), reshape(target, 1)) if single else (input, target)
        wrong = logical_or(lt(labels, 0), ge(labels, self.n_classes))
        if current_recording() is None and bool(any_of(wrong)):
            raise OpError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{labels.min().item()}, {labels.max().item()}] were found. "
            )
        head = log_softmax(self.head(rows), 1)
        output = squeeze(gather(head, 1, unsqueeze(clamp(labels, 0, self.shortlist_size - 1), 1)), 1)
        for i in range(self.n_clusters):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            place = clamp(sub(labels, low), 0, high - low - 1)
            found = squeeze(gather(self._of_cluster(rows, head, i), 1, unsqueeze(place, 1)), 1)
            output = where(logical_and(ge(labels, low), lt(labels, high)), found, output)
        loss = mean(neg(output))
        return ASMoutput(reshape(output) if single else output, loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes: ``[N, in_features]`` to ``[N, n_classes]``."""
        head = log_softmax(self.head(input), 1)
        clusters = [self._of_cluster(input, head, i) for i in range(self.n_clusters)]
        return cat([narrow(head, 1, 0, self.shortlist_size), *clusters], 1)

    def predict(self, input: Tensor) -> Tensor:
        """The class with the largest probability: ``[N, in_features]`` to ``[N]``."""
        return argmax(self.log_prob(input), 1)
