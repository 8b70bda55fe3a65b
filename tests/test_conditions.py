"""What a plan is for: arguments come first, then the spec's target, then its train, then the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cnnplan.errors import SpecError, UsageError
from tests.language.helpers import net, plan

if TYPE_CHECKING:
    from cnnplan.conditions import Conditions

LAYERS = """
- conv: {out_channels: 4, kernel_size: 3}
- flatten
- linear: 5
"""
TWO = """
- conv: {out_channels: 4, kernel_size: 3}
  name: map
- global_avgpool
- linear: 5
  name: logits
"""
TARGET = "target: {batch: 8, dtype: float16, optimizer: adam, device: t4}\n"
TRAIN = "train: {batch: 16, precision: bfloat16, optimizer: {rmsprop: {momentum: 0.9, weight_decay: 0.1}}}\n"
GIVEN: dict[str, Any] = {"batch": 4, "dtype": "float32", "optimizer": "momentum", "target": "h100"}


def under(more: str = "", layers: str = LAYERS, end: str = "", **options: Any) -> Conditions:
    """The conditions of a small network under these settings and arguments."""
    return plan(net(layers, more=more) + end, **options).conditions


def test_defaults() -> None:
    it = under()
    assert (it.batch, it.dtype, it.mixed, it.optimizer) == (1, "float32", False, "sgd")
    assert (it.implementation, it.decayed, it.averaged) == ("foreach", False, False)
    assert (it.target, it.device) == ("cuda", None)
    assert it.losses == ("cross_entropy",)


@pytest.mark.parametrize(
    ("more", "options", "expected"),
    [
        ("", {}, (1, "float32", "sgd")),
        (TRAIN, {}, (16, "bfloat16", "rmsprop_momentum")),
        (TARGET, {}, (8, "float16", "adam")),
        (TARGET + TRAIN, {}, (8, "float16", "adam")),
        (TRAIN, GIVEN, (4, "float32", "momentum")),
        (TARGET + TRAIN, GIVEN, (4, "float32", "momentum")),
        ("target: {batch: 8}\n" + TRAIN, {}, (8, "bfloat16", "rmsprop_momentum")),
        ("target: {dtype: float32}\n" + TRAIN, {}, (16, "float32", "rmsprop_momentum")),
        ("target: {optimizer: adamw}\n" + TRAIN, {}, (16, "bfloat16", "adamw")),
        (TARGET + TRAIN, {"batch": 2}, (2, "float16", "adam")),
        (TARGET + TRAIN, {"dtype": "bfloat16"}, (8, "bfloat16", "adam")),
        (TARGET + TRAIN, {"optimizer": "sgd"}, (8, "float16", "sgd")),
        ("target: {}\ntrain: {epochs: 3}\n", {}, (1, "float32", "sgd")),
    ],
)
def test_precedence(more: str, options: dict[str, Any], expected: tuple[int, str, str]) -> None:
    it = under(more, **options)
    assert (it.batch, it.dtype, it.optimizer) == expected


def test_precedence_of_the_device() -> None:
    assert under().device is None
    named = under(TARGET).device
    assert named is not None
    assert named.key == "t4"
    given = under(TARGET, target="h100").device
    assert given is not None
    assert given.key == "h100"
    assert under("target: {device: cpu}\n").target == "cpu"
    for target in ("cpu", "cuda"):
        it = under(TARGET, target=target)
        assert (it.target, it.device) == (target, None)


def test_a_batch_may_be_computed() -> None:
    assert under("variables: {n: 3}\ntarget: {batch: =2 ** n}\n").batch == 8
    assert under("variables: {n: 3}\ntrain: {batch: =n * 5}\n").batch == 15


@pytest.mark.parametrize(
    ("written", "name", "decayed"),
    [
        ("sgd", "sgd", False),
        ("{sgd: {lr: 0.1}}", "sgd", False),
        ("{sgd: {momentum: 0}}", "sgd", False),
        ("{sgd: {weight_decay: 1e-4}}", "sgd", True),
        ("{sgd: {momentum: 0.9}}", "momentum", False),
        ("{sgd: {momentum: 0.9, weight_decay: 1e-4}}", "momentum", True),
        ("{sgd: {momentum: 0.9, nesterov: true}}", "nesterov", False),
        ("{sgd: {momentum: 0.9, nesterov: false}}", "momentum", False),
        ("adam", "adam", False),
        ("{adamw: {weight_decay: 0.05}}", "adamw", True),
        ("rmsprop", "rmsprop", False),
        ("{rmsprop: {momentum: 0.9}}", "rmsprop_momentum", False),
    ],
)
def test_the_optimizer_of_train(written: str, name: str, decayed: bool) -> None:
    it = under(f"train: {{optimizer: {written}}}\n")
    assert (it.optimizer, it.decayed) == (name, decayed)


@pytest.mark.parametrize(
    ("more", "options", "decayed"),
    [
        ("", {"optimizer": "rmsprop_momentum"}, True),  # that of `train` all the same
        ("", {"optimizer": "rmsprop"}, False),
        ("", {"optimizer": "sgd"}, False),
        ("target: {optimizer: adam}\n", {}, False),
        ("target: {optimizer: adam}\n", {"optimizer": "rmsprop_momentum"}, True),
        ("target: {batch: 8}\n", {"batch": 2}, True),
    ],
)
def test_another_optimizer_has_no_decay_of_trains(more: str, options: dict[str, Any], decayed: bool) -> None:
    assert under(more + TRAIN, **options).decayed is decayed


def test_what_the_optimizer_holds_follows() -> None:
    """Tensors for each of the 112 + 725 parameters, and with Adam a count for each tensor where it is fused."""
    text = net(LAYERS)
    bytes_ = 4 * plan(text).parameters
    for name, tensors in (("sgd", 0), ("momentum", 1), ("nesterov", 1), ("rmsprop", 1), ("rmsprop_momentum", 2)):
        assert plan(text, optimizer=name).training.optimizer_state == tensors * bytes_
    assert plan(text, optimizer="adamw").training.optimizer_state == 2 * bytes_
    assert plan(text, optimizer="adamw", implementation="fused").training.optimizer_state == 2 * bytes_ + 4 * 4


@pytest.mark.parametrize(
    ("options", "mixed"),
    [
        ({}, False),
        ({"mixed": True}, False),  # there is nothing to mix
        ({"mixed": False}, False),
        ({"dtype": "float32", "mixed": True}, False),
        ({"dtype": "bfloat16"}, True),
        ({"dtype": "float16"}, True),
        ({"dtype": "float16", "mixed": True}, True),
        ({"dtype": "float16", "mixed": False}, False),
    ],
)
def test_mixed_precision_is_the_default_of_narrow_types(options: dict[str, Any], mixed: bool) -> None:
    assert under(**options).mixed is mixed


def test_mixed_precision_keeps_wide_parameters() -> None:
    text = net(LAYERS)
    wide = plan(text).training.parameters
    assert plan(text, dtype="bfloat16").training.parameters == wide
    assert plan(text, dtype="bfloat16").inference.parameters == wide // 2
    assert plan(text, dtype="bfloat16", mixed=False).training.parameters == wide // 2
    assert under("train: {precision: bfloat16}\n").mixed is True
    assert under("target: {dtype: float16}\n", mixed=False).mixed is False


def test_the_implementation_is_torchs_default() -> None:
    assert under(target="cpu").implementation == "forloop"
    assert under("target: {device: cpu}\n").implementation == "forloop"
    assert under(target="t4").implementation == "foreach"
    assert under(target="cpu", implementation="fused").implementation == "fused"


@pytest.mark.parametrize(
    ("loss", "losses"),
    [
        ("", ("cross_entropy", "cross_entropy")),
        ("{epochs: 3}", ("cross_entropy", "cross_entropy")),
        ("{loss: mse}", ("mse", "mse")),
        ("{loss: {cross_entropy: {label_smoothing: 0.1}}}", ("cross_entropy", "cross_entropy")),
        ("{loss: {logits: nll, map: l1}}", ("l1", "nll")),
        ("{loss: {logits: {cross_entropy: {weight: 0.3}}}}", (None, "cross_entropy")),
        ("{loss: {map: binary_cross_entropy}}", ("binary_cross_entropy", None)),
    ],
)
def test_losses_by_output(loss: str, losses: tuple[str | None, ...]) -> None:
    """In the order of the outputs; none where a mapping leaves an output out."""
    more = f"train: {loss}\n" if loss else ""
    assert under(more, TWO, "outputs: [map, logits]\n").losses == losses


def test_the_target_follows_from_the_loss() -> None:
    """A class for each of the 6x6 positions, or a value for each of 4x6x6 elements."""
    text = net("- conv: {out_channels: 4, kernel_size: 3}\n", more="train: {loss: %s}\n")
    assert plan(text % "cross_entropy", batch=2).training.target == 2 * 36 * 8
    assert plan(text % "mse", batch=2).training.target == 2 * 4 * 36 * 4
    assert plan(text % "l1", batch=2, dtype="float16", mixed=False).training.target == 2 * 4 * 36 * 2


def test_an_integer_output_has_no_loss() -> None:
    text = net("- identity", head="cnnplan: 1\nname: net\ninput: {shape: [7], dtype: int64}\n")
    assert plan(text).conditions.losses == (None,)


def test_a_loss_of_no_output_is_refused() -> None:
    """As any name that is misspelt: the training step would be planned without its backward pass."""
    with pytest.raises((SpecError, UsageError), match="logit"):
        under("train: {loss: {logit: cross_entropy}}\n", TWO)


def test_an_average_of_the_weights() -> None:
    text = net(LAYERS, more="train: {ema: 0.999}\n")
    assert plan(text).conditions.averaged
    assert plan(text).training.average == 4 * plan(text).parameters
    assert not under("train: {epochs: 3}\n").averaged
    assert plan(net(LAYERS)).training.average == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch is an integer ≥ 1, not 0"),
        ({"batch": -1}, "batch is an integer ≥ 1, not -1"),
        ({"batch": 1.5}, "batch is an integer ≥ 1, not 1.5"),
        ({"batch": True}, "batch is an integer ≥ 1, not True"),
        ({"batch": "8"}, "batch is an integer ≥ 1, not '8'"),
        ({"dtype": "float64"}, "there is no dtype 'float64'; did you mean 'float16'?"),
        ({"dtype": "bfloat"}, "there is no dtype 'bfloat'; did you mean 'bfloat16'?"),
        ({"dtype": "int8"}, "there is no dtype 'int8'; known here: float32, float16, bfloat16"),
        ({"dtype": 16}, "there is no dtype '16'"),
        ({"optimizer": "adan"}, "there is no optimizer 'adan'; did you mean 'adam'?"),
        ({"optimizer": "momentun"}, "there is no optimizer 'momentun'; did you mean 'momentum'?"),
        ({"optimizer": "lion"}, "there is no optimizer 'lion'; known here: sgd, momentum, nesterov, adam, adamw"),
        ({"implementation": "fuse"}, "there is no implementation 'fuse'; did you mean 'fused'?"),
        ({"target": "h10O"}, "there is no device 'h10O'; did you mean 'h100'?"),
    ],
)
def test_what_is_not_known_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        under(**options)
    assert message in str(caught.value)


def test_a_plan_says_its_conditions() -> None:
    found = plan(net(LAYERS, more=TARGET))
    assert found.batch == found.conditions.batch == 8
    assert found.memory.conditions is found.conditions
