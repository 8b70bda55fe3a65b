"""Random changes of a batch, made where the batch is, and mixup.

    check_augment(plan's train.augment, shape)      before training: what does not fit the input
    Augment(train.augment, shape)(x)                all but mixup: a module, the identity in evaluation
    mixup_of(train.augment)                         mixup, which needs the targets, too; None where there is none

Every number is drawn from torch's global generator of the CPU, on whatever device the batch is: one seed, one outcome.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cnnplan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from cnnplan.train_settings import (
        Augmentation,
        ColorJitter,
        Flip,
        RandomCrop,
        RandomErasing,
        RandomResizedCrop,
        Rotation,
    )

    Step: TypeAlias = Callable[[Tensor], Tensor]

Inputs = TypeVar("Inputs", Tensor, tuple[Tensor, ...])
Targets = TypeVar("Targets", Tensor, tuple[Tensor, ...])

FLIPS = {"horizontal_flip": 1, "vertical_flip": 2}
"""The axis that each mirrors, counted from the last."""

MOVING = frozenset(("random_crop", "random_resized_crop", "horizontal_flip", "vertical_flip", "rotation"))
"""What changes where things are in an image, so that a target which is a map would no longer fit."""


class Augment(nn.Module):
    """The augmentations but mixup, in order; each sample has its own draws.

    [B, C, *spatial] → the same shape, type and device. Values from 0 to 1 stay there. In evaluation the identity.

    Args:
        augmentations: `train: augment`.
        shape: of a sample, channels first.

    Raises:
        UsageError: see `check_augment`.
    """

    def __init__(self, augmentations: Sequence[Augmentation], shape: Sequence[int]) -> None:
        super().__init__()
        check_augment(augmentations, shape)
        # a tuple, no ModuleList: kornia's modules would draw where they are moved, and their ranges are no state
        self.steps = tuple(_STEPS[one.name](one.options, shape) for one in augmentations if one.name != "mixup")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        # autocast would compute positions in 8 bits: a rotation would be off by pixels
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            for step in self.steps:
                x = step(x)
        return x


class Mixup:
    """Mixes the samples of a batch by pairs, and their losses. Source: Zhang et al. 2017, arXiv:1710.09412.

    The loss is lam · loss(output, targets_a) + (1 - lam) · loss(output, targets_b).

    Args:
        alpha: lam is of Beta(alpha, alpha), one for the batch; 0 mixes nothing.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def __call__(self, x: Inputs, targets: Targets) -> tuple[Inputs, Targets, Targets, float]:
        """The mixed inputs, targets_a, targets_b and lam.

        Args:
            x: floating inputs [B, …], one or several, which are mixed alike.
            targets: [B, …], one or several; they are not changed, targets_b are in another order.
        """
        if not self.alpha:
            return x, targets, targets, 1.0
        lam = self.draw()
        first = x if isinstance(x, Tensor) else x[0]
        order = torch.randperm(first.shape[0]).to(first.device, non_blocking=True)
        if isinstance(x, Tensor):
            mixed = _mixed(x, order, lam)
        else:
            mixed = tuple(_mixed(one, order, lam) for one in x)
        if isinstance(targets, Tensor):
            others = targets[order]
        else:
            others = tuple(one[order] for one in targets)
        return mixed, targets, others, lam

    def draw(self) -> float:
        """A number of Beta(alpha, alpha).

        Two gamma variates' share of their sum. Those of a small shape are below what a float can be: each is drawn as
        the logarithm of Gamma(alpha + 1) · U^(1/alpha). Source: Marsaglia & Tsang 2000, doi:10.1145/358407.358414.
        """
        one = torch.ones((), dtype=torch.float64)
        larger = torch.distributions.Gamma(self.alpha + one, one).sample((2,)).log()
        uniform = torch.rand(2, dtype=torch.float64).neg().log1p() / self.alpha  # of 1 - U: U may be 0
        return float(torch.sigmoid(larger[0] - larger[1] + uniform[0] - uniform[1]))


def mixup_of(augmentations: Sequence[Augmentation]) -> Mixup | None:
    """The mixup of `train: augment`."""
    return next((Mixup(one.options.alpha) for one in augmentations if one.name == "mixup" and one.options.alpha), None)


def check_augment(
    augmentations: Sequence[Augmentation],
    shape: Sequence[int],
    *,
    dtype: str = "float32",
    inputs: int = 1,
    maps: bool = False,
) -> None:
    """See that the augmentations are defined for an input.

    Crops, rotation, color and erasing are for images. Flips are for whatever has the axis that they mirror, mixup is
    for all inputs but indices. `saturation` and `hue` are of 3 channels: for others they are refused where they are
    written, and without effect where they are defaults.

    Args:
        shape: of a sample, channels first.
        dtype: of the input, float32 or int64.
        inputs: how many the network has.
        maps: whether a target is a map, as in segmentation.

    Raises:
        UsageError: one is not defined, with its name.
    """
    names = [one.name for one in augmentations]
    if names.count("mixup") > 1:
        raise UsageError(f"`train: augment` has mixup {names.count('mixup')} times; once is what is defined")
    for one in augmentations:
        why, instead = _why_not(one.name, one.options, shape, dtype, inputs, maps)
        if why:
            raise UsageError(f"'{one.name}' of `train: augment` {why}; {instead or 'leave it out'}")


def _why_not(
    name: str, options: Any, shape: Sequence[int], dtype: str, inputs: int, maps: bool
) -> tuple[str, str | None]:
    """Why an augmentation is not defined, and what to write instead; "" where it is."""
    if dtype == "int64":
        return "changes values, and the input's are indices (int64)", None
    if name == "mixup":
        return "", None
    if inputs > 1:
        return f"changes one input, and the network has {inputs} that belong together", None
    text, sizes = "x".join(map(str, shape)), tuple(shape[1:])
    axis = FLIPS.get(name)
    if axis is None and len(sizes) != 2:
        return f"is for images, and the input, {text}, has {len(sizes)} spatial axes, not 2", None
    if axis is not None and len(sizes) < axis:
        which = "last spatial axis" if axis == 1 else "spatial axis before the last"
        return f"mirrors the {which}, and the input, {text}, has {len(sizes)}", None
    if maps and name in MOVING:
        return "moves what is in an image, and not what is in the target, which is a map", None
    if name == "random_crop" and options.padding >= min(sizes):
        return (
            f"pads by {options.padding}, and the input is {text}: a crop could be all padding",
            f"write a `padding` below {min(sizes)}",
        )
    if name == "color_jitter" and shape[0] != 3:
        written = [key for key in ("saturation", "hue") if key in options.model_fields_set and getattr(options, key)]
        if written:
            listed = " and ".join(f"`{key}`" for key in written)
            return f"changes {listed} of 3 channels, and the input, {text}, has {shape[0]}", f"leave {listed} out"
    return "", None


def _mixed(x: Tensor, order: Tensor, lam: float) -> Tensor:
    return x * lam + x[order] * (1 - lam)


def _random_crop(options: RandomCrop, shape: Sequence[int]) -> Step:
    mode = "constant" if options.padding_mode == "zeros" else options.padding_mode
    return partial(_crop, padding=options.padding, mode=mode)


def _crop(x: Tensor, padding: int, mode: str) -> Tensor:
    """A window of the image's size from the padded image, at a place of its own for each: two gathers."""
    b, c, h, w = x.shape
    padded = F.pad(x, (padding,) * 4, mode=mode)
    rows, columns = (
        (torch.randint(2 * padding + 1, (b, 1)) + torch.arange(size)).to(x.device, non_blocking=True) for size in (h, w)
    )
    padded = padded.gather(2, rows[:, None, :, None].expand(b, c, h, padded.shape[3]))
    return padded.gather(3, columns[:, None, None].expand(b, c, h, w))


def _flip(axis: int) -> Callable[[Flip, Sequence[int]], Step]:
    return lambda options, shape: partial(_mirror, p=options.p, axis=-axis)


def _mirror(x: Tensor, p: float, axis: int) -> Tensor:
    mirrored = (torch.rand(x.shape[0]) < p).to(x.device, non_blocking=True)
    return torch.where(mirrored.view(-1, *(1,) * (x.dim() - 1)), x.flip(axis), x)


def _rotation(options: Rotation, shape: Sequence[int]) -> Step:
    from kornia.augmentation import RandomRotation

    step: Step = RandomRotation(float(options.degrees), p=1.0)
    return step


def _random_resized_crop(options: RandomResizedCrop, shape: Sequence[int]) -> Step:
    from kornia.augmentation import RandomResizedCrop as Resized

    step: Step = Resized((shape[1], shape[2]), scale=options.scale, ratio=options.ratio, align_corners=False)
    return step


def _color_jitter(options: ColorJitter, shape: Sequence[int]) -> Step:
    from kornia.augmentation import ColorJitter as Jitter

    is_color = shape[0] == 3
    saturation, hue = (options.saturation, options.hue) if is_color else (0.0, 0.0)
    factors = ((max(0.0, 1 - x), 1.0 + x) for x in (options.brightness, options.contrast, saturation))
    step: Step = Jitter(*factors, (-hue, hue))
    return step


def _random_erasing(options: RandomErasing, shape: Sequence[int]) -> Step:
    from kornia.augmentation import RandomErasing as Erasing

    step: Step = Erasing(scale=options.scale, ratio=options.ratio, p=options.p)
    return step


_STEPS: dict[str, Callable[[Any, Sequence[int]], Step]] = {
    "random_crop": _random_crop,
    "random_resized_crop": _random_resized_crop,
    **{name: _flip(axis) for name, axis in FLIPS.items()},
    "rotation": _rotation,
    "color_jitter": _color_jitter,
    "random_erasing": _random_erasing,
}
