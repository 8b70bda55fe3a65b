import torch
from torch import Tensor, nn


class RoiPool(nn.Module):
    """The largest value in the bins of each box: [N, C, H, W] and [N, R, 4] to [N, C, R, h, w].

    Runs torchvision's kernel where there is one, and the same in plain torch where there is none.
    """

    def __init__(self, output_size: int | tuple[int, ...], spatial_scale: float = 1.0) -> None:
        super().__init__()
        size = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.arguments = (size, spatial_scale)
        try:
            from torchvision.ops import roi_pool
        except (ImportError, RuntimeError):  # RuntimeError: it was built for another torch
            roi_pool = RoiPoolFunction.apply
        self.run = roi_pool

    def forward(self, features: Tensor, boxes: Tensor) -> Tensor:
        n, regions, _ = boxes.shape
        x = features.to(torch.promote_types(features.dtype, torch.float32))
        sample = torch.arange(n, dtype=x.dtype, device=x.device).view(-1, 1, 1)
        boxes = boxes.detach().to(x.dtype).nan_to_num(-1e6, 1e6, -1e6)  # else kernels read anywhere
        rois = torch.cat([sample.expand(-1, regions, 1), boxes], 2)
        y = self.run(x, rois.flatten(0, 1), *self.arguments)
        return y.to(features.dtype).unflatten(0, (n, regions)).transpose(1, 2)


class RoiPoolFunction(torch.autograd.Function):
    """torchvision.ops.roi_pool in plain torch, for as many boxes in each sample, in their order.

    Each position has a rank in its channel. The first rank of a bin is the first of those of four
    windows inside it whose sides are powers of two. What is kept is what torchvision keeps.
    """

    @staticmethod
    def forward(ctx, x: Tensor, rois: Tensor, *rest) -> Tensor:  # type: ignore[no-untyped-def]
        size, scale = rest
        n, c, h, w = ctx.shape = x.shape
        values, places = x.flatten(2).sort(dim=2, descending=True, stable=True)
        number = torch.arange(h * w, dtype=torch.int32, device=x.device).expand_as(places)
        ranks = torch.zeros_like(number).scatter_(2, places, number).view(n, c, h, w)
        windows = RoiPoolFunction.windows(ranks.permute(0, 2, 3, 1).contiguous(), 1)
        windows = RoiPoolFunction.windows(windows, 3)
        x1, y1, x2, y2 = (rois[:, 1:, None] * scale).unbind(1)
        top, bottom, tall = RoiPoolFunction.along(y1, y2, h, size[0])
        left, right, wide = RoiPoolFunction.along(x1, x2, w, size[1])
        empty = (bottom <= top)[:, :, None] | (right <= left)[:, None]
        levels = wide[:, None] * windows.shape[1] + tall[:, :, None]
        maps = (levels * n + rois[:, :1, None].long()) * h
        first = ranks.new_full((1,), h * w)
        for row in (top, bottom - 2**tall):
            for column in (left, right - 2**wide):
                index = ((maps + row[:, :, None]) * w + column[:, None]).masked_fill(empty, 0)
                found = windows.flatten(0, 4).index_select(0, index.flatten())
                first = torch.minimum(first, found)
        first = first.view(n, -1, size[0] * size[1], c).transpose(2, 3).long()
        empty = empty.view(n, -1, 1, first.shape[3])
        every = (-1, first.shape[1], -1, -1)
        y = values[:, None].expand(every).gather(3, first).masked_fill(empty, 0)
        place = places.int()[:, None].expand(every).gather(3, first).masked_fill(empty, -1)
        ctx.save_for_backward(rois, place)
        return y.view(-1, c, *size)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        n, c, h, w = ctx.shape
        _, place = ctx.saved_tensors
        maps = torch.arange(n * c, device=grad.device).view(n, 1, c, 1) * (h * w)
        grad = grad.reshape(place.shape).masked_fill(place < 0, 0)
        x = grad.new_zeros(n * c * h * w)
        x = x.index_add(0, (maps + place.clamp(min=0)).flatten(), grad.flatten())
        return x.view(n, c, h, w), None, None, None

    @staticmethod
    def windows(least: Tensor, dim: int) -> Tensor:
        """The least of 1, 2, 4, … units from each on along an axis."""
        found = [least]
        while 2 ** len(found) <= least.shape[dim]:
            further = found[-1].roll(-(2 ** (len(found) - 1)), dim)  # the last are never asked for
            found.append(torch.minimum(found[-1], further))
        return torch.stack(found)

    @staticmethod
    def along(start: Tensor, end: Tensor, n: int, out: int) -> tuple[Tensor, Tensor, Tensor]:
        """The first unit of each bin, the first behind it, and the window that fits: of 2^level."""
        start, end = (x.trunc() + (x.frac().abs() >= 0.5) * x.sign() for x in (start, end))
        size = (end - start + 1).clamp(min=1) / out
        edges = torch.arange(out + 1, dtype=size.dtype, device=size.device) * size
        first = (edges[:, :-1].floor() + start).nan_to_num().clamp(0, n).long()
        last = (edges[:, 1:].ceil() + start).nan_to_num().clamp(0, n).long()
        level = torch.zeros_like(first)
        k = 2
        while k <= n:
            level = level + (last - first >= k)
            k *= 2
        return first, last, level
