import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RoiAlign(nn.Module):
    """Samples of the bins of each box, averaged: [N, C, H, W] and [N, R, 4] to [N, C, R, h, w].

    Runs torchvision's kernel where there is one, and the same in plain torch where there is none.
    """

    def __init__(
        self,
        output_size: int | tuple[int, ...],
        spatial_scale: float = 1.0,
        sampling_ratio: int = 2,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        size = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.arguments = (size, spatial_scale, sampling_ratio, aligned)
        try:
            from torchvision.ops import roi_align
        except (ImportError, RuntimeError):  # RuntimeError: it was built for another torch
            roi_align = RoiAlignFunction.apply
        self.run = roi_align

    def forward(self, features: Tensor, boxes: Tensor) -> Tensor:
        n, regions, _ = boxes.shape
        x = features.to(torch.promote_types(features.dtype, torch.float32))
        sample = torch.arange(n, dtype=x.dtype, device=x.device).view(-1, 1, 1)
        boxes = boxes.detach().to(x.dtype).nan_to_num(-1e6, 1e6, -1e6)  # else kernels read anywhere
        rois = torch.cat([sample.expand(-1, regions, 1), boxes], 2)
        y = self.run(x, rois.flatten(0, 1), *self.arguments)
        return y.to(features.dtype).unflatten(0, (n, regions)).transpose(1, 2)


class RoiAlignFunction(torch.autograd.Function):
    """torchvision.ops.roi_align in plain torch, which keeps nothing but the boxes, either."""

    @staticmethod
    def forward(ctx, x: Tensor, rois: Tensor, *rest) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(rois)
        ctx.rest = (x.shape, *rest)
        index, weight = RoiAlignFunction.samples(rois, *ctx.rest)
        positions = x.permute(0, 2, 3, 1).flatten(0, 2)
        bins = F.embedding_bag(index, positions, per_sample_weights=weight, mode="sum")
        return bins.view(rois.shape[0], *rest[0], -1).permute(0, 3, 1, 2).contiguous()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        n, c, h, w = ctx.rest[0]
        index, weight = RoiAlignFunction.samples(*ctx.saved_tensors, *ctx.rest)
        bins = grad.permute(0, 2, 3, 1).flatten(0, 2)
        read, order = index.flatten().sort()  # what reads a position, one behind the other
        first = torch.searchsorted(read, torch.arange(n * h * w, device=read.device))
        weight = weight.flatten()[order]
        order = order // index.shape[1]
        x = F.embedding_bag(order, bins, first, per_sample_weights=weight, mode="sum")
        return x.view(n, h, w, c).permute(0, 3, 1, 2), None, None, None, None, None

    @staticmethod
    def samples(
        rois: Tensor,
        shape: tuple[int, ...],
        size: tuple[int, int],
        scale: float,
        ratio: int,
        aligned: bool,
    ) -> tuple[Tensor, Tensor]:
        """What the samples of each bin read, of all positions of the batch, and its weights."""
        x1, y1, x2, y2 = (rois[:, 1:, None, None] * scale - 0.5 * aligned).unbind(1)
        _, _, h, w = shape
        row, high = RoiAlignFunction.along(y1, y2, h, size[0], ratio, aligned)
        column, wide = RoiAlignFunction.along(x1, x2, w, size[1], ratio, aligned)
        row = row + rois[:, :1, None].long() * h
        index = row[:, :, None, :, None] * w + column[:, None, :, None]
        weight = high[:, :, None, :, None] * wide[:, None, :, None]
        return index.flatten(3).flatten(0, 2), weight.flatten(3).flatten(0, 2)

    @staticmethod
    def along(
        start: Tensor,
        end: Tensor,
        n: int,
        out: int,
        ratio: int,
        aligned: bool,
    ) -> tuple[Tensor, Tensor]:
        """The two units that each sample of each bin lies between, and their weights."""
        size = (end - start if aligned else (end - start).clamp(min=1)) / out
        bin = torch.arange(out, dtype=size.dtype, device=size.device)[:, None]
        sample = torch.arange(ratio, dtype=size.dtype, device=size.device) + 0.5
        at = start + bin * size + sample * size / ratio
        inside = (at >= -1) & (at <= n)  # others are zeros
        at = at.where(inside, 0).clamp(0, n - 1)
        low, part = at.floor(), at.frac()
        units = torch.cat([low, (low + 1).clamp(max=n - 1)], 2).long()
        weights = torch.cat([1 - part, part], 2) / ratio
        return units, weights * inside.repeat(1, 1, 2)
