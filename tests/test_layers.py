"""The few modules that emitted source brings along, against plain torch expressions."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cnnplan.layers.abs import Abs
from cnnplan.layers.abs_tanh import AbsTanh
from cnnplan.layers.add import Add
from cnnplan.layers.attention_pool import AttentionPool
from cnnplan.layers.center_crop import center_crop
from cnnplan.layers.channel_norm import ChannelNorm
from cnnplan.layers.concat import Concat
from cnnplan.layers.global_response_norm import GlobalResponseNorm
from cnnplan.layers.l2_norm import L2Norm
from cnnplan.layers.layer_scale import LayerScale
from cnnplan.layers.local_response_norm3d import LocalResponseNorm3d
from cnnplan.layers.make_divisible import make_divisible
from cnnplan.layers.maximum import Maximum
from cnnplan.layers.mean import Mean
from cnnplan.layers.mean_pad import MeanPad
from cnnplan.layers.multiply import Multiply
from cnnplan.layers.scale import Scale
from cnnplan.layers.self_attention import SelfAttention
from cnnplan.layers.stochastic_depth import StochasticDepth
from cnnplan.layers.subtract import Subtract
from cnnplan.layers.unpadded_avg_pool import UnpaddedAvgPool


def branches(kind: type[nn.Module]) -> nn.Module:
    merge = kind()
    merge.a, merge.b, merge.c = nn.Tanh(), nn.Sigmoid(), nn.Sequential()
    return merge


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_merges(x: Tensor) -> None:
    parts = torch.stack([x.tanh(), x.sigmoid(), x])
    torch.testing.assert_close(branches(Add)(x), parts.sum(0))
    torch.testing.assert_close(branches(Multiply)(x), parts.prod(0))
    torch.testing.assert_close(branches(Maximum)(x), parts.amax(0))
    torch.testing.assert_close(branches(Mean)(x), parts.mean(0))
    torch.testing.assert_close(branches(Subtract)(x), parts[0] - parts[1] - parts[2])
    torch.testing.assert_close(branches(Concat)(x), parts.movedim(0, 1).flatten(1, 2))


def test_a_merge_leaves_its_input_alone(x: Tensor) -> None:
    before = x.clone()
    for kind in (Add, Multiply, Maximum, Mean, Subtract, Concat):
        branches(kind)(x)
        assert torch.equal(x, before)


def test_elementwise(x: Tensor) -> None:
    torch.testing.assert_close(Abs()(x), torch.where(x < 0, -x, x))
    torch.testing.assert_close(AbsTanh()(x), x.abs().tanh())


def test_channel_norm_is_group_norm_of_one_position(x: Tensor) -> None:
    norm = ChannelNorm(3).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    positions = x.movedim(1, -1).reshape(-1, 3)
    expected = F.group_norm(positions, 1, norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(norm(x).movedim(1, -1).reshape(-1, 3), expected)
    assert norm(x).shape == x.shape


def test_factors(x: Tensor) -> None:
    scale = Scale((3, 1, 1)).double()
    torch.testing.assert_close(scale(x), x)
    nn.init.normal_(scale.weight)
    nn.init.normal_(scale.bias)
    norm = nn.BatchNorm2d(3, eps=0, affine=True).double().eval()
    norm.weight.data, norm.bias.data = scale.weight.data.view(3), scale.bias.data.view(3)
    torch.testing.assert_close(scale(x), norm(x))
    assert Scale((3, 1, 1), bias=False).bias is None
    torch.testing.assert_close(LayerScale((3, 1, 1), 0.5).double()(x), x / 2)
    for whole in (LayerScale((3, 1, 1), 2), L2Norm(scale=2, shape=(3, 1, 1))):
        assert whole.weight is not None
        assert whole.weight.dtype == torch.float32  # though 2 is an integer


def test_response_norm_of_volumes_in_any_order() -> None:
    """Torch's own refuses those whose height and width are not one axis in memory."""
    x = torch.randn(2, 5, 2, 3, 4, dtype=torch.float64)
    plain = nn.LocalResponseNorm(3, alpha=0.5)
    for order in itertools.permutations(range(1, 5)):
        turned = x.permute(0, *order).contiguous().permute(0, *(order.index(axis) + 1 for axis in range(1, 5)))
        assert torch.equal(turned, x)
        torch.testing.assert_close(LocalResponseNorm3d(3, alpha=0.5)(turned), plain(x))
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        plain(x.transpose(2, 3))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_stochastic_depth_drops_whole_samples(p: float) -> None:
    torch.manual_seed(0)
    drop = StochasticDepth(p)
    x = torch.ones(2000, 2, 3)
    y = drop(x)
    kept = y[:, 0, 0] != 0
    assert torch.equal(y, kept.view(-1, 1, 1) * torch.full_like(x, 1 / (1 - p) if p < 1 else 1.0))
    assert abs(kept.float().mean().item() - (1 - p)) < 0.05
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize(("size", "out"), [((6, 7), (4, 3)), ((5, 5), (2, 5)), ((3, 4), (3, 4))])
def test_center_crop(size: tuple[int, int], out: tuple[int, int]) -> None:
    x = torch.arange(2 * 3 * size[0] * size[1]).view(2, 3, *size)
    y = center_crop(x, out)
    assert y.shape[2:] == out
    top, left = (size[0] - out[0]) // 2, (size[1] - out[1]) // 2
    assert torch.equal(y, x[:, :, top : top + out[0], left : left + out[1]])


def test_make_divisible_is_that_of_the_papers_code() -> None:
    # widths of MobileNetV2 1.4x and 0.75x and of MobileNetV3, as published models have them
    assert [make_divisible(1.4 * w) for w in (16, 24, 32, 64, 96, 160, 320, 1280)] == [
        *(24, 32, 48, 88, 136, 224, 448, 1792)
    ]
    assert [make_divisible(w / 4) for w in (16, 64, 72, 96, 120, 240, 960)] == [8, 16, 24, 24, 32, 64, 240]
    assert [make_divisible(v, 10) for v in (1, 14, 15, 16.5, 99)] == [10, 20, 20, 20, 100]


@pytest.mark.parametrize("padding", [(1, 0), (0, 1), (1, 1)])
def test_unpadded_average_counts_values_alone(x: Tensor, padding: tuple[int, int]) -> None:
    pad = (padding[0], padding[1]) * 2
    y = UnpaddedAvgPool(2, 1, pad)(x)
    filled = F.pad(x, pad, value=torch.nan).unfold(2, 2, 1).unfold(3, 2, 1)
    torch.testing.assert_close(y, filled.flatten(-2).nanmean(-1))


@pytest.mark.parametrize(
    "module",
    [
        *(branches(kind) for kind in (Add, Multiply, Mean, Subtract, Concat, Maximum)),
        ChannelNorm(3),
        LayerScale((3, 1, 1), 0.5),
        Scale((3, 1, 1)),
        Abs(),
        AbsTanh(),
        LocalResponseNorm3d(3),
        GlobalResponseNorm((3, 1, 1)),
        L2Norm(2),
        L2Norm(scale=2.0, shape=(3, 1, 1)),
        MeanPad((1, 0, 0, 2)),
        SelfAttention(3, 3),
        AttentionPool(3),
        UnpaddedAvgPool(2, 1, (1, 0, 0, 1)),
    ],
    ids=lambda module: type(module).__name__,
)
def test_gradients(module: nn.Module, x: Tensor) -> None:
    assert torch.autograd.gradcheck(module.double(), x.requires_grad_())
