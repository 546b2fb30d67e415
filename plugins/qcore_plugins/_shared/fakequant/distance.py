"""How far a fake-quantized network is from the float one: the loss of the training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from qcore.plugin import Contract, UsageError
from qcore_kit.layouts import reader
from qcore_kit.quantization.graph import Graph

FEATURES = 0.1
"""Weight of the feature maps against the scores."""
BOXES = 2.0
"""And of the boxes."""
EPSILON = 1e-6


class Distance:
    """The sum of three differences between student and teacher, each a mean over the inputs.

    - scores: the Kullback-Leibler divergence of a candidate's class scores, taken as independent probabilities, in a
      mean weighted with the larger of both networks' best score;
    - boxes: 1 - IoU, in a mean weighted with the square of the teacher's best score; and
    - features: the mean square difference of the maps that the last weighted operations read, each channel in units of
      the teacher's deviation.

    Of outputs without a meaning nothing is known to be boxes or scores: there, in place of both, stands the mean square
    difference of each output in units of the teacher's deviation.

    Attributes:
        tensors: What both networks have to give, in this order: outputs, then feature maps.
    """

    def __init__(self, graph: Graph, contract: Contract) -> None:
        """Look up what is compared.

        Raises:
            UsageError: The outputs are of no meaning that can be compared.
        """
        known = any(tensor.meaning for tensor in contract.outputs)
        self._read = reader(contract.outputs) if known else None
        self._names = [tensor.name for tensor in contract.outputs]
        last = [node.inputs[0] for node in graph.weighted if node.name in graph.last]
        self.tensors = (*self._names, *dict.fromkeys(last))
        self._units: list[torch.Tensor] = []
        if not last:
            raise UsageError("the network has no layer whose outputs could be trained")

    @torch.no_grad()
    def measure(self, given: Iterable[Sequence[torch.Tensor]]) -> None:
        """Take the deviation of what the teacher gives: of each channel of maps, of other tensors as a whole."""
        count = 0
        sums: list[torch.Tensor] = []
        squares: list[torch.Tensor] = []
        for values in given:
            compared = [value.double() for value in self._compared(values)]
            means = [value.mean(_axes(value), keepdim=True) for value in compared]
            powers = [(value**2).mean(_axes(value), keepdim=True) for value in compared]
            sums = [a + b for a, b in zip(sums, means, strict=True)] if sums else means
            squares = [a + b for a, b in zip(squares, powers, strict=True)] if squares else powers
            count += 1
        variances = [(square / count - (mean / count) ** 2) for mean, square in zip(sums, squares, strict=True)]
        self._units = [(v + 1e-3 * v.mean() + 1e-12).float() for v in variances]

    def _compared(self, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """What is compared value by value: feature maps, and outputs of which nothing is known."""
        whole = values[len(self._names) :] if self._read else values
        return [value for value in whole if value.is_floating_point()]

    def __call__(self, got: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> torch.Tensor:
        """The distance, a scalar; gradients go to `got` only."""
        pairs = zip(self._compared(got), self._compared(wanted), self._units, strict=True)
        apart = [((one - other) ** 2 / unit).flatten(1).mean(1) for one, other, unit in pairs]
        if self._read is None:
            first = len(apart) - (len(self.tensors) - len(self._names))
            return (torch.stack(apart[:first]).sum(0) + FEATURES * torch.stack(apart[first:]).sum(0)).mean()
        outputs = len(self._names)
        boxes, scores = self._read(dict(zip(self._names, got[:outputs], strict=True)))
        true_boxes, true_scores = self._read(dict(zip(self._names, wanted[:outputs], strict=True)))
        sure = true_scores.amax(-1)
        either = torch.maximum(sure, scores.detach().amax(-1))
        scored = _mean(_divergence(scores, true_scores).sum(-1), either)
        placed = _mean(1 - _overlap(boxes, true_boxes), sure**2)
        return (scored + BOXES * placed + FEATURES * torch.stack(apart).sum(0)).mean()


def _axes(value: torch.Tensor) -> tuple[int, ...]:
    """All axes but that of the channels of a map `[B, C, H, W]`; all of anything else."""
    return tuple(axis for axis in range(value.dim()) if axis != 1 or value.dim() != 4)


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean over the candidates of each input."""
    return (values * weight).sum(-1) / (weight.sum(-1) + EPSILON)


def _divergence(got: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """KL of Bernoulli variables, element by element."""
    got, wanted = got.clamp(EPSILON, 1 - EPSILON), wanted.clamp(EPSILON, 1 - EPSILON)
    return wanted * (wanted / got).log() + (1 - wanted) * ((1 - wanted) / (1 - got)).log()


def _overlap(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """IoU of boxes xyxy, pair by pair."""
    shared = (
        (torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2]))
        .clamp(min=0)
        .prod(-1)
    )
    own, theirs = (((b[..., 2:] - b[..., :2]).clamp(min=0)).prod(-1) for b in (boxes, others))
    return shared / (own + theirs - shared + EPSILON)
