"""Predictions against forward passes and preprocessing that are written out by hand."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan import UsageError
from cnnplan.runtime.prediction import answers
from cnnplan.runtime.prediction.ahead import loaded
from cnnplan.runtime.prediction.given import Item, listed
from cnnplan.runtime.prediction.images import Unreadable
from cnnplan.runtime.prediction.predict import Prediction, Predictor
from cnnplan.runtime.training.artifact import Trained, save

PHOTOS = """\
cnnplan: 1
name: photos
input: [3, 12, 16]
layers:
  - conv: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1}
  - batchnorm
  - relu
  - dropout: 0.5
  - flatten
  - linear: 5
"""
CLASSES = ("ant", "bee", "cat", "dog", "eel")
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def made(text: str, path: Path, trained: Trained | None, seed: int = 0) -> tuple[Any, dict[str, Tensor]]:
    """A plan, and weights in a file: random ones, also of what norms have seen."""
    torch.manual_seed(seed)
    plan = cnnplan.plan(text)
    state = cnnplan.build(plan).state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            state[name] = tensor + 0.1 * torch.randn(tensor.shape)
        if name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape) + 0.5
    if trained:
        save(path, state, trained)
    else:
        torch.save(state, path)
    return plan, state


def photos(path: Path) -> tuple[Any, dict[str, Tensor]]:
    return made(PHOTOS, path, Trained(CLASSES, (MEAN,), (STD,), "photos", "cross_entropy"))


def forward(w: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network of `PHOTOS` in evaluation, [B, 3, 12, 16] to logits [B, 5]."""
    x = F.conv2d(x, w["conv1.weight"], w["conv1.bias"], stride=2, padding=1)
    seen = x - w["batchnorm1.running_mean"].view(-1, 1, 1)
    x = seen / (w["batchnorm1.running_var"].view(-1, 1, 1) + 1e-5).sqrt()
    x = x * w["batchnorm1.weight"].view(-1, 1, 1) + w["batchnorm1.bias"].view(-1, 1, 1)
    return F.linear(x.clamp_min(0).flatten(1), w["linear1.weight"], w["linear1.bias"])


def entered(path: Path) -> Tensor:
    """An image as it enters the network of `PHOTOS`, in double precision."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((16, 12), Image.Resampling.BILINEAR)).astype(np.float64)
    return torch.from_numpy((pixels / 255 - MEAN) / STD).permute(2, 0, 1).float()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """45 photos of several sizes and formats."""
    random = np.random.default_rng(0)
    found = []
    for i in range(45):
        path = tmp_path / f"{i:02}.{('png', 'jpg', 'bmp')[i % 3]}"
        Image.fromarray(random.integers(0, 256, (10 + i, 40 - i // 2, 3), dtype=np.uint8)).save(path)
        found.append(str(path))
    return found


def predicted(predictor: Predictor, files: list[str], batch: int = 32) -> list[Prediction]:
    found = list(predictor(files, batch))
    assert all(isinstance(one, Prediction) for one in found), found
    return found  # type: ignore[return-value]


def test_photos_are_what_a_forward_pass_by_hand_says(tmp_path: Path, files: list[str]) -> None:
    plan, weights = photos(tmp_path / "w.safetensors")
    logits = forward(weights, torch.stack([entered(Path(file)) for file in files]))
    expected = F.softmax(logits.double(), 1).sort(descending=True)
    found = predicted(Predictor(plan, tmp_path / "w.safetensors", "cpu", top=5), files)
    assert [(one.path, one.number) for one in found] == [(file, None) for file in files]
    for one, numbers, order in zip(found, expected.values, expected.indices, strict=True):
        assert [name for name, _ in one.pairs] == [CLASSES[i] for i in order]
        assert [n for _, n in one.pairs] == pytest.approx(numbers.tolist(), abs=5.1e-5)
        assert all(n == round(n, 4) for _, n in one.pairs)
    assert len({one.pairs[0][0] for one in found}) > 2


@pytest.mark.parametrize("alone", [True, False])
def test_neither_the_batch_nor_other_files_change_a_digit(tmp_path: Path, files: list[str], alone: bool) -> None:
    plan, _ = photos(tmp_path / "w.safetensors")
    predictor = Predictor(plan, tmp_path / "w.safetensors", "cpu", top=5)
    predictor.alone = alone
    expected = {one.path: one.pairs for file in files for one in predicted(predictor, [file], 1)}
    for batch in (1, 3, 32):
        for given in (files, files[::-1], files[5:20]):
            assert {one.path: one.pairs for one in predicted(predictor, given, batch)} == {
                file: expected[file] for file in given
            }


class Noisy(nn.Module):
    """A network whose outputs depend on how many samples there are, as those of kernels do."""

    def __init__(self, model: nn.Module, size: float) -> None:
        super().__init__()
        self.model, self.size = model, size
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        assert not y.requires_grad
        self.batches.append(len(x))
        noise = torch.linspace(-1, 1, y.numel()).view_as(y) * math.sin(len(x) - 1)
        return y + noise * self.size * y.abs().amax(1, keepdim=True)


def test_kernels_that_depend_on_the_batch(tmp_path: Path, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = photos(tmp_path / "w.safetensors")
    predictor = Predictor(plan, tmp_path / "w.safetensors", "cpu", top=5)
    predictor.alone = False  # as on CUDA
    predictor.model = noisy = Noisy(predictor.model, 0.8 * answers.NOISE)
    alone = predicted(predictor, files, 1)
    noisy.batches.clear()
    for batch in (2, 3, 32):
        assert predicted(predictor, files, batch) == alone
    assert {2, 3, 32} < set(noisy.batches)
    assert 3 * 45 > noisy.batches.count(1) > 0  # what is in doubt is asked for again
    monkeypatch.setattr(answers, "NOISE", 0.0)
    assert any(predicted(predictor, files, batch) != alone for batch in (2, 3, 32))


def test_gray_images(tmp_path: Path) -> None:
    plan, weights = made(
        "cnnplan: 1\nname: gray\ninput: [1, 4, 6]\nlayers: [flatten, {linear: 3}]\n",
        tmp_path / "w.safetensors",
        Trained(("a", "b", "c"), ((0.3,),), ((0.5,),), "gray", "nll"),
    )
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    x = (pixels.astype(np.float64) / 255 - 0.3) / 0.5
    y = weights["linear1.weight"].double().numpy() @ x.reshape(-1) + weights["linear1.bias"].double().numpy()
    (found,) = predicted(Predictor(plan, tmp_path / "w.safetensors", "cpu", top=3), [str(tmp_path / "a.png")])
    p = np.exp(y) / np.exp(y).sum()
    assert dict(found.pairs) == pytest.approx(dict(zip("abc", p, strict=True)), abs=5.1e-5)


def test_arrays_of_bytes_and_floats_of_another_size(tmp_path: Path) -> None:
    """Floats go in without division, bytes as 0…1; both are resized as torch resizes."""
    plan, weights = photos(tmp_path / "w.safetensors")
    random = np.random.default_rng(2)
    native = random.integers(0, 256, (3, 3, 12, 16), dtype=np.uint8)
    larger = random.integers(0, 256, (2, 3, 30, 20), dtype=np.uint8)
    floats = random.uniform(0, 1, (2, 3, 12, 16)).astype(np.float32)
    np.save(tmp_path / "a.npy", native)
    np.savez(tmp_path / "b.npz", x=larger)
    np.save(tmp_path / "c.npy", floats)
    shrunk = F.interpolate(torch.from_numpy(larger / 255), (12, 16), mode="bilinear", antialias=True)
    x = torch.cat([torch.from_numpy(native / 255), shrunk, torch.from_numpy(floats).double()])
    x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    expected = F.softmax(forward(weights, x.float()).double(), 1)
    predictor = Predictor(plan, tmp_path / "w.safetensors", "cpu", top=5)
    names = [str(tmp_path / name) for name in ("a.npy", "b.npz", "c.npy")]
    for predictor.alone in (True, False):
        found = predicted(predictor, names, 4)
        assert [one.number for one in found] == [0, 1, 2, 0, 1, 0, 1]
        assert [one.path for one in found] == [names[0]] * 3 + [names[1]] * 2 + [names[2]] * 2
        for one, numbers in zip(found, expected, strict=True):
            assert dict(one.pairs) == pytest.approx(dict(zip(CLASSES, numbers.tolist(), strict=True)), abs=5.1e-5)


def test_several_inputs_tokens_and_values(tmp_path: Path) -> None:
    plan, weights = made(
        "cnnplan: 1\nname: two\ninputs: {words: {shape: [5], dtype: int64}, extra: [2]}\nlayers:\n"
        "  - embedding: {num_embeddings: 7, embedding_dim: 3}\n    from: words\n  - flatten\n"
        "  - concat:\n    from: [previous, extra]\n  - linear: 2\ntrain: {loss: mse}\n",
        tmp_path / "w.safetensors",
        Trained((), ((), (2.0, 3.0)), ((), (0.5, 4.0)), "two", "mse"),
    )
    words, extra = torch.randint(0, 7, (6, 5)), torch.randn(6, 2)
    np.savez(tmp_path / "a.npz", words=words.numpy().astype(np.int32), extra=extra.double().numpy())
    vectors = weights["embedding1.weight"][words].transpose(1, 2).flatten(1)
    x = torch.cat([vectors, (extra - torch.tensor([2.0, 3.0])) / torch.tensor([0.5, 4.0])], 1)
    expected = F.linear(x, weights["linear1.weight"], weights["linear1.bias"])
    found = predicted(Predictor(plan, tmp_path / "w.safetensors", "cpu"), [str(tmp_path / "a.npz")], 4)
    for one, numbers in zip(found, expected.tolist(), strict=True):
        assert [name for name, _ in one.pairs] == ["value0", "value1"]
        assert [n for _, n in one.pairs] == pytest.approx(numbers, rel=6e-5)


def test_maps_of_the_output_that_has_a_loss(tmp_path: Path) -> None:
    plan, weights = made(
        "cnnplan: 1\nname: maps\ninput: [3, 12, 16]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n"
        "    name: map\n  - global_avgpool\n  - linear: {out_features: 2}\n    name: head\noutputs: [head, map]\n"
        "train: {loss: {map: cross_entropy}}\n",
        tmp_path / "w.pt",
        None,
    )
    np.save(tmp_path / "a.npy", x := torch.randn(3, 12, 16).numpy())
    y = F.conv2d(torch.from_numpy(x)[None], weights["map.weight"], weights["map.bias"])[0]
    counts = [(y.argmax(0) == i).float().mean().item() for i in range(4)]
    predictor = Predictor(plan, tmp_path / "w.pt", "cpu")
    (found,) = predicted(predictor, [str(tmp_path / "a.npy")])
    assert found.number is None
    assert dict(found.pairs) == pytest.approx({str(i): n for i, n in enumerate(counts) if n}, abs=5.1e-5)
    assert [n for _, n in found.pairs] == sorted((n for _, n in found.pairs), reverse=True)
    said = "says nothing of classes and normalization: classes are numbers, and bytes go in as 0…1"
    assert predictor.notices == [f"{tmp_path / 'w.pt'} {said}"]


def test_what_cannot_be_read_is_given_in_its_place(tmp_path: Path, files: list[str]) -> None:
    plan, _ = photos(tmp_path / "w.safetensors")
    (tmp_path / "bad.png").write_text("nonsense")
    np.save(tmp_path / "bad.npy", np.zeros((2, 4, 4)))
    np.save(tmp_path / "nan.npy", np.full((2, 3, 12, 16), np.nan))
    bad, array, nan = (str(tmp_path / name) for name in ("bad.png", "bad.npy", "nan.npy"))
    given = [bad, files[0], bad, array, *files[1:4], nan, files[4], bad]
    predictor = Predictor(plan, tmp_path / "w.safetensors", "cpu")
    for batch in (1, 2, 32):
        found = list(predictor(given, batch))
        assert [isinstance(one, Unreadable) for one in found] == [1, 0, 1, 1, 0, 0, 0, 1, 0, 1]
        assert [one.path for one in found] == given
    assert len(list(predictor([bad, array]))) == 2
    assert list(predictor([])) == []


def test_outputs_that_are_not_finite(tmp_path: Path) -> None:
    plan, _ = photos(tmp_path / "w.safetensors")
    np.save(tmp_path / "a.npy", np.stack([np.zeros((3, 12, 16)), np.full((3, 12, 16), 1e38), np.zeros((3, 12, 16))]))
    predictor = Predictor(plan, tmp_path / "w.safetensors", "cpu")
    for predictor.alone in (True, False):
        first, second, third = predictor([str(tmp_path / "a.npy")])
        assert isinstance(first, Prediction)
        assert isinstance(third, Prediction)
        assert isinstance(second, Unreadable)
        assert str(second) == f"cannot read {tmp_path / 'a.npy'}[1]: the network's output for it is not finite"


def test_so_many_at_most_are_read_ahead() -> None:
    started: list[int] = []

    def read(number: int) -> tuple[Tensor, ...]:
        started.append(number)
        return (torch.zeros(1),)

    def several() -> Iterator[Item]:
        for i in range(50):
            yield Item("a", i, partial(read, i))

    for count, one in enumerate(loaded(several(), 6), 1):
        assert one.item
        assert one.item.number == count - 1
        assert len(started) <= count + 6
    assert sorted(started) == list(range(50))


def test_what_is_not_of_this_network(tmp_path: Path) -> None:
    plan, weights = photos(tmp_path / "w.safetensors")
    path = tmp_path / "w.safetensors"
    for trained, said in (
        (
            Trained(("a", "b"), (MEAN,), (STD,), "n", None),
            r"gives 5 classes, and the weights were trained for 2 \(a, b\)",
        ),
        (Trained(CLASSES, ((0.5, 0.5),), ((1.0, 1.0),), "n", None), r"has means of \[2\] channels, and .* have \[3\]"),
        (Trained(CLASSES, (), (), "n", None), r"has means of \[\] channels, and the inputs of 'photos' have \[3\]"),
    ):
        save(path, weights, trained)
        with pytest.raises(UsageError, match=said):
            Predictor(plan, path, "cpu")
    save(path, {**weights, "conv1.weight": torch.zeros(8, 1, 3, 3)}, Trained((), (MEAN,), (STD,), "n", None))
    with pytest.raises(UsageError, match=r"^layer 'conv1' \(line 5\): weight is 8x3x3x3 in the spec, 8x1x3x3 in "):
        Predictor(plan, path, "cpu")
    assert not torch.cuda.is_available()
    with pytest.raises(UsageError, match=r"^there is no CUDA device here; predict with --device cpu$"):
        Predictor(plan, path, "cuda")


def test_notices(tmp_path: Path) -> None:
    plan, weights = photos(tmp_path / "w.safetensors")
    path = tmp_path / "w.safetensors"
    assert Predictor(plan, path).notices == []
    weights["linear1.bias"][0] = math.nan
    save(path, weights, Trained(CLASSES, (MEAN,), (STD,), "photos", "binary_cross_entropy"))
    predictor = Predictor(plan, path)
    assert predictor.reading.kind == "labels"
    assert predictor.notices == [
        f"1 tensor of {path} has NaN or infinite numbers, first in layer 'linear1' (line 10)",
        f"{path} was trained with binary_cross_entropy, which counts here, and not cross_entropy as the spec says",
    ]


# ------------------------------------------------------------------------- files


def test_the_files_of_folders(tmp_path: Path) -> None:
    plan = cnnplan.plan(PHOTOS)
    for name in ("b.png", "a.JPG", "sub/c.webp", "sub/.hidden.png", ".h/d.png", "notes.txt", "m.npy", "sub.png/e.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    found = listed([str(tmp_path)], plan)
    names = [str(Path(path).relative_to(tmp_path)) for path in found.read]
    assert names == ["a.JPG", "b.png", "link.png", "sub/c.webp", "sub.png/e.bmp"]
    assert [Path(path).name for path in found.others] == ["m.npy", "notes.txt"]
    twice = [str(tmp_path / "b.png"), str(tmp_path / "notes.txt"), str(tmp_path / "b.png"), str(tmp_path)]
    assert [Path(path).name for path in listed(twice, plan).read][:3] == ["b.png", "notes.txt", "a.JPG"]
    signals = cnnplan.plan("cnnplan: 1\nname: s\ninput: [2, 16]\nlayers: [flatten, {linear: 3}]\n")
    assert [Path(path).name for path in listed([str(tmp_path)], signals).read] == ["m.npy"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.png", "cannot read none.png: no such file or directory"),
        ("", "cannot read an empty path: no such file or directory"),
        ("a\0b", "cannot read a\\x00b: "),
        ("texts", "no images in texts: it has 'a.txt', 'b.txt'"),
        ("empty", "no images in empty"),
    ],
)
def test_paths_that_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("texts", "empty"):
        Path(folder).mkdir()
    Path("texts/a.txt").write_text("")
    Path("texts/b.txt").write_text("")
    with pytest.raises(UsageError) as caught:
        listed([path], cnnplan.plan(PHOTOS))
    assert str(caught.value).startswith(said)


def test_images_for_a_network_that_takes_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("")
    for shape in ("[2, 16]", "[4, 8, 8]", "[3, 8, 8, 8]"):
        plan = cnnplan.plan(f"cnnplan: 1\nname: s\ninput: {shape}\nlayers: [flatten, {{linear: 3}}]\n")
        with pytest.raises(UsageError, match=r"^'s' takes 'input' [\dx]+, no images: give .npy or .npz, not .*a\.png$"):
            listed([str(tmp_path / "a.png")], plan)
        with pytest.raises(UsageError, match=r"^no .npy or .npz files in "):
            listed([str(tmp_path)], plan)
