"""The modules that torch lacks beside the obvious naive form of each: forward and backward, on one thread."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cnnplan.layers.blur_pool import BlurPool
from cnnplan.layers.drop_connect_linear import DropConnectLinear
from cnnplan.layers.embedding import Embedding
from cnnplan.layers.locally_connected import LocallyConnected
from cnnplan.layers.mixed_dilation_conv import MixedDilationConv
from cnnplan.layers.roi_pool import RoiPool
from cnnplan.layers.self_attention import SelfAttention
from cnnplan.layers.sequence_lstm import SequenceLSTM
from cnnplan.layers.softmax_pool import SoftmaxPool
from cnnplan.layers.spatial_pyramid_pool import SpatialPyramidPool

Run = Callable[[], Tensor]


def windows(x: Tensor, kernel: int, stride: int) -> list[list[Tensor]]:
    rows = range(0, x.shape[2] - kernel + 1, stride)
    columns = range(0, x.shape[3] - kernel + 1, stride)
    return [[x[:, :, i : i + kernel, j : j + kernel] for j in columns] for i in rows]


def softmax_pool() -> tuple[Run, Run]:
    x, layer = torch.randn(4, 32, 28, 28, requires_grad=True), SoftmaxPool(2)

    def weighed(w: Tensor) -> Tensor:
        flat = w.flatten(2)
        return (flat.softmax(2) * flat).sum(2)

    return lambda: layer(x), lambda: torch.stack(
        [torch.stack([weighed(w) for w in row], 2) for row in windows(x, 2, 2)], 2
    )


def locally_connected() -> tuple[Run, Run]:
    x, layer = torch.randn(8, 16, 14, 14, requires_grad=True), LocallyConnected(16, 16, (3, 3), (12, 12))

    def naive() -> Tensor:
        found = []
        for i, row in enumerate(windows(x, 3, 1)):
            for j, w in enumerate(row):
                found.append(w.flatten(1) @ layer.weight[i, j].flatten(1).T + layer.bias[:, i, j])
        return torch.stack(found, 2).view(8, 16, 12, 12)

    return lambda: layer(x), naive


def spatial_pyramid_pool() -> tuple[Run, Run]:
    x, layer = torch.randn(8, 64, 28, 28, requires_grad=True), SpatialPyramidPool((1, 2, 4))

    def naive() -> Tensor:
        found = []
        for n in (1, 2, 4):
            size = 28 // n
            bins = [x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size] for i in range(n) for j in range(n)]
            found.append(torch.stack([b.amax((2, 3)) for b in bins], 2).flatten(1))
        return torch.cat(found, 1)

    return lambda: layer(x), naive


def blur_pool() -> tuple[Run, Run]:
    x, layer = torch.randn(4, 32, 28, 28, requires_grad=True), BlurPool(32)
    taps = layer.weight[0, 0]

    def naive() -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        rows = [padded[:, :, i : i + 27 : 2, j : j + 27 : 2] * taps[i, j] for i in range(3) for j in range(3)]
        return torch.stack(rows).sum(0)

    return lambda: layer(x), naive


def mixed_dilation_conv() -> tuple[Run, Run]:
    x = torch.randn(4, 32, 28, 28, requires_grad=True)
    layer = MixedDilationConv(32, 32, (3, 3), (1, 2), padding=(1, 2))
    parts = [nn.Conv2d(32, 16, 3, padding=d, dilation=d) for d in (1, 2)]
    return lambda: layer(x), lambda: torch.cat([part(x) for part in parts], 1)


def dropconnect_linear() -> tuple[Run, Run]:
    x, layer = torch.randn(64, 512, requires_grad=True), DropConnectLinear(512, 512)

    def naive() -> Tensor:
        kept = torch.rand(64, 512, 512) >= 0.5  # a mask for each sample, as the paper has it
        return torch.einsum("ni,noi->no", x, layer.weight * kept * 2) + layer.bias

    return lambda: layer(x), naive


def embedding() -> tuple[Run, Run]:
    x, layer = torch.randint(0, 1000, (8, 50)), Embedding(1000, 64)
    return lambda: layer(x), lambda: (F.one_hot(x, 1000).float() @ layer.weight).transpose(1, 2)


def lstm() -> tuple[Run, Run]:
    x, layer = torch.randn(8, 32, 40, requires_grad=True), SequenceLSTM(32, 64)
    cell = nn.LSTMCell(32, 64)

    def naive() -> Tensor:
        h = c = torch.zeros(8, 64)
        found = []
        for step in x.unbind(2):
            h, c = cell(step, (h, c))
            found.append(h)
        return torch.stack(found, 2)

    return lambda: layer(x), naive


def self_attention() -> tuple[Run, Run]:
    x, layer = torch.randn(4, 64, 14, 14, requires_grad=True), SelfAttention(64, 4)

    def naive() -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = F.linear(tokens, layer.in_proj_weight, layer.in_proj_bias).chunk(3, 2)
        heads = [(t.chunk(4, 2)) for t in (q, k, v)]
        found = [(a @ b.transpose(1, 2) / 4).softmax(2) @ c for a, b, c in zip(*heads, strict=True)]
        return layer.out_proj(torch.cat(found, 2)).transpose(1, 2).view_as(x)

    return lambda: layer(x), naive


def roi_pool() -> tuple[Run, Run]:
    x, layer = torch.randn(2, 32, 28, 28, requires_grad=True), RoiPool(7)
    corner = torch.rand(2, 16, 2) * 12
    boxes = torch.cat([corner, corner + 8 + torch.rand(2, 16, 2) * 7], 2)

    def naive() -> Tensor:
        found = []
        for n in range(2):
            for box in boxes[n].round().int().tolist():
                left, top, right, bottom = box
                part = x[n, :, top : bottom + 1, left : right + 1]
                found.append(F.adaptive_max_pool2d(part, 7))
        return torch.stack(found)

    return lambda: layer(x, boxes), naive


LAYERS = (
    *(softmax_pool, locally_connected, spatial_pyramid_pool, blur_pool, mixed_dilation_conv, dropconnect_linear),
    *(embedding, lstm, self_attention, roi_pool),
)


def main() -> None:
    """Print how many times slower the naive form is, forward and backward together, the medians of runs in turn."""
    torch.set_num_threads(1)
    print("layers that torch lacks, forward and backward, beside the naive form (one thread)")
    for make in LAYERS:
        torch.manual_seed(0)
        ours, theirs = make()
        times: tuple[list[float], list[float]] = ([], [])
        for index in range(12):
            for run, found in zip((ours, theirs), times, strict=True):
                start = time.perf_counter()
                run().sum().backward()
                if index > 1:
                    found.append(time.perf_counter() - start)
        a, b = map(statistics.median, times)
        print(f"{make.__name__:<22}  {1000 * a:8.2f} ms  {1000 * b:8.2f} ms  {b / a:6.1f} times")


if __name__ == "__main__":
    main()
