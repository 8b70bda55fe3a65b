"""What outputs say, held against torch's own functions and arithmetic by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

import cnnplan
from cnnplan import UsageError
from cnnplan.runtime.prediction import answers
from cnnplan.runtime.prediction.answers import NOISE, Reading, reading_of
from cnnplan.runtime.training.artifact import Trained

NAMES = ("ant", "bee", "cat", "dog")


def how(kind: str, loss: str = "cross_entropy", names: tuple[str, ...] = NAMES, top: int | None = None) -> Reading:
    return Reading(0, loss, kind, names, top)


def doubles(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_the_likeliest_classes() -> None:
    y = doubles(0.3, 2.5, -1.0, 1.25)
    p = F.softmax(y, 0)
    assert how("classes")(y) == ((("bee", round(p[1].item(), 4)),), True)
    three = how("classes", top=3)(y).pairs
    assert three == (("bee", round(p[1].item(), 4)), ("dog", round(p[3].item(), 4)), ("ant", round(p[0].item(), 4)))
    everything = how("classes", top=99)(y).pairs
    assert everything
    assert len(everything) == 4
    assert sum(n for _, n in everything) == pytest.approx(1, abs=2e-4)
    # log-probabilities are what nll takes
    assert how("classes", "nll", top=3)(F.log_softmax(y, 0)).pairs == three
    # a map of one position is a vector
    assert how("classes", top=3)(y.view(4, 1, 1)).pairs == three


def test_an_equal_score_goes_to_the_first_class() -> None:
    p = round(1 / (2 + math.exp(-2) + math.exp(-3)), 4)
    assert how("classes", top=2)(doubles(1, 3, 0, 3)) == ((("bee", p), ("dog", p)), False)


def test_all_labels_at_or_above_one_half() -> None:
    y = doubles(0.3, -2.5, 0.0, 1.25)
    p = [round(1 / (1 + math.exp(-n)), 4) for n in y.tolist()]
    assert how("labels", "binary_cross_entropy")(y).pairs == (("dog", p[3]), ("ant", p[0]), ("cat", 0.5))
    assert how("labels", "binary_cross_entropy")(-y.abs() - 1).pairs == ()
    assert how("labels", "binary_cross_entropy", top=4)(y).pairs == (
        ("dog", p[3]),
        ("ant", p[0]),
        ("cat", 0.5),
        ("bee", p[1]),
    )


def test_values_have_5_digits() -> None:
    found = how("values", "mse", ("value0", "value1", "value2", "value3"))(doubles(1.234567, -1234567, 0, -1e-30))
    assert found.pairs == (("value0", 1.2346), ("value1", -1234600), ("value2", 0), ("value3", -1e-30))
    assert str(how("values", "mse", ("v",))(doubles(-0.0)).pairs) == "(('v', 0.0),)"


def test_a_map_of_classes_is_shares() -> None:
    y = torch.full((4, 3, 5), -1.0, dtype=torch.float64)
    chosen = torch.tensor([[0, 0, 2, 2, 2], [2, 2, 2, 2, 3], [2, 2, 2, 2, 2]])
    y.scatter_(0, chosen[None], 5.0)
    assert how("shares")(y) == ((("cat", 0.8), ("ant", 0.1333), ("dog", 0.0667)), True)
    assert how("shares", top=1)(y).pairs == (("cat", 0.8),)
    # independent classes: each for itself, at or above one half
    y[3] = 0.5
    assert how("shares", "binary_cross_entropy")(y).pairs == (("dog", 1.0), ("cat", 0.8), ("ant", 0.1333))


def test_a_map_of_values_is_its_range() -> None:
    y = torch.arange(12.0, dtype=torch.float64).view(1, 3, 4)
    found = how("range", "l1", ("mean", "minimum", "maximum"))(y)
    assert found.pairs == (("mean", 5.5), ("minimum", 0), ("maximum", 11))


def test_one_unit_for_two_classes() -> None:
    for logit in (1.5, -0.25):
        p = 1 / (1 + math.exp(-logit))
        both = (("yes", round(p, 4)), ("no", round(1 - p, 4)))
        found = how("classes", "cross_entropy", ("no", "yes"), top=2)(doubles(logit)).pairs
        assert found == (both if logit > 0 else both[::-1])
    y = torch.tensor([[[3.0, -1, -2, -3]]], dtype=torch.float64)
    assert how("shares", "cross_entropy", ("no", "yes"))(y).pairs == (("no", 0.75), ("yes", 0.25))


def test_classes_by_value() -> None:
    y = doubles(0.123456, 1.25, -0.5, 0.25)
    assert how("scores", "mse")(y).pairs == (("bee", 1.25),)
    assert how("scores", "mse", top=3)(y).pairs == (("bee", 1.25), ("dog", 0.25), ("ant", 0.12346))


@pytest.mark.parametrize("kind", ["classes", "labels", "scores", "values", "shares", "range"])
def test_what_is_not_finite_has_no_answer(kind: str) -> None:
    shape = (4, 2, 3) if kind in ("shares", "range") else (4,)
    names = ("mean", "minimum", "maximum") if kind == "range" else NAMES
    loss = {"labels": "binary_cross_entropy", "scores": "mse", "values": "mse", "range": "mse"}.get(
        kind, "cross_entropy"
    )
    for wrong in (math.nan, math.inf):
        y = torch.zeros(shape, dtype=torch.float64)
        y.view(-1)[1] = wrong
        assert how(kind, loss, names)(y).pairs is None
    assert how("classes")(doubles(0, -math.inf, 1, -math.inf)).pairs == (("cat", 0.7311),)
    assert how("values", "mse")(doubles(0, -math.inf, 1, 2)).pairs is None


# -------------------------------------------------------------------- certainty


def moved(y: Tensor, seed: int) -> Tensor:
    """As a batch of another size would have it: off by less than the noise that is allowed for."""
    random = torch.Generator().manual_seed(seed)
    return y + (torch.rand(y.shape, generator=random, dtype=torch.float64) * 2 - 1) * y.abs().max() * NOISE


@pytest.mark.parametrize(
    "reading",
    [
        how("classes", top=3),
        how("classes", "nll", top=2),
        how("labels", "binary_cross_entropy"),
        how("labels", "binary_cross_entropy", top=2),
        how("shares"),
        how("shares", "binary_cross_entropy"),
    ],
    ids=str,
)
def test_noise_changes_no_answer_that_is_sure(reading: Reading) -> None:
    """Answers that are sure are the same from whatever batch; the others are not all."""
    torch.manual_seed(0)
    shape = (4, 3, 3) if reading.kind == "shares" else (4,)
    sure, changed = 0, 0
    for trial in range(400):
        y = torch.randn(shape, dtype=torch.float64) * 3
        if trial % 4 == 0:  # ties, and numbers between two roundings
            y = (y * 2).round() / 2 + 5e-5
        if reading.loss == "nll":
            y = F.log_softmax(y, 0)
        answer = reading(y)
        others = [reading(moved(y, seed)).pairs for seed in range(8)]
        if answer.sure:
            sure += 1
            assert others == [answer.pairs] * 8
        else:
            changed += others != [answer.pairs] * 8
    assert sure > 200
    assert changed


def test_ties_and_thresholds_are_never_sure() -> None:
    assert how("classes")(doubles(5, 4, 3, 1)).sure
    assert not how("classes")(doubles(5, 5 - 1e-6, 3, 1)).sure
    assert how("classes")(doubles(5, 3, 3, 1)).sure  # the tie is behind those that are printed
    assert not how("classes", top=2)(doubles(5, 3, 3, 1)).sure
    assert how("labels", "binary_cross_entropy")(doubles(5, -4, 1.2e-3, 2)).sure
    assert not how("labels", "binary_cross_entropy")(doubles(5, -4, 1e-6, 2)).sure
    assert not how("labels", "binary_cross_entropy")(doubles(5, -4, -1e-6, 2)).sure
    assert not how("values", "mse")(doubles(1, 1, 1, 1)).sure
    y = torch.zeros(4, 2, 2, dtype=torch.float64)
    y[0] = 1
    assert how("shares")(y).sure
    y[1, 0, 0] = 1 - 1e-6
    assert not how("shares")(y).sure


# ------------------------------------------------------------- which, and how


def read(layers: str, train: str = "", trained: Trained | None = None, top: int | None = None, **spec: str) -> Reading:
    text = f"cnnplan: 1\nname: n\ninput: {spec.get('input', '[3, 8, 8]')}\nlayers: {layers}\n"
    text += f"outputs: {spec['outputs']}\n" if "outputs" in spec else ""
    return reading_of(cnnplan.plan(text + (f"train: {train}\n" if train else "")), trained, top)


def trained(classes: int = 0, loss: str | None = None) -> Trained:
    return Trained(tuple(f"c{i}" for i in range(classes)), (), (), "n", loss)


def test_the_loss_says_how_it_is_read() -> None:
    dense = "[{conv: {out_channels: 4, kernel_size: 3}}]"
    vector = "[flatten, {linear: 4}]"
    kinds: dict[tuple[str, str], Any] = {
        (vector, "cross_entropy"): ("classes", ("0", "1", "2", "3")),
        (vector, "nll"): ("classes", ("0", "1", "2", "3")),
        (vector, "binary_cross_entropy"): ("labels", ("0", "1", "2", "3")),
        (vector, "mse"): ("values", ("value0", "value1", "value2", "value3")),
        ("[flatten, {linear: 1}]", "l1"): ("values", ("value",)),
        (dense, "cross_entropy"): ("shares", ("0", "1", "2", "3")),
        (dense, "binary_cross_entropy"): ("shares", ("0", "1", "2", "3")),
        (dense, "l1"): ("range", ("mean", "minimum", "maximum")),
        ("[{conv: {out_channels: 4, kernel_size: 8}}]", "cross_entropy"): ("classes", ("0", "1", "2", "3")),
    }
    for (layers, loss), (kind, names) in kinds.items():
        found = read(layers, f"{{loss: {loss}}}")
        assert (found.kind, found.names, found.loss, found.output) == (kind, names, loss, 0)
        assert read(layers, "", trained(loss=loss))[:4] == found[:4]
    assert read(vector).loss == "cross_entropy"
    assert read(vector, "{loss: mse}", trained(loss="nll")).kind == "classes"
    assert read(vector, "", trained(4)).names == ("c0", "c1", "c2", "c3")
    assert read(vector, "", trained(4), top=2).top == 2
    assert read(vector, "{loss: mse}", trained(4, "mse"), top=2)[2:4] == ("scores", ("c0", "c1", "c2", "c3"))
    assert read(dense, "{loss: mse}", trained(4, "mse")).kind == "range"
    single = "[flatten, {linear: 1}]"
    two = read(single, "{loss: binary_cross_entropy}", trained(2, "binary_cross_entropy"))
    assert (two.kind, two.loss, two.names) == ("classes", "cross_entropy", ("c0", "c1"))
    assert read(single, "{loss: binary_cross_entropy}", trained(1, "binary_cross_entropy")).kind == "labels"
    assert read(single, "{loss: mse}", trained(2, "mse"))[2:4] == ("values", ("value",))


def test_of_several_outputs_the_first_with_a_loss() -> None:
    layers = "[{conv: {out_channels: 2, kernel_size: 3}, name: map}, flatten, {linear: 5, name: head}]"
    found = read(layers, "{loss: {head: cross_entropy}}", outputs="[map, head]")
    assert (found.output, found.kind, len(found.names)) == (1, "classes", 5)
    assert read(layers, "{loss: {map: mse, head: cross_entropy}}", outputs="[map, head]").output == 0


def test_what_does_not_go_together() -> None:
    with pytest.raises(
        UsageError, match=r"^output 'linear1' \(line 4\) gives 4 classes, and the weights were trained "
    ):
        read("[flatten, {linear: 4}]", "", trained(7))
    with pytest.raises(UsageError, match=r"for 7 \(c0, c1, c2, …\): they belong to another spec$"):
        read("[flatten, {linear: 4}]", "", trained(7))
    with pytest.raises(UsageError, match=r"^--top is about classes, and 'linear1' of 'n' gives values \(mse\)$"):
        read("[flatten, {linear: 4}]", "{loss: mse}", top=2)
    assert answers.DECIMALS == 4
