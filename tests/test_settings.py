"""target, budget, lint and train: which forms are settings, and what is said of the others."""

from typing import Any

import pytest

from cnnplan.render.schema import schema
from cnnplan.source import Scalar
from tests.language.helpers import complaint, listed, net, plan


def setting(key: str, text: str) -> Any:
    """What a spec says under a key."""
    layers = "- relu:\n  name: aux1\n- relu:\n  name: logits"  # losses go by the names of outputs
    more = f"outputs: [aux1, logits]\nvariables: {{n: 3}}\n{key}: {text}"
    return plan(net(layers, more=more)).graph.settings[key]


ACCEPTED = {
    "target": """
{}   {device: h100}   {batch: 8, dtype: bfloat16, optimizer: adamw}   {batch: =2 ** n}
""",
    "budget": """
{}   {parameters: 140M, macs: 16G}   {training_memory: {at_most: 12GiB, batch: 32}}   {receptive_field: {at_least: 200}}
{parameters: 1000}   {macs: =n * 100}   {parameters: {at_least: 1K, at_most: 2.5e6}}
""",
    "lint": "{}   {ignore: [N201]}   {select: [S, G1], ignore: []}",
    "train": """
{}   {loss: mse}   {loss: {logits: cross_entropy, aux1: {cross_entropy: {weight: 0.3, label_smoothing: 0.1}}}}
{loss: {cross_entropy: {label_smoothing: 0.1}}}   {optimizer: {sgd: {lr: 0.1, momentum: 0.9, weight_decay: 1e-4}}}
{optimizer: adam}   {optimizer: {adamw: {betas: [0.9, 0.95]}}}   {optimizer: rmsprop}
{schedule: {cosine: {warmup: 5}}}   {schedule: step}   {schedule: {one_cycle: {max_lr: 1}}}   {schedule: constant}
{epochs: 90, batch: 128}
{precision: bfloat16, clip_gradient: 1.0, ema: 0.999}   {regularize: {l1: 0, max_norm: 3.0}}   {batch: =n}
{augment: [{random_crop: {padding: 4}}, horizontal_flip, {mixup: 0.2}]}   {early_stopping: {patience: 5}}
{regularize: {l1: 1e-4, l2: 1e-5}}   {augment: [{random_crop: 2}, {random_crop: {padding: =n, padding_mode: reflect}}]}
{augment: [{rotation: 15}, {rotation: =n * 5}, {rotation: {degrees: 30}}, rotation, {vertical_flip: 0.1}, mixup]}
{augment: [{color_jitter: {hue: 0.1}}, {color_jitter: }, {random_erasing: {scale: [0.1, =1 / n]}}, {mixup: {alpha: 0}}]}
{augment: [random_resized_crop, {random_resized_crop: {scale: [0.5, 1], ratio: [1, 1]}}, {horizontal_flip: {p: 1}}]}
""",
}


@pytest.mark.parametrize(("key", "text"), [(k, text) for k, texts in ACCEPTED.items() for text in listed(texts)])
def test_forms(key: str, text: str) -> None:
    assert setting(key, text) is not None


@pytest.mark.parametrize(("key", "text"), [(k, text) for k, texts in ACCEPTED.items() for text in listed(texts)])
def test_the_schema_knows_the_forms(key: str, text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    data = {"cnnplan": 1, "name": "net", "input": [3], "layers": ["relu"], key: plain(text)}
    jsonschema.validate(data, schema())


REFUSED = {
    "target": """
{«dtypes: float32}   {dtype: «float64}   {batch: «0}   {device: «3}   {optimizer: «adan}   {batch: =«m}   «3   «[]
""",
    "budget": """
{«params: 3}   {parameters: «lots}   {parameters: «-1}   {parameters: «3X}   {macs: {«most: 3}}   {macs: «true}
{macs: {at_most: «many}}   {training_memory: {at_most: 1GB, batch: «0}}   {macs: «[1]}
""",
    "lint": "{«ignored: [R401]}   {ignore: «R401}   {ignore: [«401]}",
    "train": """
{«losses: mse}   {loss: «msee}   {loss: {logits: «hinge}}   {loss: «3}   {optimizer: «adagrad}   {epochs: «0}
{optimizer: {sgd: {«learning_rate: 0.1}}}   {optimizer: {sgd: {lr: «-1}}}   {schedule: «linear}   {ema: «1.5}
{precision: «int8}   {regularize: {«l3: 1}}   {augment: «horizontal_flip}   {augment: [«flip]}   {batch: «2.5}
{early_stopping: «5}   {clip_gradient: «0}   {loss: {cross_entropy: {weight: «'a'}}}
{regularize: {l2: «-1}}   {regularize: {max_norm: «0}}   {augment: [{random_crop: {«pading: 4}}]}
{augment: [{random_crop: «-1}]}   {augment: [{random_crop: {padding_mode: «mirror}}]}   {augment: [{rotation: «200}]}
{augment: [{rotation: {degrees: «fast}}]}   {augment: [{rotation: «[1, 2]}]}   {augment: [{horizontal_flip: «1.5}]}
{augment: [{color_jitter: «0.2}]}   {augment: [{color_jitter: {hue: «0.6}}]}   {augment: [{mixup: «-0.1}]}
{augment: [{color_jitter: {contrast: «-1}}]}   {augment: [{mixup: «true}]}   {augment: [{mixup: {«beta: 1}}]}
{augment: [{random_erasing: {scale: «[0.3, 0.1]}}]}   {augment: [{random_erasing: {scale: «[0.1, 2]}}]}
{augment: [{random_erasing: {scale: «[0, 0.1]}}]}   {augment: [{random_resized_crop: {ratio: «[1]}}]}
{augment: [{random_resized_crop: {scale: «0.5}}]}   {augment: [{random_erasing: «0.5}]}
{augment: [{random_resized_crop: {ratio: «[a, b]}}]}   {augment: [«{rotation: 15, mixup: 0.2}]}
""",
}


@pytest.mark.parametrize(("key", "text"), [(k, text) for k, texts in REFUSED.items() for text in listed(texts)])
def test_what_is_no_setting_is_one_error_at_its_place(key: str, text: str) -> None:
    complaint(net("- relu", more=f"variables: {{n: 3}}\n{key}: {text}"))


def test_the_nearest_word_is_told() -> None:
    assert "'parameters'" in complaint(net("- relu", more="budget: {«parmeters: 3}"))
    assert "'momentum'" in complaint(net("- relu", more="train: {optimizer: {sgd: {«momentun: 0.9}}}"))
    assert "'cross_entropy'" in complaint(net("- relu", more="train: {loss: «crossentropy}"))
    assert "'cosine'" in complaint(net("- relu", more="train: {schedule: «cosin}"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("140M", 140_000_000),
        ("16G", 16_000_000_000),
        ("1.5K", 1_500),
        ("2T", 2 * 10**12),
        ("12GiB", 12 * 2**30),
        ("12GB", 12 * 10**9),
        ("1 MiB", 2**20),
        ("'7'", 7),
        ("7", 7),
        ("2.5e6", 2_500_000),
        ("=10 * 7", 70),
    ],
)
def test_quantities(text: str, value: int) -> None:
    assert setting("budget", f"{{macs: {text}}}").macs.at_most == value


def test_defaults_are_those_of_training() -> None:
    train = setting("train", "{}")
    assert (train.epochs, train.batch, train.precision) == (10, 32, "float32")
    assert train.loss.name == "cross_entropy"
    assert train.optimizer.name == "sgd"
    assert train.schedule.name == "constant"


def test_augmentations_and_their_defaults() -> None:
    text = "{augment: [{random_crop: {padding: 4}}, horizontal_flip, {mixup: 0.3}, {rotation: }, {random_crop: 2}]}"
    found = [(a.name, a.options.model_dump()) for a in setting("train", text).augment]
    assert found == [
        ("random_crop", {"padding": 4, "padding_mode": "zeros"}),
        ("horizontal_flip", {"p": 0.5}),
        ("mixup", {"alpha": 0.3}),
        ("rotation", {"degrees": 15}),
        ("random_crop", {"padding": 2, "padding_mode": "zeros"}),
    ]
    text = "{augment: [color_jitter, random_erasing, vertical_flip, mixup, random_resized_crop]}"
    assert [a.options.model_dump() for a in setting("train", text).augment] == [
        {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.0},
        {"p": 0.5, "scale": (0.02, 0.33), "ratio": (0.3, 3.3)},
        {"p": 0.5},
        {"alpha": 0.2},
        {"scale": (0.08, 1.0), "ratio": (0.75, 4 / 3)},
    ]


def test_what_is_said_of_an_augmentation() -> None:
    assert "'padding'" in complaint(net("- relu", more="train: {augment: [{random_crop: {«pading: 4}}]}"))
    assert "'rotation'" in complaint(net("- relu", more="train: {augment: [«rotate]}"))
    message = complaint(net("- relu", more="train: {augment: [{rotation: «200}]}"))
    assert "`augment.rotation.degrees` of `train`: an angle from 0 to 180 degrees is wanted, not 200" in message
    message = complaint(net("- relu", more="train: {augment: [{random_erasing: {scale: «[0.3, 0.1]}}]}"))
    assert "a range [smallest, largest] of shares above 0, of the area, is wanted, not [0.3, 0.1]" in message


def plain(text: str) -> Any:
    """A YAML value as Python data, by the language's own reader."""
    from cnnplan.diagnostics import Report
    from cnnplan.source import Mapping, Node, parse

    def data(node: Node) -> Any:
        if isinstance(node, Mapping):
            return {key.value: data(value) for key, value in node}
        return node.value if isinstance(node, Scalar) else [data(item) for item in node.items]  # type: ignore[attr-defined]

    top = parse(f"value: {text}\n", Report(""))
    assert top
    return data(top.get("value"))  # type: ignore[arg-type]
