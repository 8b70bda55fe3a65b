"""How wide each value is: torch.autocast's own rules, asked without a GPU, and the bytes that autograd keeps.

On CUDA the oracle is torch's dispatcher: under FakeTensorMode the operations are run on tensors that have a
device, a shape and a dtype but no data, and autocast casts them as it would cast others. Without CUDA, torch
does not run batch norm so, nor what indexes a tensor: `batchnorm` and `slice` are left out there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

import cnnplan
from cnnplan.emit.structure import Rules
from cnnplan.ops import registry
from cnnplan.ops.merges import MERGES
from cnnplan.runtime.memory import saved_bytes
from cnnplan.runtime.runner import Runner
from tests.language.helpers import net, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnplan.graph import Node
    from cnnplan.ops.base import Inline, Module

LOW, WIDE = torch.bfloat16, torch.float32
WITHOUT_CUDA = ("batchnorm", "slice", "lstm", "gru", "pad: {padding: 1, mode: mean}")
ARGUMENTS = {
    "adaptive_avgpool": "4",
    "adaptive_maxpool": "4",
    "avgpool": "2",
    "channel_maxpool": "2",
    "channel_shuffle": "2",
    "conv": "{out_channels: 4, kernel_size: 3}",
    "conv_transpose": "{out_channels: 4, kernel_size: 3}",
    "crop": "4",
    "depthwise_conv": "3",
    "dropconnect_linear": "{out_features: 3, p: 0.3}",
    "embedding": "{num_embeddings: 9, embedding_dim: 4}",
    "gaussian_noise": "0.1",
    "groupnorm": "2",
    "gru": "4",
    "linear": "3",
    "locally_connected": "{out_channels: 4, kernel_size: 3}",
    "lppool": "{p: 2, kernel_size: 2}",
    "lrn": "3",
    "lstm": "4",
    "maxpool": "2",
    "mixed_pool": "2",
    "mixed_dilation_conv": "{out_channels: 4, kernel_size: 3, dilations: [1, 2]}",
    "pad": "1",
    "pixel_shuffle": "2",
    "reshape": "[2, -1]",
    "self_attention": "2",
    "slice": "{start: 1}",
    "softmax_pool": "2",
    "space_to_depth": "2",
    "split": "2",
    "stochastic_depth": "0.3",
    "stochastic_pool": "2",
    "upsample": "2",
}
MORE = (
    *(f"upsample: {{scale_factor: 2, mode: {mode}}}" for mode in ("nearest-exact", "linear", "bilinear", "trilinear")),
    "upsample: {scale_factor: 2, mode: bicubic}",
    *(f"pad: {{padding: 1, mode: {mode}}}" for mode in ("reflect", "replicate", "circular", "mean")),
    *("l2norm: -1", "l2norm: {scale: 2}"),
    *(
        f"conv: {{out_channels: 4, kernel_size: 3, padding: 1, padding_mode: {mode}}}"
        for mode in ("reflect", "replicate", "circular")
    ),
    "conv: {out_channels: 4, kernel_size: 2, padding: same}",
    "locally_connected: {out_channels: 4, kernel_size: 3, untied: bias}",
    "locally_connected: {out_channels: 4, kernel_size: 3, padding: same, bias: false}",
    "mixed_dilation_conv: {out_channels: 4, kernel_size: 2, dilations: [1, 2], padding: same}",
    "maxpool: {kernel_size: 2, stride: 1, padding: same}",
    "layernorm: channels",
    "instancenorm: {affine: true}",
    "lppool: {p: 1.5, kernel_size: 3}",
    *("mixed_pool: {kernel_size: 2, alpha: 0.3}", "softmax_pool: {kernel_size: 2, beta: learned}"),
    *("spatial_pyramid_pool: {levels: [1, 2], mode: avg}", "spatial_pyramid_pool: {levels: [2], bins: sliding}"),
    "softmax: -1",
    "permute: [1, 0]",
    "permute: [2, 0, 1]",
    "gelu: tanh",
)
SIZES = ([8], [4, 8], [4, 6, 8], [4, 8, 6, 8])
TOKENS = ("embedding",)
"""Operations that take integers alone."""
REGIONS = ("roi_align", "roi_pool")
"""Operations that take a map and boxes."""
TRANSFORMS = ("spatial_transformer",)
UNDOING = ("max_unpool",)
"""Of a pool that has to be there; see `test_an_undone_pool`."""
"""Operations that take a map and an affine transform."""


def layers() -> list[str]:
    """Every operation that takes one value, as the spec says it."""
    names = [
        n
        for n in registry.names()
        if registry.find(n) is not None and n not in (*MERGES, *TOKENS, *REGIONS, *TRANSFORMS, *UNDOING, "permute")
    ]
    return [*(f"{name}: {ARGUMENTS[name]}" if name in ARGUMENTS else name for name in names), *MORE]


def cases(device: str) -> list[Any]:
    """Those that can be asked on a device."""
    found = []
    for layer in layers():
        if device == "cuda" and not {layer, layer.partition(":")[0]}.isdisjoint(WITHOUT_CUDA):
            continue
        found.append(layer)
    return found


def asked(node: Node, dtypes: Sequence[torch.dtype], device: str, rule: Module | Inline | None = None) -> torch.dtype:
    """The dtype of what a layer gives under autocast, its parameters being float32."""
    with torch.device("meta"):
        runner = Runner(node.op, node.shapes, rule).train()
    named = [*runner.named_parameters(), *runner.named_buffers()]
    try:
        with FakeTensorMode(), torch.no_grad():
            tensors = {name: torch.empty(t.shape, dtype=t.dtype, device=device) for name, t in named}
            inputs = tuple(torch.empty(2, *s, dtype=d, device=device) for s, d in zip(node.shapes, dtypes, strict=True))
            torch.set_autocast_enabled(device, True)
            torch.set_autocast_dtype(device, LOW)
            found = functional_call(runner, tensors, inputs)
    finally:
        torch.set_autocast_enabled(device, False)
        torch.clear_autocast_cache()
    outputs = [found] if isinstance(found, Tensor) else list(found)
    (dtype,) = {y.dtype for y in outputs}
    assert isinstance(dtype, torch.dtype)
    return dtype


def compared(layer: str, size: list[int], device: str) -> int:
    """Hold the width behind a layer against torch, a float32 and a bfloat16 tensor entering; how many were held.

    Behind a convolution or a dense layer a value is of the lower dtype.
    """
    lowered = "conv: {out_channels: 4, kernel_size: 1}" if len(size) > 1 else "linear: 8"
    count = 0
    for dtype, front in ((WIDE, "identity"), (LOW, lowered)):
        text = net(f"- {front}\n- {layer}", head=f"cnnplan: 1\nname: net\ninput: {size}\n")
        try:
            found = plan(text, dtype="bfloat16", target=device)
        except cnnplan.SpecError:
            continue  # the operation does not take such maps
        node = found.graph.nodes[-1]
        widths = found.memory.widths.values
        assert widths[node.inputs[0]] == dtype.itemsize
        assert widths[node.output] == asked(node, [dtype], device).itemsize, (size, dtype)
        count += 1
    return count


@pytest.mark.parametrize("layer", cases("cuda"))
def test_cuda_autocast(layer: str) -> None:
    assert sum(compared(layer, size, "cuda") for size in SIZES)


@pytest.mark.parametrize("layer", cases("cpu"))
def test_cpu_autocast(layer: str) -> None:
    assert sum(compared(layer, size, "cpu") for size in SIZES)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("name", TOKENS)
def test_tokens(name: str, device: str) -> None:
    """What they are looked up in decides, as autocast casts no parameter that is no factor."""
    head = "cnnplan: 1\nname: net\ninput: {shape: [8], dtype: int64}\n"
    found = plan(net(f"- {name}: {ARGUMENTS[name]}", head=head), dtype="bfloat16", target=device)
    (node,) = found.graph.nodes
    assert found.memory.widths.values[node.output] == asked(node, [torch.int64], device).itemsize


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("name", REGIONS)
def test_regions(name: str, device: str) -> None:
    """They compute in float32, and give what their map is."""
    for dtype, front in ((WIDE, "identity"), (LOW, "conv: {out_channels: 4, kernel_size: 1}")):
        text = net(
            f"- {front}{':' * (dtype == WIDE)}\n  from: x\n- {name}: 2\n  from: [previous, boxes]",
            head="cnnplan: 1\nname: net\ninputs: {x: [4, 6, 8], boxes: [5, 4]}\n",
        )
        found = plan(text, dtype="bfloat16", target=device)
        node, widths = found.graph.nodes[-1], found.memory.widths
        assert [widths.values[v] for v in node.inputs] == [dtype.itemsize, 4]
        assert widths.values[node.output] == dtype.itemsize
        if device == "cpu":  # without CUDA, torch does not run there what indexes a tensor
            assert asked(node, [dtype, WIDE], device) == dtype
        assert widths.own[node] == (4, 4)
        assert widths.casts.get(node, ()) == ((0,) if dtype == LOW else ())


@pytest.mark.parametrize("features", [LOW, WIDE])
@pytest.mark.parametrize("theta", [LOW, WIDE])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_map_and_its_transform(device: str, features: torch.dtype, theta: torch.dtype) -> None:
    """A volume: without CUDA, torch does not say of an image whether cuDNN would sample it."""
    (found,) = [
        plan(
            net(
                f"- {{{x}, from: x, name: f}}\n- {{{t}, from: t, name: t2}}\n- spatial_transformer:\n  from: [f, t2]",
                head="cnnplan: 1\nname: net\ninputs: {x: [4, 6, 8, 5], t: [12]}\n",
            ),
            dtype="bfloat16",
            target=device,
        )
        for x in ["identity: " if features == WIDE else "conv: {out_channels: 4, kernel_size: 1}"]
        for t in ["identity: " if theta == WIDE else "linear: 12"]
    ]
    node, widths = found.graph.nodes[-1], found.memory.widths.values
    assert [widths[v] for v in node.inputs] == [features.itemsize, theta.itemsize]
    assert widths[node.output] == asked(node, [features, theta], device).itemsize


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("merge", MERGES)
def test_merges_of_two_widths(merge: str, device: str) -> None:
    """Both alike, and one of each: the wider one decides; in place, a sum is as wide as its first value."""
    low = "- conv: {out_channels: 4, kernel_size: 1}\n  name: a\n  from: input\n"
    wide = "- identity:\n  name: b\n  from: input\n"
    for sources in (["a", "a"], ["b", "b"], ["a", "b"], ["b", "a"], ["a", "b", "a"]):
        text = net(
            f"{low}{wide}- {merge}:\n  from: [{', '.join(sources)}]", head="cnnplan: 1\nname: net\ninput: [4, 6]\n"
        )
        found = plan(text, dtype="bfloat16", target=device)
        node = found.graph.nodes[-1]
        dtypes = [LOW if source == "a" else WIDE for source in sources]
        rule = Rules(found.graph).of(node)
        assert found.memory.widths.values[node.output] == asked(node, dtypes, device, rule).itemsize, sources


@pytest.mark.parametrize("size", [[4, 6], [4, 6, 8], [4, 6, 8, 4]])
def test_an_undone_pool(size: list[int]) -> None:
    """A CPU's autocast casts values to float32, and never places; CUDA's leaves both as they are."""
    rank = len(size) - 1
    text = net(
        "- conv: {out_channels: 4, kernel_size: 1}\n- maxpool: 2\n  name: p\n- max_unpool: p",
        head=f"cnnplan: 1\nname: net\ninput: {size}\n",
    )
    for device in ("cpu", "cuda"):
        found = plan(text, dtype="bfloat16", target=device)
        node, widths = found.graph.nodes[-1], found.memory.widths
        x, places = node.inputs
        assert widths.values[places] == 8
        assert widths.values[x] == (4 if rank == 3 and device == "cpu" else 2)  # of volumes, the pool is cast too
        if device == "cuda":
            assert widths.values[node.output] == 2
            assert node not in widths.casts
            continue
        with torch.autocast("cpu", dtype=LOW):
            given, indices = torch.rand(1, *x.shape).to(LOW), torch.zeros(1, *x.shape, dtype=torch.int64)
            y = getattr(torch.nn.functional, f"max_unpool{rank}d")(given, indices, 2)
        assert widths.values[node.output] == y.element_size() == 4


def test_every_operation_is_asked() -> None:
    names = {layer.partition(":")[0] for layer in layers()} | {*MERGES, *TOKENS, *REGIONS, *TRANSFORMS, *UNDOING}
    assert names == {name for name in registry.names() if registry.find(name) is not None}


# ------------------------------------------------------------------------- what autograd keeps

CONV = "conv: {out_channels: 4, kernel_size: 3, padding: 1}"
HEAD = "- flatten\n- linear: 5"
NETWORKS = {
    "a chain": f"- {CONV}\n- batchnorm\n- relu\n- {CONV}\n- batchnorm\n- relu\n- maxpool: 2\n{HEAD}\n- relu",
    "residual": f"- {CONV}\n- add:\n    a: [{{{CONV}}}, batchnorm, relu]\n    b: []\n- relu\n{HEAD}",
    "a norm first": f"- batchnorm\n- relu\n- {CONV}\n- add:\n    a: [{{{CONV}}}]\n    b: [batchnorm]\n{HEAD}",
    "float32 in front": f"- tanh\n- silu\n- {CONV}\n- softmax\n- upsample: 2\n- gelu\n{HEAD}",
    "other norms": f"- {CONV}\n- groupnorm: 2\n- relu\n- {CONV}\n- layernorm\n- layernorm: channels\n- silu\n{HEAD}",
    "widths that meet": (
        f"- batchnorm\n- concat:\n    a: [{{{CONV}}}]\n    b: []\n"
        "- multiply:\n    a: [{conv: {out_channels: 7, kernel_size: 1}}]\n    b: []\n" + HEAD
    ),
    "a gate": f"- {CONV}\n- squeeze_excite: 2\n{HEAD}",
    "views": f"- {CONV}\n- permute: [1, 2, 0]\n- slice: {{start: 1}}\n{HEAD}",
    "shared": f"- conv: {{out_channels: 3, kernel_size: 3, padding: 1}}\n  name: c\n- relu\n- share: c\n- relu\n{HEAD}",
    "frozen": f"- layers: [{{{CONV}}}, batchnorm, relu]\n  trainable: false\n- {CONV}\n- relu\n{HEAD}",
    "frozen behind": f"- {CONV}\n- layers: [{{{CONV}}}, relu]\n  trainable: false\n{HEAD}",
    "dropped": f"- {CONV}\n- dropout2d: 0.3\n- {CONV}\n- dropout: 0.5\n{HEAD}",
    "transposed": f"- {CONV}\n- conv_transpose: {{out_channels: 3, kernel_size: 2, stride: 2}}\n- elu\n{HEAD}",
    "dense": "- flatten\n- linear: 8\n- leaky_relu\n- linear: 8\n- tanh\n- linear: 3",
    "lrn": f"- {CONV}\n- lrn: 3\n{HEAD}",
    "responses": f"- {CONV}\n- grn\n- silu\n- {CONV}\n- pad: {{padding: 1, mode: mean}}\n- grn\n- flatten\n- linear: 5",
    "unit vectors": f"- {CONV}\n- l2norm: {{scale: 3}}\n- silu\n- {CONV}\n- l2norm: 1\n- tanh\n{HEAD}",
    "scaled": f"- {CONV}\n- layer_scale\n- silu\n{HEAD}",
    "prelu": f"- batchnorm\n- prelu\n- silu\n{HEAD}",
}


class Kept(NamedTuple):
    """Bytes that autograd keeps: copies of parameters that autocast made, and the rest."""

    casts: int
    rest: int


def kept(model: nn.Module, inputs: Sequence[Tensor]) -> Kept:
    """What `saved_tensors_hooks` sees under autocast on a CPU, each storage once."""
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autocast("cpu", LOW), saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = model(*inputs)
    for t in (*model.parameters(), *model.buffers(), *inputs):
        found.pop(t.untyped_storage().data_ptr(), None)
    casts = rest = 0
    lowered = [p.detach().to(LOW).flatten() for p in model.parameters()]
    for t in found.values():
        size = t.untyped_storage().nbytes()
        whole = t.detach().as_strided((size // t.element_size(),), (1,), 0)
        if t.dtype == LOW and any(whole.shape == p.shape and torch.equal(whole, p) for p in lowered):
            casts += size
        else:
            rest += size
    del outputs
    return Kept(casts, rest)


@torch.no_grad()
def built(found: Any) -> nn.Module:
    """A model whose parameters are all of numbers of their own."""
    torch.manual_seed(0)
    model = cnnplan.build(found).train()
    for p in model.parameters():
        p.uniform_(0.1, 0.2).mul_(torch.randn_like(p).sign())
    return model


@pytest.mark.parametrize(
    "name",
    NETWORKS,
)
def test_what_is_kept_under_autocast(name: str) -> None:
    """The weights' copies, which the plan counts apart, are two bytes for each element at most."""
    for batch in (1, 3):
        found = plan(net(NETWORKS[name]), batch=batch, dtype="bfloat16", target="cpu")
        model = built(found)
        casts, rest = kept(model, [torch.randn(batch, *v.shape) for v in found.graph.inputs])
        assert found.training.saved_activations == rest
        tape = found.memory.tape
        copies = sum(s.constant for s in tape.storages if s.part == "cast parameters")
        assert casts <= copies <= 2 * found.parameters


SAVED_PURE = [name for name in NETWORKS if name != "lrn"]  # a CPU does not average volumes of a narrow dtype


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "name",
    SAVED_PURE,
)
def test_what_is_kept_of_a_narrow_model(name: str, dtype: str) -> None:
    """Model and inputs of one dtype: half of all bytes but those of indices and masks."""
    for batch in (1, 3):
        found = plan(net(NETWORKS[name]), batch=batch, dtype=dtype, mixed=False, target="cpu")
        narrow = getattr(torch, dtype)
        model = cnnplan.build(found).to(narrow).train()
        inputs = [torch.randn(batch, *v.shape).to(narrow) for v in found.graph.inputs]
        assert found.training.saved_activations == saved_bytes(model, inputs)
        assert found.training.parameters == sum(p.nbytes for p in model.parameters()) == 2 * found.parameters


def test_by_hand() -> None:
    """On CUDA, by its documented lists: convolutions and products in bfloat16, batch norm in what reaches it.

    Kept of a sample: the input's copy 3 · 64, what the norm reads 4 · 64, and what the ReLU gives, which the
    dense layer reads, 4 · 64, all of two bytes; once: mean and deviation of four channels in float32.
    """
    text = net(f"- {CONV}\n- batchnorm\n- relu\n{HEAD}")
    weights = (4 * 3 * 9 + 4) + 8 + (5 * 256 + 5)
    for batch in (1, 2, 7):
        found = plan(text, batch=batch, dtype="bfloat16", target="cuda").training
        assert found.saved_activations == 2 * (3 + 4 + 4) * 64 * batch + 4 * 8
        assert (found.parameters, found.gradients, found.input) == (4 * weights, 4 * weights, 4 * 3 * 64 * batch)
        pure = plan(text, batch=batch, dtype="float16", mixed=False, target="cuda").training
        assert pure.saved_activations == 2 * (4 + 4) * 64 * batch + 4 * 8
        assert (pure.parameters, pure.gradients, pure.input) == (2 * weights, 2 * weights, 2 * 3 * 64 * batch)


def test_integers_stay_wide() -> None:
    """What is not a number with a fraction is never cast: 8 bytes an element, whatever the dtype."""
    text = "cnnplan: 1\nname: net\ninput: {shape: [4, 8], dtype: int64}\nlayers:\n- flatten\n"
    for mixed in (True, False):
        found = plan(text, batch=3, dtype="bfloat16", mixed=mixed)
        assert found.training.input == 8 * 32 * 3
        assert set(found.memory.widths.values.values()) == {8}
