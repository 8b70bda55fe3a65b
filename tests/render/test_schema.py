"""The JSON Schema of specs: it is complete, takes what cnnplan takes, and refuses what it can see is wrong."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from cnnplan import zoo
from cnnplan.blocks import builtin_names
from cnnplan.codes import CODES
from cnnplan.devices import devices
from cnnplan.diagnostics import Report
from cnnplan.grammar.file import KEYS
from cnnplan.limits import MAX_SIZES
from cnnplan.names import MODIFIERS
from cnnplan.ops import registry
from cnnplan.render.schema import schema
from cnnplan.settings import MODELS
from cnnplan.source import Mapping, Node, Scalar, Sequence, parse
from tests.language.helpers import HEAD, listed, net, plan, refused

SCHEMA = schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
DEFINED: dict[str, Any] = SCHEMA["definitions"]


def plain(node: Node) -> Any:
    """What an editor's YAML 1.2 parser makes of a node."""
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key.value: plain(value) for key, value in node}
    assert isinstance(node, Scalar)
    return node.value


def errors(text: str) -> list[str]:
    """What the schema has against a spec: the path, and the message."""
    top = parse(text, Report("spec.yaml"))
    assert top is not None
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in VALIDATOR.iter_errors(plain(top))]


def test_it_is_a_schema_of_draft_07() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(SCHEMA)


# -------------------------------------------------------------------- complete


def properties(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All properties of a schema, each with its path."""
    if isinstance(part, list):
        for one in part:
            yield from properties(one, path)
    elif isinstance(part, dict):
        for key, one in part.items():
            if key == "properties":
                for name, about in one.items():
                    if about is not False:  # which forbids it
                        yield f"{path}.{name}".lstrip("."), about
                    yield from properties(about, f"{path}.{name}")
            elif key == "definitions":
                for name, about in one.items():
                    yield from properties(about, name)
            else:
                yield from properties(one, path)


def test_every_property_is_described() -> None:
    found = dict(properties(SCHEMA))
    assert len(found) > 300
    assert [path for path, about in found.items() if not about.get("description")] == []
    assert all(about.get("description") for name, about in DEFINED.items() if name not in ("layers", "input"))


def test_every_key_of_the_language_is_there() -> None:
    assert SCHEMA["properties"].keys() == {"$schema", *KEYS}
    words = {*registry.names(), *builtin_names()}
    assert DEFINED["item"]["properties"].keys() == {*words, "layers", "share", *MODIFIERS}
    for key, model in MODELS.items():
        assert DEFINED[key]["properties"].keys() == model.model_fields.keys()


@pytest.mark.parametrize("name", registry.names())
def test_every_argument_has_its_description_and_default(name: str) -> None:
    op = registry.find(name)
    assert op is not None
    found = DEFINED[f"op_{name}"]
    assert found["title"] == name
    assert found["properties"].keys() == op.model_fields.keys()
    assert found.get("required", []) == [key for key, field in op.model_fields.items() if field.is_required()]
    for key, field in op.model_fields.items():
        about = found["properties"][key]
        assert about["description"] == field.description
        given = field.is_required() or field.default is None
        assert about.get("default") == (None if given else plain_of(field.default))


def plain_of(value: Any) -> Any:
    """A default as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def test_defaults_of_settings_are_what_a_spec_would_say() -> None:
    train = DEFINED["train"]["properties"]
    shown = {key: about["default"] for key, about in train.items() if "default" in about}
    assert shown == {
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "schedule": "constant",
        "epochs": 10,
        "batch": 32,
        "precision": "float32",
        "regularize": {"l1": 0.0, "l2": 0.0},
        "augment": [],
    }
    assert train["optimizer"]["properties"]["adamw"]["properties"]["betas"]["default"] == [0.9, 0.999]
    modifiers = {key: DEFINED["item"]["properties"][key].get("default") for key in MODIFIERS}
    assert modifiers == {
        "name": None,
        "from": "previous",
        "if": True,
        "repeat": 1,
        "trainable": True,
        "checkpoint": False,
        "each": None,
    }


@pytest.mark.parametrize(
    ("block", "defaults"),
    [
        ("conv_bn_relu", {"kernel_size": 3, "stride": 1, "padding": "half", "dilation": 1, "groups": 1}),
        ("bottleneck", {"stride": 1, "groups": 1, "out_channels": "=4 * width"}),
        (
            "squeeze_excite",
            {
                "reduction": 16,
                "channels": "=max(1, in_channels // reduction)",
                "hard": False,
                "inputs": "=in_channels",
            },
        ),
    ],
)
def test_defaults_of_built_in_blocks(block: str, defaults: dict[str, Any]) -> None:
    found = DEFINED[f"block_{block}"]["properties"]
    assert {key: about["default"] for key, about in found.items() if "default" in about} == defaults


def test_codes_and_devices_are_listed() -> None:
    assert set(CODES) < set(DEFINED["code"]["enum"])
    assert {"N", "N2", "N20"} < set(DEFINED["code"]["enum"])
    assert "pattern" not in DEFINED["lint"]["properties"]["select"]
    assert all(any(code.startswith(one) for code in CODES) for one in DEFINED["code"]["enum"])
    assert set(DEFINED["target"]["properties"]["device"]["examples"]) == {*devices(), "cpu", "cuda"}


# -------------------------------------------------------------------- what is right


@pytest.mark.parametrize("name", zoo.names())
def test_the_zoo_is_valid(name: str) -> None:
    assert errors(zoo.find(name).read_text()) == []


RIGHT = {
    "input": """
input: [3]   input: [3, =2 ** 3, 8]   input: {shape: [3, 8, 8], dtype: int64, sizes: [16, [9, 9], =3 * 3]}
input: =[3, 8]   input: {shape: "=[3, 8]"}   inputs: {a: [3, 8, 8], b: {shape: [3]}}
""",
    "setting": """
lint: {ignore: [N, N2, N201], select: []}   lint: {}   target: {device: a100-80gb, batch: =2 ** 5}
target: {device: H100}
budget: {parameters: 1.5 GB, macs: =3 * 4, training_memory: {at_most: 12GiB, batch: 8}}   budget: {receptive_field: 7}
train: {loss: mse}   train: {loss: {cross_entropy: }}   train: {loss: {logits: nll, aux: {mse: {weight: 0.3}}}}
train: {loss: {mse: l1, nll: mse}}   train: {optimizer: {sgd: }}   train: {optimizer: {adam: {betas: [0.9, =1 / 2]}}}
train: {schedule: {step: {every: 3}}, augment: [mixup, {rotation: 15}, {color_jitter: }]}
train: {regularize: {l1: 0}}
variables:   variables: {a: 1, b: [1, 2], c: {d: x}, e: true, f: =a}   blocks:   outputs: [a, b.0]
$schema: ./cnnplan.schema.json   description: text   reference: text
blocks: {b: {params: {n: int, m: [1]}, inputs: [x, y], outputs: [z], layers: [relu: {}]}}
""",
    "item": """
- relu   - relu: {}   - mine   - mine: 3   - mine: [1]   - {mine: {n: 3}, repeat: 2}   - {relu: , name: a, if: =a > 3}
- {relu: , from: a.0}   - {add: , from: [a, previous]}   - {relu: , repeat: =n}   - {relu: , repeat: {i: 3}}
- {layers: [relu], trainable: false}   - {share: a, from: b, repeat: 2}   - {relu: , checkpoint: true}
- {relu: , each: 1}   - {layers: [relu], each: -1, name: a}   - {share: a, each: 0}
- add: {body: [relu], skip: []}   - add: [[relu], []]   - concat: {axis: 1}   - concat: 1   - concat
- add: {body: {layers: [relu], if: =a}, skip: {layers: []}}   - concat: {axis: -1, a: [relu], b: [tanh]}
- conv: {out_channels: =n, kernel_size: [3, =k], padding: [[0, 1], [=p, 2]], bias: =b, padding_mode: =m}
- mixed_dilation_conv: {out_channels: 8, kernel_size: 3, dilations: [1, [2, =k]]}
- embedding: {num_embeddings: 9, embedding_dim: =n}
- conv: {out_channels: 3, kernel_size: 3, padding: same}   - maxpool: [2, 2]   - maxpool: =k   - linear: 3
- upsample: {like: a}   - upsample: {scale_factor: 0.5, mode: bilinear}   - reshape: [3, -1]   - dropout: 0
- conv_bn_relu: =n   - conv_bn_relu: {out_channels: 3, kernel_size: [1, 3], padding: same}   - squeeze_excite
""",
}


def around(part: str, text: str) -> str:
    """A whole spec around an input, a setting or an item."""
    if part == "input":
        return f"cnnplan: 1\nname: net\n{text}\nlayers: [relu]\n"
    return net(text) if part == "item" else f"{HEAD}{text}\nlayers: [relu]\n"


@pytest.mark.parametrize(("part", "text"), [(k, text) for k, texts in RIGHT.items() for text in listed(texts)])
def test_what_is_right_is_taken(part: str, text: str) -> None:
    assert errors(around(part, text)) == []


# -------------------------------------------------------------------- what is wrong

WRONG = {
    "input": """
input: 3   input: []   input: [0]   input: [3, 8, 8, 8, 8]   input: [true]   input: text   input: {dtype: int64}
input: {shape: [3], dtype: int32}   input: {shape: [3, 8], size: [9]}   input: {shape: [3, 8], sizes: [0]}
inputs: {}
inputs: {a b: [3]}   inputs: {a: 3}   inputs: [3]   outputs: [a]
""",
    "setting": """
layer: [relu]   variables: {a-b: 3}   variables: [3]   variables: {a: }   blocks: {b: [relu]}
blocks: {b: {}}
blocks: {b: {layers: []}}   blocks: {b: {params: [n], layers: [relu]}}   blocks: {b: {param: {}, layers: [relu]}}
outputs: a   outputs: []   outputs: [a b]   outputs: [=a]   description: 3   reference: [a]   inputs: {a: [3]}
lint: {ignore: N201}   lint: {ignore: [Z1]}   lint: {ignore: [N999]}   lint: {ignore: [n201]}   lint: {igore: []}
lint: []
lint: {ignore: [bias-before-batchnorm]}   lint: {select: [7]}
target: {devices: a100}   target: {device: 3}   target: {device: ''}   target: {batch: 0}   target: {dtype: float64}
target: {optimizer: adan}   target: {batch: 1.5}   target: 3
budget: {params: 3}   budget: {parameters: lots}   budget: {parameters: -1}   budget: {parameters: 3X}
budget: {macs: {most: 3}}   budget: {macs: true}   budget: {macs: {at_most: many}}   budget: {macs: {at_least: -1}}
budget: {training_memory: {at_most: 1GB, batch: 0}}   budget: {macs: [1]}
train: {losses: mse}   train: {loss: msee}   train: {loss: {logits: hinge}}   train: {loss: 3}   train: {loss: {}}
train: {loss: {cross_entropy: {weights: 1}}}   train: {loss: {cross_entropy: {weight: x}}}   train: {loss: {mse: 3}}
train: {optimizer: adagrad}   train: {optimizer: {sgd: {learning_rate: 0.1}}}   train: {optimizer: {sgd: {lr: -1}}}
train: {optimizer: {sgd: {weight_decay: -1}}}   train: {optimizer: {sgd: {}, adam: {}}}   train: {optimizer: {}}
train: {optimizer: {adam: {betas: [0.9]}}}   train: {schedule: linear}   train: {schedule: {cosine: {minimum: -1}}}
train: {epochs: 0}   train: {batch: 2.5}   train: {ema: 1.5}   train: {precision: int8}   train: {regularize: {l3: 1}}
train: {regularize: {l1: -1}}   train: {augment: horizontal_flip}   train: {augment: [flip]}
train: {augment: [{rotation: 200}]}   train: {augment: [{color_jitter: 0.2}]}   train: {augment: [{mixup: {beta: 1}}]}
train: {clip_gradient: 0}
train: {early_stopping: 5}   train: {early_stopping: {patience: 0}}
""",
    "item": """
- 3   - []   - true   - {}   - a b   - {a b: 3}   - {name: a}   - {repeat: 2, if: true}   - {relu: , tanh: }
- {relu: , share: a}   - {layers: [relu], relu: }   - {relu: , nmae: a}   - {relu: , stride: 2}
- {conv_bn_relu: 3, n: 3}
- {relu: , name: 3}   - {relu: , name: a b}   - {relu: , name: =a}   - {relu: , from: 3}   - {relu: , from: []}
- {relu: , from: =a}   - {relu: , from: [a, 3]}   - {relu: , from: a.b.c}   - {relu: , if: 1}   - {relu: , if: yes}
- {relu: , repeat: -1}   - {relu: , repeat: 1.5}   - {relu: , repeat: two}   - {relu: , repeat: {}}
- {relu: , repeat: {i: 1, j: 2}}   - {relu: , repeat: {i: x}}   - {relu: , trainable: 0}   - {relu: , checkpoint: =c}
- {relu: , each: all}   - {relu: , each: 1.5}   - {relu: , each: [1]}
- {share: a, trainable: true}   - {share: a, checkpoint: true}   - share: 3   - share: a.0   - layers: []
- layers: relu
- add: 3   - add: [relu, tanh]   - add: [[]]   - add: {body: relu}   - add: {body: [3]}   - add: {body: {layer: []}}
- add: {body: {if: true}}   - add: {a: {layers: [relu], name: b}, b: []}   - add: {a b: [relu], c: []}   - concat: 1.5
- conv: 8   - conv: {out_channels: 8}   - conv: {out_channels: true, kernel_size: 3}
- conv: {out_channels: 0, kernel_size: 3}
- conv: {out_channels: 8, kernel_size: 3, paddding: 1}   - conv: {out_channels: 8, kernel_size: 3, padding: sam}
- conv: {out_channels: 8, kernel_size: [3, 3, 3, 3]}   - conv: {out_channels: 8, kernel_size: []}
- conv: {out_channels: 8, kernel_size: 3, padding: [[1], [1]]}
- conv: {out_channels: 8, kernel_size: 3, padding: -1}
- conv: {out_channels: 8, kernel_size: 3, padding_mode: mirror}   - conv: {out_channels: 8, kernel_size: 3, bias: 1}
- linear: 0   - linear: ten   - linear: 1.5   - maxpool: [0]   - maxpool: {kernel_size: 2, stride: 0}   - dropout: 2
- dropout: half   - upsample: {scale_factor: 2, mode: cubic}   - upsample: {like: 3}   - upsample: {like: =a}
- upsample: 0
- relu: {slope: 1}   - relu: 3   - softmax: {axis: x}   - conv_bn_relu: 0   - conv_bn_relu: {out_channels: 0}
- conv_bn_relu: {kernel_size: 3}   - conv_bn_relu: {out_channels: 8, kernel: 3}   - bottleneck: {width: x}
""",
}


@pytest.mark.parametrize(("part", "text"), [(k, text) for k, texts in WRONG.items() for text in listed(texts)])
def test_what_is_wrong_is_refused_by_both(part: str, text: str) -> None:
    spec = around(part, text)
    assert refused(spec)
    assert errors(spec)


def test_sizes_are_limited_as_in_the_language() -> None:
    for count, wrong in ((MAX_SIZES, 0), (MAX_SIZES + 1, 1)):
        spec = around("input", f"input: {{shape: [3, 8, 8], sizes: {[8] * count}}}")
        assert len(errors(spec)) == wrong
        assert len(refused(spec) if wrong else plan(spec).diagnostics) == wrong


@pytest.mark.parametrize("key", ["cnnplan", "name", "input", "layers"])
def test_required_keys(key: str) -> None:
    text = "".join(
        f"{line}\n" for line in net("[relu]").replace("layers:\n", "layers: ").split("\n") if key not in line
    )
    assert errors(text) == [f": '{key}' is a required property"]
    assert errors(net("- relu").replace("cnnplan: 1", "cnnplan: 2")) == ["cnnplan: 1 was expected"]


@pytest.mark.parametrize("name", registry.names())
def test_arguments_of_each_operation(name: str) -> None:
    """An unknown argument, and a mapping where a value belongs, are refused."""
    op = registry.find(name)
    assert op is not None
    for argument in ("no_such_argument", *op.model_fields):
        found = errors(net(f"- {name}: {{{argument}: {{x: 1}}}}"))
        place = f"{name}.{argument}: "
        assert any("no_such_argument" in e or place in e or "is not of type" in e for e in found), found


def test_a_mistake_is_told_where_it_is() -> None:
    (error,) = errors(net("- relu\n- relu:\n  nmae: a"))
    assert error == f"layers.1: 'nmae' is not one of {['relu', *MODIFIERS]}"
    (error,) = errors(net("- conv: {out_channels: 8, kernel_size: [3, 0]}"))
    assert error == "layers.0.conv.kernel_size.1: 0 is less than the minimum of 1"
    (error,) = errors(net("- relu", more="lint: {ignore: [N201, S1]}"))
    assert error.startswith("lint.ignore.1: 'S1' is not one of ['F', 'F6'")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv: {out_channels: true, kernel_size: 3}", "True is not of type 'integer', 'string'"),
        ("conv: {out_channels: 8, kernel_size: 3, paddding: 1}", "'paddding' was unexpected"),
        ("conv: {out_channels: 8}", "'kernel_size' is a required property"),
        ("conv: 8", "8 is not of type 'object'"),
        ("linear: 0", "0 is less than the minimum of 1"),
        ("maxpool: {kernel_size: 2, padding: sam}", "'sam' does not match"),
        ("upsample: {scale_factor: 2, mode: cubic}", "'cubic' does not match"),
        ("relu: {slope: 1}", "'slope' was unexpected"),
        ("add: [relu, conv]", "'relu' is not of type 'array', 'object'"),
        ("{relu: , tanh: }", "'tanh' is not one of ['relu', 'name'"),
    ],
)
def test_a_mistake_has_one_message(layer: str, message: str) -> None:
    found = errors(net(f"- {layer}"))
    assert message in found[0]
    assert len(found) == 1 or all("is not of type" in m or "is not one of" in m for m in found)


def test_values_of_blocks_are_not_known_here() -> None:
    spec = f"{HEAD}blocks: {{mine: {{params: {{n: int}}, layers: [relu]}}}}\nlayers:\n- mine: {{m: 3}}\n"
    assert refused(spec)
    assert errors(spec) == []
    assert plan(spec.replace("m: 3", "n: 3")).layers
