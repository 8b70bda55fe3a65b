"""Losses and measures against hand arithmetic."""

import pytest
import torch
from torch import Tensor

import cnnplan
from cnnplan.runtime.training.measures import Measures
from cnnplan.runtime.training.objective import Objective
from cnnplan.runtime.training.recipe import recipe_of

HEAD = "cnnplan: 1\nname: n\ninput: [3, 4, 4]\nlayers:\n"
VECTOR = HEAD + "  - flatten\n  - linear: {units}\n    name: out\n"
MAP = HEAD + "  - conv: {{out_channels: {units}, kernel_size: 1}}\n    name: out\n"
torch.manual_seed(0)
X = torch.rand(5, 3, 4, 4)


def objective(text: str, loss: object, targets: tuple[str, ...] = ("",)) -> Objective:
    plan = cnnplan.plan(f"{text}train: {{loss: {loss}}}\n")
    return Objective(plan.graph, recipe_of(plan).losses, targets)


def log_softmax(y: Tensor) -> Tensor:
    return y - y.exp().sum(1, keepdim=True).log()


def test_cross_entropy_and_its_smoothing() -> None:
    y, aim = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    picked = -log_softmax(y)[range(5), aim]
    assert objective(VECTOR.format(units=4), "cross_entropy")([y], [X], [aim]) == pytest.approx(picked.mean().item())
    smooth = objective(VECTOR.format(units=4), "{cross_entropy: {label_smoothing: 0.1}}")([y], [X], [aim])
    even = -log_softmax(y).mean(1)
    assert smooth == pytest.approx((0.9 * picked + 0.1 * even).mean().item(), rel=1e-5)


def test_nll_takes_log_probabilities() -> None:
    y, aim = log_softmax(torch.randn(5, 4)), torch.tensor([0, 3, 1, 1, 2])
    expected = -sum(y[i, k] for i, k in enumerate(aim.tolist())) / 5
    assert objective(VECTOR.format(units=4), "nll")([y], [X], [aim]) == pytest.approx(expected.item())


def test_binary_cross_entropy_of_classes_of_several_labels_and_of_two_classes() -> None:
    y = torch.randn(5, 4)
    labels = torch.tensor([0, 3, 1, 1, 2])
    p = 1 / (1 + (-y).exp())

    def expected(p: Tensor, aim: Tensor) -> float:
        return -(aim * p.log() + (1 - aim) * (1 - p).log()).mean().item()

    several = torch.randint(2, (5, 4)).float()
    one_hot = torch.stack([(torch.arange(4) == k).float() for k in labels])
    given = objective(VECTOR.format(units=4), "binary_cross_entropy")
    assert given([y], [X], [several]) == pytest.approx(expected(p, several), rel=1e-5)
    assert given([y], [X], [labels]) == pytest.approx(expected(p, one_hot), rel=1e-5)
    single = objective(VECTOR.format(units=1), "binary_cross_entropy")
    two = torch.tensor([0, 1, 1, 0, 1])
    assert single([y[:, :1]], [X], [two]) == pytest.approx(expected(p[:, :1], two[:, None].float()), rel=1e-5)


def test_errors_of_values_classes_and_of_the_input_itself() -> None:
    y, aim = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    text = MAP.format(units=3)
    assert objective(text, "mse")([y], [X], [aim]) == pytest.approx((y - aim).square().mean().item(), rel=1e-5)
    assert objective(text, "l1")([y], [X], [aim]) == pytest.approx((y - aim).abs().mean().item(), rel=1e-5)
    assert objective(text, "mse", ())([y], [X], []) == pytest.approx((y - X).square().mean().item(), rel=1e-5)


def test_weights_of_several_outputs_and_targets_by_name() -> None:
    text = HEAD + "  - flatten:\n    name: f\n  - linear: 2\n    name: a\n  - linear: 3\n    from: f\n    name: b\n"
    text += "outputs: [a, b]\n"
    both = objective(text, "{a: {mse: {weight: 2.0}}, b: {l1: {weight: 0.5}}}", ("b", "a"))
    a, b, aim_a, aim_b = torch.randn(5, 2), torch.randn(5, 3), torch.randn(5, 2), torch.randn(5, 3)
    expected = 2 * (a - aim_a).square().mean() + 0.5 * (b - aim_b).abs().mean()
    assert both([a, b], [X], [aim_b, aim_a]) == pytest.approx(expected.item(), rel=1e-5)
    only = objective(text, "{b: l1}")
    assert only([a, b], [X], [aim_b]) == pytest.approx((b - aim_b).abs().mean().item(), rel=1e-5)


def test_accuracy_and_confusion_over_batches() -> None:
    given = objective(VECTOR.format(units=3), "cross_entropy")
    measures = Measures(given, 3)
    truth = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    found = torch.tensor([0, 2, 2, 1, 1, 0, 1])
    logits = torch.nn.functional.one_hot(found, 3).float() * 5
    for part in (slice(0, 4), slice(4, 7)):
        own = given([logits[part]], [X], [truth[part]])
        measures.update([logits[part]], [X], [truth[part]], own, len(truth[part]))
    result = measures.result()
    assert result["accuracy"] == pytest.approx(4 / 7)
    assert result["loss"] == pytest.approx(-log_softmax(logits)[range(7), truth].mean().item(), rel=1e-5)
    assert measures.confusion() == [[2, 1, 0], [0, 1, 1], [0, 1, 1]]
    assert "iou" not in result
    measures.reset()
    measures.update([logits[:1]], [X], [truth[:1]], given([logits[:1]], [X], [truth[:1]]), 1)
    assert measures.result()["accuracy"] == 1


def test_dense_classes_have_an_intersection_over_union() -> None:
    given = objective(MAP.format(units=2), "cross_entropy")
    measures = Measures(given, 2)
    truth = torch.tensor([[[0, 0, 1, 1]]])
    found = torch.tensor([[[0, 1, 1, 1]]])
    logits = torch.nn.functional.one_hot(found, 2).permute(0, 3, 1, 2).float() * 5
    measures.update([logits], [X], [truth], given([logits], [X], [truth]), 1)
    result = measures.result()
    assert result["accuracy"] == pytest.approx(3 / 4)
    assert result["iou"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert given.right([logits], [truth]) == (3, 4)


def test_pixels_that_are_not_to_be_learned_are_not_judged() -> None:
    given = objective(MAP.format(units=2), "cross_entropy")
    measures = Measures(given, 2)
    truth = torch.tensor([[[0, -100, 1, -100]]])
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 1, 0, 0]]]), 2).permute(0, 3, 1, 2).float()
    measures.update([logits], [X], [truth], given([logits], [X], [truth]), 1)
    assert measures.result()["accuracy"] == pytest.approx(1 / 2)
    assert given.right([logits], [truth]) == (1, 2)
    assert given([logits], [X], [truth]) == pytest.approx(
        -(log_softmax(logits)[0, 0, 0, 0] + log_softmax(logits)[0, 1, 0, 2]).item() / 2
    )


def test_errors_of_regression_over_uneven_batches() -> None:
    given = objective(VECTOR.format(units=2), "mse")
    measures = Measures(given, 0)
    y, aim = torch.randn(5, 2), torch.randn(5, 2)
    for part in (slice(0, 4), slice(4, 5)):
        measures.update([y[part]], [X], [aim[part]], given([y[part]], [X], [aim[part]]), len(y[part]))
    result = measures.result()
    assert result["mse"] == pytest.approx((y - aim).square().mean().item(), rel=1e-5)
    assert result["mae"] == pytest.approx((y - aim).abs().mean().item(), rel=1e-5)
    assert result["loss"] == pytest.approx(result["mse"], rel=1e-5)


def test_accuracy_of_independent_classes() -> None:
    given = objective(VECTOR.format(units=4), "binary_cross_entropy")
    measures = Measures(given, 0)
    y = torch.tensor([[2.0, -1, -3, 4], [1, 1, -1, -1]])
    aim = torch.tensor([[1.0, 0, 1, 1], [0, 1, 0, 0]])
    measures.update([y], [X], [aim], given([y], [X], [aim]), 2)
    assert measures.result()["accuracy"] == pytest.approx(6 / 8)
