"""What bounds the weights: L1, the elastic net, max-norm; and which parameters decay.

    decay_groups(model, 1e-4, all_parameters=False)      groups for an optimizer
    Regularizer(train.regularize, model).attach(optimizer)

Weights are those of convolutions, dense, recurrent and attention layers, by the type of the module. Biases, norms,
factors of channels, slopes and embeddings are none: they are no sums over inputs, and a token's vector would shrink in
batches in which the token does not occur.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.optim import Optimizer

    from cnnplan.train_settings import Regularize

WEIGHTED = (_ConvNd, nn.Linear, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
OWN_WEIGHTED = frozenset(("LocallyConnected", "MixedDilationConv", "SelfAttention", "UntiedBiasConv"))
"""Of cnnplan.layers; by name, because an emitted source has classes of its own."""

OTHERS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.PReLU, nn.Embedding, nn.EmbeddingBag)
OWN_OTHERS = frozenset(
    ("AttentionPool", "GlobalResponseNorm", "L2Norm", "LayerScale", "MixedPool", "Scale", "SoftmaxPool")
)


class Weight(NamedTuple):
    """A parameter that is the weights of units.

    Attributes:
        name: as in `named_parameters`.
        parameter: the tensor.
        incoming: the axes over which the weights into one unit lie, once axis 0 is split into `groups`, if any.
        groups: of a transposed convolution with more than one, whose weight is [in, out / groups, …]: the unit
            (group, j) reads the channels of its group.
    """

    name: str
    parameter: nn.Parameter
    incoming: tuple[int, ...]
    groups: int = 1

    def units(self) -> Tensor:
        """A view of the weights in which `incoming` holds."""
        return self.parameter if self.groups == 1 else self.parameter.view(self.groups, -1, *self.parameter.shape[1:])


def weights_of(model: nn.Module) -> list[Weight]:
    """The weights of a model, each parameter once.

    A weight's first axis is its units, as in torch, but for transposed convolutions and locally connected layers.
    Each matrix of a recurrent layer is for itself, as in Keras. Of modules that are not known, as of plugins, a
    parameter counts that has more than one axis of more than one element and is not called bias.
    """
    found: dict[int, Weight] = {}
    for path, module in model.named_modules():
        for weight in _weights_in(module, f"{path}." if path else ""):
            found.setdefault(id(weight.parameter), weight)
    return list(found.values())


def _weights_in(module: nn.Module, prefix: str) -> Iterator[Weight]:
    names = {cls.__name__ for cls in type(module).__mro__}  # FSDP makes a subclass of another name
    if isinstance(module, OTHERS) or names & OWN_OTHERS:
        return
    known = isinstance(module, WEIGHTED) or names & OWN_WEIGHTED
    for name, parameter in module.named_parameters(recurse=False):
        axes = parameter.dim() if known else sum(size > 1 for size in parameter.shape)
        if axes < 2 or "bias" in name:
            continue
        yield Weight(prefix + name, parameter, *_incoming(module, names, parameter))


def _incoming(module: nn.Module, names: set[str], parameter: nn.Parameter) -> tuple[tuple[int, ...], int]:
    """The axes of the weights into one unit, and the groups into which axis 0 is split."""
    dims = parameter.dim()
    if isinstance(module, _ConvTransposeNd):
        return ((0, *range(2, dims)), 1) if module.groups == 1 else ((1, *range(3, dims + 1)), module.groups)
    if "LocallyConnected" in names:  # [*output size, out, in, *kernel]
        return tuple(range(dims // 2, dims)), 1
    return tuple(range(1, dims)), 1


def decay_groups(model: nn.Module, weight_decay: float, all_parameters: bool) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer: weights decay, the others do not. Frozen parameters are in none.

    Args:
        all_parameters: whether all decay alike, as torch.optim does.
    """
    weights = {id(weight.parameter) for weight in weights_of(model)}
    trained = [p for p in model.parameters() if p.requires_grad]
    decaying = [p for p in trained if all_parameters or id(p) in weights]
    others = [p for p in trained if not all_parameters and id(p) not in weights]
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


class Regularizer:
    """Acts on the weights after each step of an optimizer, with the learning rate of that step.

    First the proximal step of lr · (l1 · |w| + l2 · w²), which makes weights exactly 0, for any optimizer:
    w ← sign(w) · max(|w| - lr · l1, 0) / (1 + 2 · lr · l2). Source: Beck & Teboulle 2009, doi:10.1137/080716542; the
    elastic net: Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x. Then the weights into each unit are scaled to
    a norm of at most `max_norm`. Source: Srivastava et al. 2014, jmlr.org/papers/v15/srivastava14a.html.

    Weights that are frozen, or that the optimizer does not have, stay as they are.
    """

    def __init__(self, settings: Regularize, model: nn.Module) -> None:
        self.l1, self.l2, self.max_norm = settings.l1, settings.l2, settings.max_norm
        self.weights = {id(weight.parameter): weight for weight in weights_of(model)}

    def attach(self, optimizer: Optimizer) -> None:
        """Act after each step of the optimizer; nothing is added where nothing is asked for.

        Raises:
            UsageError: the optimizer has no weight of the model.
        """
        if not (self.l1 or self.l2 or self.max_norm):
            return
        if not any(id(p) in self.weights for group in optimizer.param_groups for p in group["params"]):
            raise UsageError(
                "`train: regularize` is about the weights of convolutions, dense and recurrent layers, and none is "
                "trained here; leave it out"
            )
        optimizer.register_step_post_hook(self._after_step)

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for group in optimizer.param_groups:
            weights = [self.weights[id(p)] for p in group["params"] if id(p) in self.weights and p.requires_grad]
            if weights and (self.l1 or self.l2):
                proximal_step([weight.parameter for weight in weights], float(group["lr"]), self.l1, self.l2)
            if self.max_norm:
                for weight in weights:
                    project(weight, self.max_norm)


def proximal_step(weights: list[Tensor], lr: float, l1: float, l2: float) -> None:
    """The proximal step of lr · (l1 · |w| + l2 · w²), in place."""
    if l1:
        # w - clip(w, ±t) is sign(w) · max(|w| - t, 0), and exactly 0 inside
        clipped = torch._foreach_clamp_max(weights, lr * l1)  # noqa: SLF001
        torch._foreach_clamp_min_(clipped, -lr * l1)
        torch._foreach_sub_(weights, clipped)
    if l2:
        torch._foreach_div_(weights, 1 + 2 * lr * l2)


def project(weight: Weight, max_norm: float) -> None:
    """Scale the weights into each unit to a norm of at most `max_norm`, in place; those within it are not touched."""
    units = weight.units()
    norms = torch.linalg.vector_norm(units, dim=weight.incoming, keepdim=True)
    units.mul_((max_norm / norms).clamp_(max=1))
