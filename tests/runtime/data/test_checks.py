"""What is said of data that do not fit a network, and where; and what is done about those that nearly do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch

import cnnplan
from cnnplan.errors import UsageError
from cnnplan.runtime.data import open_data
from cnnplan.runtime.data.arrays import Arrays
from cnnplan.runtime.data.base import Data
from cnnplan.runtime.data.checks import check, fitted
from tests.runtime.data.files import photos
from tests.runtime.data.networks import classifier, network

if TYPE_CHECKING:
    from pathlib import Path

    from cnnplan.planning import Plan


def refused(plan: Plan, name: str = "digits") -> str:
    with pytest.raises(UsageError) as error:
        open_data(name, plan, 0)
    return str(error.value)


# ------------------------------------------------------------------ names of data


def test_names_that_are_no_data(tmp_path: Path) -> None:
    plan = classifier()
    known = "known are digits, folder:PATH, npz:PATH, torchvision:NAME, hf:NAME"
    assert refused(plan, "mnist") == f"there are no data 'mnist'; {known}"
    assert refused(plan, "") == f"there are no data ''; {known}"
    assert refused(plan, "a\x1b[0m") == f"there are no data 'a\\x1b[0m'; {known}"
    assert refused(plan, "Folder:x") == "there are no data 'Folder:x'; did you mean 'folder'?"
    assert refused(plan, "folder") == "--data takes folder:PATH, not 'folder'"
    assert refused(plan, "npz:") == "--data takes npz:PATH, not 'npz:'"
    assert refused(plan, "digits:") == "--data takes digits, not 'digits:'"
    path = str(tmp_path)
    assert refused(plan, path) == f"there are no data '{path}'; for the images in it write folder:{path}"
    assert refused(plan, "a/x.npz") == "there are no data 'a/x.npz'; for its arrays write npz:a/x.npz"


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert refused(classifier()) == "this needs sklearn: pip install 'cnnplan[train]'"


# ------------------------------------------------------------------------- inputs


def test_channels_and_their_place() -> None:
    assert refused(classifier(3)) == "<text>:3: the input has 3 channels, the images have 1: write `input: [1, 8, 8]`"
    plan = network("variables: {channels: 3}\ninput: [=channels, 8, 8]\nlayers:\n  - global_avgpool\n  - linear: 10")
    assert refused(plan).endswith(": the input has 3 channels, the images have 1: write `--set channels=1`")


def test_the_path_of_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("cnnplan: 1\nname: n\ninput: [3, 8, 8]\nlayers:\n  - flatten\n  - linear: 10\n")
    assert refused(cnnplan.plan(path)).startswith(f"{path}:3: the input has 3 channels")


def test_sizes() -> None:
    assert open_data("digits", classifier(size=(16, 16)), 0).notices == ("images are resized from 8x8 to 16x16",)
    assert open_data("digits", classifier(size=(16, 8)), 0).notices == ("images are stretched from 8x8 to 16x8",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "input: [64]\nlayers:\n  - linear: 10",
            "<text>:3: the input is a vector of 64, the images are 1x8x8: write `input: [1, 8, 8]`, and `flatten`",
        ),
        (
            "input: [1, 64]\nlayers:\n  - flatten\n  - linear: 10",
            "<text>:3: the input is 1x64, the images are 1x8x8",
        ),
        (
            "input: {shape: [64], dtype: int64}\nlayers:\n  - embedding: {num_embeddings: 9, embedding_dim: 2}\n"
            "  - flatten\n  - linear: 10",
            "<text>:3: the input takes integers (int64), the data are numbers",
        ),
        (
            "inputs: {a: [1, 8, 8], b: [1, 8, 8]}\nlayers:\n  - concat:\n    from: [a, b]\n  - flatten\n  - linear: 10",
            "<text>:3: the network has 2 inputs, 'a', 'b', the data have 1; `npz:FILE` takes an array for each",
        ),
    ],
)
def test_inputs_of_another_kind(text: str, message: str, tmp_path: Path) -> None:
    assert refused(network(text)) == message
    said = refused(network(text), f"folder:{photos(tmp_path)}")
    assert said.partition(",")[0] == message.partition(",")[0]


# ------------------------------------------------------------------------ classes


def test_the_number_of_classes_and_its_place() -> None:
    """The layer that has the number, through what only hands it on; a variable where one does it."""
    plan = classifier(classes=1000)
    assert refused(plan) == (
        "<text>:9: 'linear1' gives 1,000 classes, the data have 10 (0, 1, 2 …): write `--set classes=10`"
    )
    plan = network(
        "input: [1, 8, 8]\nlayers:\n  - conv: {out_channels: 7, kernel_size: 3}\n  - relu\n  - global_avgpool"
    )
    assert refused(plan) == "<text>:5: 'conv1' gives 7 classes, the data have 10 (0, 1, 2 …): change it to 10"
    plan = network("input: [1, 8, 8]\nlayers:\n  - flatten\n  - relu")
    assert refused(plan).startswith("<text>:6: 'relu1' gives 64 classes, the data have 10")


def test_a_variable_that_only_looks_like_it() -> None:
    """`width` is 7, too, but what gives the classes does not depend on it; `kinds` does, inside a block."""
    text = (
        "input: [1, 8, 8]\nvariables: {{width: 7, kinds: 7}}\nblocks:\n  head:\n    params: {{out: int}}\n"
        "    layers:\n      - global_avgpool\n      - linear: =out\n"
        "layers:\n  - conv: {{out_channels: =width, kernel_size: 3}}\n  - head: {}"
    )
    assert refused(network(text.format("=kinds"))).endswith("(0, 1, 2 …): write `--set kinds=10`")
    assert refused(network(text.format(7))).endswith("(0, 1, 2 …): change it to 10")
    assert refused(network(text.format("=kinds + 1"))).endswith("(0, 1, 2 …): change it to 10")


def test_a_variable_of_classes_comes_first() -> None:
    plan = network(
        "input: [1, 8, 8]\nvariables: {a: 7, classes: 7}\nlayers:\n  - flatten\n  - linear: '=max(a, classes)'"
    )
    assert refused(plan).endswith("(0, 1, 2 …): write `--set classes=10`")


def test_a_variable_that_was_set() -> None:
    plan = cnnplan.plan(
        "cnnplan: 1\nname: n\ninput: [1, 8, 8]\nvariables: {classes: 10}\nlayers:\n  - flatten\n  - linear: =classes\n",
        variables={"classes": 5},
        input_size=(16, 16),
    )
    assert refused(plan).endswith("'linear1' gives 5 classes, the data have 10 (0, 1, 2 …): write `--set classes=10`")


def test_few_classes_are_all_named(tmp_path: Path) -> None:
    photos(tmp_path, ["a", "b", "c"])
    assert "the data have 3 (a, b, c): " in refused(classifier(classes=9), f"folder:{tmp_path}")


def test_each_output_with_a_loss() -> None:
    text = (
        "input: [1, 8, 8]\nlayers:\n  - flatten\n  - linear: 10\n    name: main\n  - linear: {}\n    name: other\n"
        "    from: main\noutputs: [main, other]\n{}"
    )
    assert open_data("digits", network(text.format(10, "")), 0).targets == ("",)
    assert refused(network(text.format(9, ""))).startswith("<text>:8: 'other' gives 9 classes, the data have 10")
    assert open_data("digits", network(text.format(9, "train: {loss: {main: cross_entropy}}")), 0).targets == ("",)


# ------------------------------------------------------------------------- losses


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse", "l1", "nll"])
def test_classes_do_for_other_losses(loss: str) -> None:
    data = open_data("digits", classifier(loss=loss), 0)
    assert (data.targets, len(data.classes)) == (("",), 10)
    assert refused(classifier(classes=9, loss=loss)).startswith("<text>:9: 'linear1' gives 9 classes, the data have 10")


def test_two_classes_of_one_number(tmp_path: Path) -> None:
    photos(tmp_path)
    data = open_data(f"folder:{tmp_path}", classifier(classes=1, loss="binary_cross_entropy"), 0)
    assert data.train.__getitems__([0]).targets[0].dtype == torch.int64
    assert refused(classifier(classes=1), f"folder:{tmp_path}") == (
        "<text>:9: 'linear1' gives 1 class, the data have 2 (cat, dog): write `--set classes=2`"
    )


AUTOENCODER = (
    "input: [1, 8, 8]\nlayers:\n  - conv: {{out_channels: 3, kernel_size: 3, padding: 1}}\n"
    "  - conv: {{out_channels: {}, kernel_size: 1}}\n{}"
)


def test_an_autoencoder_needs_no_classes(tmp_path: Path) -> None:
    """Whatever the data: its target is its input."""
    plan = network(AUTOENCODER.format(1, "train: {loss: mse}"))
    photos(tmp_path)
    for name in ("digits", f"folder:{tmp_path}"):
        data = open_data(name, plan, 0)
        assert (data.classes, data.targets, data.train.labels) == ((), (), None)
        assert data.train.__getitems__([0, 1]).targets == ()
        assert data.notices == ("the classes are not used: the network is trained to give its input back",)
    assert refused(network(AUTOENCODER.format(1, ""))) == (
        "<text>:6: 'conv2' gives 1x8x8, the data have one class for each sample: "
        "to have it give its input back, write `train: {loss: mse}`"
    )
    assert refused(network(AUTOENCODER.format(2, "train: {loss: mse}"))) == (
        "<text>:6: 'conv2' gives 2x8x8, the data have one class for each sample: targets of that shape are needed"
    )


@pytest.mark.parametrize(("size", "targets"), [(3, ("",)), (4, ())])
def test_vectors_are_given_back_unless_there_are_as_many_classes(size: int, targets: tuple[str, ...]) -> None:
    plan = network(f"input: [{size}]\nlayers:\n  - linear: {size}\ntrain: {{loss: mse}}")
    labels = torch.arange(6) % 3
    samples = Arrays((torch.zeros(6, size),), (labels,), labels)
    data = Data("given", samples, None, samples, ("a", "b", "c"), ("",), ((size,),), (), "")
    found = fitted(data, plan)
    assert found.targets == targets
    assert len(found.test.__getitems__([0]).targets) == len(targets)


def test_no_loss_at_all() -> None:
    plan = network("input: {shape: [8], dtype: int64}\nlayers:\n  - identity")
    said = "<text>: no output has a loss, so there is nothing to train"
    assert refused(plan) == refused(plan, "folder:/nowhere") == said


def test_targets_by_name() -> None:
    """What a program gives, without a file: each output with a loss has its own."""
    plan = network(
        "input: [4]\nlayers:\n  - linear: 3\n    name: kind\n  - linear: 2\n    name: place\n    from: input\n"
        "outputs: [kind, place]\ntrain: {loss: {kind: cross_entropy, place: mse}}"
    )
    x, kind, place = torch.zeros(5, 4), torch.zeros(5, dtype=torch.int64), torch.zeros(5, 2)

    def said(targets: tuple[torch.Tensor, ...], names: tuple[str, ...]) -> str:
        data = Data("given", Arrays((x,), targets), None, None, (), names, ((4,),), (), "")
        try:
            return " ".join(check(data, plan))
        except UsageError as error:
            return str(error)

    assert said((kind, place), ("kind", "place")) == ""
    assert said((place, kind), ("place", "kind")) == ""
    assert said((kind,), ("kind",)) == (
        "<text>:7: 'place' is output 'place' with the loss mse, for which the data have no targets, only 'kind'"
    )
    assert said((kind, place, kind), ("kind", "place", "other")) == "<text> has no output 'other'"
    assert said((place, kind), ("kind", "place")) == (
        "<text>:5: 'kind' is trained with cross_entropy, which takes classes; the targets are torch.float32"
    )
    assert said((kind, place[:, :1]), ("kind", "place")) == "<text>:7: 'place' gives 2, the targets are 1"
    assert said((kind, kind[:, None].expand(5, 2)), ("kind", "place")) == (
        "<text>:7: 'place' is trained with mse, which takes numbers; the targets are maps of classes"
    )
