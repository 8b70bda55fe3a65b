"""Augmentations, held against every outcome they may have; mixup, against its formula and its distribution."""

import colorsys
import math
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from cnnplan.errors import UsageError
from cnnplan.runtime.training.augment import Augment, Mixup, check_augment, mixup_of
from cnnplan.train_settings import Augmentation

ALL = [
    {"random_crop": {"padding": 2}},
    {"random_resized_crop": {}},
    {"horizontal_flip": {}},
    {"vertical_flip": {}},
    {"rotation": 20},
    {"color_jitter": {"hue": 0.1}},
    {"random_erasing": {"p": 1}},
]


def augmentations(*given: Any) -> list[Augmentation]:
    """As a spec would say them."""
    return [Augmentation.model_validate(one) for one in given]


def augment(x: Tensor, *given: Any, seed: int = 0) -> Tensor:
    """A batch as it comes out in training."""
    module = Augment(augmentations(*given), x.shape[1:]).train()
    torch.manual_seed(seed)
    result: Tensor = module(x)
    return result


def images(*shape: int, seed: int = 1) -> Tensor:
    """Values from 0 to 1."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def near(share: float, expected: float, count: int) -> bool:
    """Whether a share of so many draws is within 4 standard deviations."""
    return abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / count)


# -------------------------------------------------------------------- what holds for all


@pytest.mark.parametrize("one", ALL, ids=lambda one: next(iter(one)))
@pytest.mark.parametrize("shape", [(8, 3, 12, 20), (1, 3, 7, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_range_are_kept(one: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = images(*shape).to(dtype)
    before = x.clone()
    with torch.no_grad():
        y = augment(x, one)
    assert (y.shape, y.dtype, y.device, y.requires_grad) == (x.shape, dtype, x.device, False)
    assert -1e-6 <= y.min() <= y.max() <= 1 + 1e-6
    assert torch.equal(x, before)
    assert not torch.equal(augment(images(8, 3, 12, 20), one), images(8, 3, 12, 20))


@pytest.mark.parametrize("one", ALL, ids=lambda one: next(iter(one)))
def test_seeds_reproduce_and_no_other_generator_is_used(one: Any) -> None:
    x = images(16, 3, 12, 20)
    random.seed(3)
    np.random.seed(3)
    states = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    first, again, other = augment(x, one, seed=5), augment(x, one, seed=5), augment(x, one, seed=6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert states == (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]


@pytest.mark.parametrize("one", ALL, ids=lambda one: next(iter(one)))
def test_samples_have_draws_of_their_own(one: Any) -> None:
    y = augment(images(1, 3, 12, 20).expand(32, 3, 12, 20), one)
    assert len({tuple(sample.flatten().tolist()) for sample in y}) > 1


@pytest.mark.parametrize("one", ALL, ids=lambda one: next(iter(one)))
def test_mixed_precision_does_not_move_pixels(one: Any) -> None:
    x = images(4, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = augment(x, one)
    assert torch.equal(narrow, augment(x, one))


def test_all_in_a_row_and_the_identity_in_evaluation() -> None:
    x = images(4, 3, 16, 12)
    module = Augment(augmentations(*ALL, "mixup"), (3, 16, 12))
    assert module(x).shape == x.shape
    assert module.eval()(x) is x
    assert not module.state_dict()
    assert pickle.loads(pickle.dumps(module))(x) is x
    assert torch.equal(Augment([], (3, 16, 12))(x), x)


def test_order_is_that_of_the_list() -> None:
    x = images(64, 1, 8, 8)
    cropped = augment(x, {"random_crop": 2}, seed=7)
    assert torch.equal(augment(x, {"random_crop": 2}, {"horizontal_flip": 1}, seed=7), cropped.flip(3))
    assert not torch.equal(augment(x, {"horizontal_flip": 1}, {"random_crop": 2}, seed=7), cropped.flip(3))


# -------------------------------------------------------------------- flips


@pytest.mark.parametrize(("name", "axis"), [("horizontal_flip", -1), ("vertical_flip", -2)])
@pytest.mark.parametrize("shape", [(9, 2, 5, 4), (9, 2, 3, 5, 4)])
def test_flips_are_torch_flip(name: str, axis: int, shape: tuple[int, ...]) -> None:
    x = images(*shape)
    assert torch.equal(augment(x, {name: 1}), x.flip(axis))
    assert torch.equal(augment(x, {name: 0}), x)
    many = augment(x[:1].expand(2000, *shape[1:]), {name: {"p": 0.3}})
    flipped = (many == x[:1].flip(axis)).flatten(1).all(1)
    assert (flipped | (many == x[:1]).flatten(1).all(1)).all()
    assert near(flipped.double().mean().item(), 0.3, 2000)


def test_a_sequence_is_flipped_along_its_only_axis() -> None:
    x = images(3, 2, 7)
    assert torch.equal(augment(x, {"horizontal_flip": 1}), x.flip(2))


# -------------------------------------------------------------------- crops


@pytest.mark.parametrize(
    ("mode", "torch_mode"),
    [("zeros", "constant"), ("reflect", "reflect"), ("replicate", "replicate"), ("circular", "circular")],
)
def test_a_crop_is_one_of_the_windows_of_the_padded_image(mode: str, torch_mode: str) -> None:
    x = images(1, 2, 5, 6)
    padded = pad(x, (2, 2, 2, 2), mode=torch_mode)[0]
    windows = {tuple(padded[:, i : i + 5, j : j + 6].flatten().tolist()): (i, j) for i in range(5) for j in range(5)}
    assert len(windows) == 25
    found = augment(x.expand(5000, 2, 5, 6), {"random_crop": {"padding": 2, "padding_mode": mode}})
    places = [windows[tuple(sample.flatten().tolist())] for sample in found]
    assert all(near(places.count(place) / 5000, 1 / 25, 5000) for place in windows.values())


def test_a_crop_without_padding_is_the_image() -> None:
    x = images(5, 3, 6, 4)
    assert torch.equal(augment(x, {"random_crop": 0}), x)


def test_a_resized_crop_is_one_of_the_windows_scaled() -> None:
    x = images(1, 2, 5, 6)
    scaled = {}
    for h in range(1, 6):
        for w in range(1, 7):
            for i in range(6 - h):
                for j in range(7 - w):
                    window = x[:, :, i : i + h, j : j + w]
                    scaled[h, w, i, j] = interpolate(window, (5, 6), mode="bilinear", align_corners=False)[0]
    keys, values = list(scaled), torch.stack(list(scaled.values()))
    found = augment(x.expand(300, 2, 5, 6), {"random_resized_crop": {"scale": [0.2, 0.6], "ratio": [0.5, 2]}})
    distance = (found[:, None] - values).abs().flatten(2).amax(2)
    assert distance.min(1).values.max() < 1e-6
    chosen = {keys[index] for index in distance.argmin(1).tolist()}
    assert len(chosen) > 30
    for h, w, _, _ in chosen:  # sides are rounded: by half a pixel each
        assert (h - 0.5) * (w - 0.5) <= 0.6 * 30
        assert (h + 0.5) * (w + 0.5) >= 0.2 * 30
        assert (w + 0.5) / (h - 0.5) >= 0.5
        assert (w - 0.5) / (h + 0.5) <= 2


# -------------------------------------------------------------------- rotation


def test_a_rotation_turns_a_ramp_by_an_angle_within_the_bound() -> None:
    """The slope of a plane turns with it and keeps its length, in images that are not square, too."""
    h, w = 25, 41
    rows, columns = torch.meshgrid(torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2, indexing="ij")
    plane = (0.5 + columns / 100).expand(400, 1, h, w)
    y = augment(plane, {"rotation": 15})[:, 0, 8:17, 8:33].double()
    rows, columns = rows[8:17, 8:33].double(), columns[8:17, 8:33].double()
    across = (y * columns).sum((1, 2)) / columns.square().sum() * 100
    down = (y * rows).sum((1, 2)) / rows.square().sum() * 100
    assert torch.allclose(torch.hypot(across, down), torch.ones(400, dtype=torch.float64), atol=1e-3)
    assert torch.allclose(y.mean((1, 2)), torch.full((400,), 0.5, dtype=torch.float64), atol=1e-5)
    angles = torch.rad2deg(torch.atan2(down, across))
    assert angles.abs().max() <= 15.01
    assert angles.min() < -14
    assert angles.max() > 14
    assert near((angles.abs() < 1).double().mean().item(), 1 / 15, 400)  # all angles alike
    assert abs(angles.mean().item()) < 4 * (30 / math.sqrt(12)) / math.sqrt(400)


def test_a_rotation_by_0_is_the_identity_and_the_outside_is_0() -> None:
    x = images(3, 2, 6, 9)
    assert torch.allclose(augment(x, {"rotation": 0}), x, atol=1e-5)
    corner = augment(torch.ones(64, 1, 9, 9), {"rotation": 90})[:, 0, 0, 0]
    assert (corner < 0.5).any()


# -------------------------------------------------------------------- color


def test_brightness_multiplies() -> None:
    x = images(500, 1, 4, 5) / 2
    one = {"color_jitter": {"brightness": 0.5, "contrast": 0, "saturation": 0}}
    factors = (augment(x, one) / x).flatten(1)
    assert torch.allclose(factors, factors[:, :1].expand_as(factors), atol=1e-4)
    assert 0.5 <= factors.min() < 0.55 < 1.45 < factors.max() <= 1.5 + 1e-4


@pytest.mark.parametrize("channels", [1, 2])
def test_contrast_stretches_around_the_mean(channels: int) -> None:
    x = 0.4 + 0.2 * images(500, channels, 4, 5)
    y = augment(x, {"color_jitter": {"brightness": 0, "contrast": 0.5}})
    x, y = x.flatten(1), y.flatten(1)
    assert torch.allclose(x.mean(1), y.mean(1), atol=1e-5)
    factors = y.std(1) / x.std(1)
    assert 0.5 - 1e-4 <= factors.min() < 0.55 < 1.45 < factors.max() <= 1.5 + 1e-4


def test_saturation_keeps_the_gray_and_scales_the_rest() -> None:
    x = 0.4 + 0.2 * images(500, 3, 4, 5)
    y = augment(x, {"color_jitter": {"brightness": 0, "contrast": 0, "saturation": 0.5}})
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)  # ITU-R BT.601
    gray = (x * luma).sum(1, keepdim=True)
    assert torch.allclose((y * luma).sum(1, keepdim=True), gray, atol=1e-3)
    factors = (y - gray).flatten(1).std(1) / (x - gray).flatten(1).std(1)
    assert 0.5 - 1e-2 <= factors.min() < 0.55 < 1.45 < factors.max() <= 1.5 + 1e-2


def test_hue_is_shifted_alike_in_an_image() -> None:
    x = images(100, 3, 2, 2)
    one = {"color_jitter": {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0.1}}
    y = augment(x, one)
    shifts = []
    for before, after in zip(x, y, strict=True):
        pixels = zip(before.flatten(1).T.tolist(), after.flatten(1).T.tolist(), strict=True)
        turns = [(colorsys.rgb_to_hsv(*b)[0] - colorsys.rgb_to_hsv(*a)[0] + 0.5) % 1 - 0.5 for a, b in pixels]
        assert max(turns) - min(turns) < 2e-3
        shifts.append(turns[0])
    assert min(shifts) < -0.09
    assert max(shifts) > 0.09
    assert max(map(abs, shifts)) < 0.1 + 2e-3


# -------------------------------------------------------------------- erasing


def test_what_is_erased_is_a_rectangle_of_the_given_share() -> None:
    y = augment(torch.ones(2000, 2, 40, 60), {"random_erasing": {"p": 0.4, "scale": [0.1, 0.3], "ratio": [0.5, 2]}})
    assert torch.equal(y[:, 0], y[:, 1])
    count, areas = 0, []
    for sample in y[:, 0]:
        rows, columns = (sample == 0).any(1), (sample == 0).any(0)
        if not rows.any():
            continue
        count += 1
        h, w = int(rows.sum()), int(columns.sum())
        assert not sample[rows][:, columns].any()
        assert int((sample == 0).sum()) == h * w
        assert int((sample == 1).sum()) == 40 * 60 - h * w
        assert (h - 0.5) * (w - 0.5) <= 0.3 * 2400  # sides are rounded
        assert (h + 0.5) * (w + 0.5) >= 0.1 * 2400
        assert (h + 0.5) / (w - 0.5) >= 0.5
        assert (h - 0.5) / (w + 0.5) <= 2
        areas.append(h * w / 2400)
    assert near(count / 2000, 0.4, 2000)
    assert min(areas) < 0.11
    assert max(areas) > 0.28


# -------------------------------------------------------------------- mixup


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 8.0])
def test_the_share_has_the_moments_of_beta(alpha: float) -> None:
    torch.manual_seed(0)
    mixup = Mixup(alpha)
    drawn = torch.tensor([mixup.draw() for _ in range(6000)], dtype=torch.float64)
    variance = 1 / (4 * (2 * alpha + 1))
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 4 * math.sqrt(variance / 6000)
    fourth = ((drawn - 0.5) ** 4).mean().item()
    assert abs(((drawn - 0.5) ** 2).mean() - variance) < 4 * math.sqrt(max(fourth - variance**2, 1e-6) / 6000)


@pytest.mark.parametrize("alpha", [1e-300, 1e-3, 1e300])
def test_the_share_is_a_number_for_any_alpha(alpha: float) -> None:
    drawn = [Mixup(alpha).draw() for _ in range(200)]
    assert all(0 <= share <= 1 for share in drawn)
    if alpha < 1:  # nearly all of the mass is at both ends
        assert near(sum(share > 0.5 for share in drawn) / 200, 0.5, 200)
        assert sum(0.01 < share < 0.99 for share in drawn) <= 5
    else:
        assert all(abs(share - 0.5) < 1e-6 for share in drawn)


def test_pairs_are_mixed_by_one_share_and_labels_are_not_changed() -> None:
    x, labels = images(6, 2, 3), torch.arange(6) * 10
    torch.manual_seed(4)
    mixed, first, second, share = Mixup(1.0)(x, labels)
    assert first is labels
    order = second // 10
    assert sorted(order.tolist()) == list(range(6))
    for i, j in enumerate(order.tolist()):
        for a, b, m in zip(x[i].flatten().tolist(), x[j].flatten().tolist(), mixed[i].flatten().tolist(), strict=True):
            assert m == pytest.approx(share * a + (1 - share) * b, abs=1e-7)
    torch.manual_seed(4)
    assert torch.equal(Mixup(1.0)(x, labels)[0], mixed)
    torch.manual_seed(5)
    assert Mixup(1.0)(x, labels)[3] != share


def test_several_inputs_and_targets_are_mixed_alike() -> None:
    x = images(5, 4)
    torch.manual_seed(0)
    (a, b), first, (labels, values), _ = Mixup(0.5)((x, 2 * x), (torch.arange(5), torch.arange(5.0)))
    assert torch.equal(b, 2 * a)
    assert torch.equal(first[0], torch.arange(5))
    assert torch.equal(labels.float(), values)
    assert labels.dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_mixup_of_one_sample_is_the_sample_and_types_are_kept(dtype: torch.dtype) -> None:
    x = images(1, 3, 4).to(dtype)
    mixed, *_ = Mixup(0.2)(x, torch.zeros(1))
    assert mixed.dtype == dtype
    assert torch.allclose(mixed, x, rtol=0.02)


def test_alpha_0_is_off_and_draws_nothing() -> None:
    x, labels = images(6, 2, 3), torch.arange(6)
    state = torch.get_rng_state()
    same, first, second, share = Mixup(0)(x, labels)
    assert (same is x, first is labels, second is labels, share) == (True, True, True, 1.0)
    assert torch.equal(state, torch.get_rng_state())
    assert mixup_of(augmentations({"mixup": 0}, "rotation")) is None
    found = mixup_of(augmentations("rotation", {"mixup": 0.3}))
    assert found
    assert found.alpha == 0.3


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("one", "shape", "message"),
    [
        (
            "rotation",
            (2, 128),
            "'rotation' of `train: augment` is for images, and the input, 2x128, has 1 spatial axes",
        ),
        ("random_crop", (8, 9, 9, 9), "'random_crop' of `train: augment` is for images, and the input, 8x9x9x9, has 3"),
        ("color_jitter", (10,), "'color_jitter' of `train: augment` is for images"),
        ("vertical_flip", (2, 128), "mirrors the spatial axis before the last, and the input, 2x128, has 1"),
        ("horizontal_flip", (10,), "mirrors the last spatial axis, and the input, 10, has 0"),
        ({"random_crop": 8}, (1, 8, 9), "pads by 8, and the input is 1x8x9: a crop could be all padding; write a"),
        ({"color_jitter": {"hue": 0.1}}, (1, 8, 8), "changes `hue` of 3 channels, and the input, 1x8x8, has 1; leave"),
        ({"color_jitter": {"hue": 0.1, "saturation": 1}}, (4, 8, 8), "leave `saturation` and `hue` out"),
    ],
)
def test_what_an_input_has_not_is_named(one: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        check_augment(augmentations(one), shape)
    assert message in str(error.value)
    with pytest.raises(UsageError):
        Augment(augmentations(one), shape)


def test_indices_several_inputs_and_maps() -> None:
    with pytest.raises(UsageError, match=r"'mixup' .* indices \(int64\)"):
        check_augment(augmentations("mixup"), (100,), dtype="int64")
    with pytest.raises(UsageError, match=r"'rotation' .* has 2 that belong together"):
        check_augment(augmentations("rotation"), (3, 8, 8), inputs=2)
    with pytest.raises(UsageError, match=r"'horizontal_flip' .* target, which is a map"):
        check_augment(augmentations("horizontal_flip"), (3, 8, 8), maps=True)
    with pytest.raises(UsageError, match="mixup 2 times"):
        check_augment(augmentations("mixup", "mixup"), (3, 8, 8))
    check_augment(augmentations("mixup"), (3, 8, 8), inputs=2, maps=True)
    check_augment(augmentations("color_jitter", "random_erasing"), (3, 8, 8), maps=True)


@pytest.mark.parametrize(
    ("one", "shape"),
    [
        ("color_jitter", (1, 8, 8)),
        ({"color_jitter": {"saturation": 0}}, (2, 8, 8)),
        ({"random_crop": 7}, (1, 8, 9)),
        ("mixup", (10,)),
    ],
)
def test_what_is_defined_is_taken(one: Any, shape: tuple[int, ...]) -> None:
    check_augment(augmentations(one), shape)
    assert augment(images(4, *shape), one).shape == (4, *shape)
