"""Built models in use: copied, pickled, compiled, exported, cast, trained; and how they start."""

import copy
import inspect
import io
import math
import pickle
import re
import subprocess
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import cnnplan
from cnnplan.emit import emit
from cnnplan.runtime.build import build as build_graph
from cnnplan.runtime.interpreter import interpret
from tests.cli.run import ROOT
from tests.cli.run import cnnplan as command
from tests.emit.small_networks import NAMES, SPECS, build, disturbed, inputs, listed, outputs, plan
from tests.language.helpers import net

every = pytest.mark.parametrize("name", NAMES)
USELESS = ("tower.linear1.bias",)  # the same in both towers, it leaves their difference as it is
RANDOM = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "StochasticDepth", "StochasticPool")
NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@torch.no_grad()
def run(model: nn.Module, x: list[Tensor]) -> list[Tensor]:
    """What a model gives."""
    return [y.clone() for y in listed(model(*x))]


def close(found: list[Tensor], expected: list[Tensor], **tolerance: float) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


def differs(a: list[Tensor], b: list[Tensor]) -> bool:
    return any(not torch.allclose(p, q) for p, q in zip(a, b, strict=True))


def loss(ys: list[Tensor]) -> Tensor:
    """A number that depends on every entry of the outputs that have gradients."""
    generator = torch.Generator().manual_seed(5)
    total = torch.zeros(())
    for y in ys:
        if y.requires_grad:
            total = total + (y * torch.randn(y.shape, generator=generator)).sum()
    return total


def gradients(model: nn.Module, y: Any) -> dict[str, Tensor | None]:
    model.zero_grad()
    loss(listed(y)).backward()
    return {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def without(text: str, modifier: str) -> str:
    """A spec without a modifier."""
    return re.sub(rf"^ *{modifier}\n", "", text, flags=re.MULTILINE)


def spec(layers: str, head: str = "input: [4, 8, 8]") -> str:
    return f"cnnplan: 1\nname: net\n{head}\nlayers:\n{dedent(layers).strip()}\n"


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


# ------------------------------------------------------------------------- what is built


@every
def test_the_model_computes_the_plan(name: str) -> None:
    model, x = build(name).eval(), inputs(name)
    y = run(model, x)
    assert [tuple(t.shape[1:]) for t in y] == outputs(name)
    assert all(t.isfinite().all() and t.float().std() > 0 for t in y)
    close(y, interpret(plan(name).graph, model, x))


@every
def test_the_model_runs_the_very_source(name: str) -> None:
    model, text = cnnplan.build(SPECS[name]), emit(plan(name).graph).text
    module = sys.modules[type(model).__module__]
    assert inspect.getsource(module) == text
    for cls in {type(m) for m in model.modules() if type(m).__module__ == module.__name__}:
        source = inspect.getsource(cls)
        assert source.startswith(f"class {cls.__name__}(")
        assert source in text


def test_tracebacks_show_the_emitted_lines() -> None:
    model = cnnplan.build(SPECS["two_inputs"])
    image, features = inputs("two_inputs")
    with pytest.raises(RuntimeError) as caught:
        model(image, features[:, :5])
    shown = "".join(traceback.format_exception(caught.value))
    assert "    side = self.side(features)\n" in shown


def test_threads_build_the_same_network_at_once() -> None:
    graph = cnnplan.plan(spec("- conv: {out_channels: 5, kernel_size: 3}\n- relu", "input: [7, 9, 9]")).graph
    found: list[object] = []

    def other() -> None:
        try:
            found.append(type(build_graph(graph)))
        except AttributeError as error:
            found.append(error)

    thread = threading.Thread(target=other)

    def watch(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename.startswith("<cnnplan_built") and not thread.ident:
            thread.start()  # now that the source is being executed
            thread.join(timeout=0.5)
        return watch

    sys.settrace(watch)
    try:
        model = build_graph(graph)
    finally:
        sys.settrace(None)
    assert thread.ident, "the network was built before"
    thread.join()
    assert found == [type(model)]


# ------------------------------------------------------------------------- copies


@every
def test_a_deep_copy_is_on_its_own(name: str) -> None:
    model, x = build(name).eval(), inputs(name)
    y = run(model, x)
    twin = copy.deepcopy(model)
    close(run(twin, x), y)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(-1.5)
    close(run(model, x), y)
    assert differs(run(twin, x), y)
    assert {t.data_ptr() for t in model.state_dict().values()}.isdisjoint(
        t.data_ptr() for t in twin.state_dict().values()
    )


@every
def test_a_state_dict_fits_a_fresh_model(name: str, tmp_path: Path) -> None:
    model, x = build(name).eval(), inputs(name)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    other = build(name, seed=1).eval()
    assert differs(run(other, x), run(model, x))
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True), strict=True)
    close(run(other, x), run(model, x))


@every
def test_seeds_decide_the_weights(name: str) -> None:
    def weights() -> dict[str, Tensor]:
        return {n: p for n, p in cnnplan.build(SPECS[name]).named_parameters() if p.dim() > 1 and "scale" not in n}

    torch.manual_seed(3)
    a, b = weights(), weights()
    torch.manual_seed(3)
    again = weights()
    assert a
    assert all(torch.equal(a[n], again[n]) for n in a)
    assert not any(torch.equal(a[n], b[n]) for n in a)


# ------------------------------------------------------------------------- other processes

CONSUMER = """
import importlib, inspect, io, pickle, runpy, sys, warnings
warnings.simplefilter("error")
import torch
folder, kind = sys.argv[1:]
if kind == "files":
    sys.modules["cnnplan"] = None  # importing it fails
torch.set_num_threads(1)
again = {}
with open(f"{folder}/{kind}.pickle", "rb") as file:
    cases = pickle.load(file)
for name, (blob, saved, x, y, state) in cases.items():
    models = [pickle.loads(blob), torch.load(io.BytesIO(saved), weights_only=False)]
    assert type(models[0]) is type(models[1])
    with torch.no_grad():
        for model in models:
            assert not model.training
            found = model(*x)
            found = [found] if isinstance(found, torch.Tensor) else list(found)
            for a, b in zip(found, y, strict=True):
                torch.testing.assert_close(a, b)
    cls = type(model)
    assert inspect.getsource(cls).startswith(f"class {cls.__name__}(")
    if kind == "files":
        assert cls.__module__ == f"net_{name}"
        module = importlib.import_module(f"net_{name}")
        fresh = getattr(module, cls.__name__)().eval()
        fresh.load_state_dict(state)
        found = fresh(*x)
        found = [found] if isinstance(found, torch.Tensor) else list(found)
        for a, b in zip(found, y, strict=True):
            torch.testing.assert_close(a, b)
        assert cls.__name__ in runpy.run_path(f"{folder}/net_{name}.py", run_name="__main__")
    else:
        again[name] = pickle.dumps(model)
with open(f"{folder}/{kind}_again.pickle", "wb") as file:
    pickle.dump(again, file)
"""


def case(model: nn.Module, name: str) -> tuple[Any, ...]:
    model.eval()
    x = inputs(name)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    return pickle.dumps(model), buffer.getvalue(), x, run(model, x), model.state_dict()


def consume(folder: Path, kind: str, cases: dict[str, Any], path: Path) -> dict[str, bytes]:
    (folder / f"{kind}.pickle").write_bytes(pickle.dumps(cases))
    result = subprocess.run(
        [sys.executable, "-c", CONSUMER, folder, kind],
        env={"PYTHONPATH": str(path), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        cwd=folder.parent,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found: dict[str, bytes] = pickle.loads((folder / f"{kind}_again.pickle").read_bytes())
    return found


def test_pickles_of_built_models_work_in_another_process(tmp_path: Path) -> None:
    cases = {name: case(build(name), name) for name in NAMES}
    again = consume(tmp_path, "built", cases, ROOT)
    for name, (_, _, x, y, _) in cases.items():
        model = pickle.loads(again[name])
        assert type(model) is type(build(name))
        close(run(model, x), y)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that `cnnplan build -o` writes."""
    folder = tmp_path_factory.mktemp("written")
    for name in NAMES:
        target = folder / f"net_{name}.py"
        result = command("build", "-", "-o", target, stdin=SPECS[name], cwd=folder)
        assert (result.code, result.out) == (0, "")
    return folder


def test_written_files_and_pickles_of_their_models_work_without_cnnplan(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(written))
    cases = {}
    for name in NAMES:
        source = emit(plan(name).graph)
        assert (written / f"net_{name}.py").read_text() == source.text
        module = __import__(f"net_{name}")
        torch.manual_seed(4)
        model = getattr(module, source.model)()
        torch.manual_seed(4)
        for key, tensor in cnnplan.build(SPECS[name]).state_dict().items():
            assert torch.equal(model.state_dict()[key], tensor)
        cases[name] = case(disturbed(model), name)
    consume(written, "files", cases, written)


def test_a_model_that_was_compiled_in_place_can_be_pickled() -> None:
    model, x = build("chain").eval(), inputs("chain")
    y = run(model, x)
    model.compile(backend="eager")
    close(run(copy.deepcopy(model), x), y)
    close(run(pickle.loads(pickle.dumps(model)), x), y)


# ------------------------------------------------------------------------- compilers


@every
@pytest.mark.usefixtures("fresh_compiler")
def test_torch_compile_takes_the_whole_graph(name: str) -> None:
    model, x = build(name).eval(), inputs(name)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    found = compiled(*x)
    close(listed(found), listed(model(*x)))
    expected = gradients(model, model(*x))
    for key, gradient in gradients(model, compiled(*x)).items():
        torch.testing.assert_close(gradient, expected[key], rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("fresh_compiler")
def test_a_compiled_model_recomputes_and_learns() -> None:
    model, x = build("recomputed").train(), inputs("recomputed", batch=4)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    expected = gradients(model, model(*x))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    found = gradients(model, compiled(*x))
    assert found.keys() == expected.keys()
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, expected[key], rtol=1e-4, atol=1e-4)


@every
def test_torch_export_takes_any_batch(name: str) -> None:
    model, x = build(name).eval(), inputs(name, batch=3)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(model, tuple(x), dynamic_shapes=tuple({0: batch} for _ in x))
    module = program.module()
    for size in (3, 5):
        x = inputs(name, batch=size)
        close(run(module, x), run(model, x))
    assert {n for n, _ in module.named_parameters()} == {n for n, _ in model.named_parameters()}


@every
@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_torch_jit_trace(name: str) -> None:
    model, x = build(name).eval(), inputs(name)
    with torch.no_grad(), warnings.catch_warnings():
        # torch's own LocalResponseNorm and InstanceNorm ask for shapes; the emitted lines do not
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, module=r"torch\.nn")
        traced = torch.jit.trace(model, tuple(x))
    x = inputs(name, batch=4)
    close(run(traced, x), run(model, x))


# ------------------------------------------------------------------------- batches, formats, dtypes


@every
def test_samples_do_not_see_each_other(name: str) -> None:
    model, x = build(name).eval(), inputs(name, batch=5)
    whole = run(model, x)
    assert [tuple(y.shape) for y in whole] == [(5, *shape) for shape in outputs(name)]
    for i in range(5):
        close(run(model, [v[i : i + 1] for v in x]), [y[i : i + 1] for y in whole])


@every
def test_an_empty_batch(name: str) -> None:
    if name in ("audio", "modern"):
        pytest.skip("torch's own PixelUnshuffle and InstanceNorm take none")
    found = run(build(name).eval(), inputs(name, batch=0))
    assert [tuple(y.shape) for y in found] == [(0, *shape) for shape in outputs(name)]


@every
def test_channels_last(name: str) -> None:
    model, x = build(name).eval(), inputs(name)
    y = run(model, x)
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if not any(v.dim() in formats for v in x):
        pytest.skip("neither images nor volumes")
    for rank in {v.dim() for v in x if v.dim() in formats}:
        model = model.to(memory_format=formats[rank])
    x = [v.contiguous(memory_format=formats[v.dim()]) if v.dim() in formats else v for v in x]
    close(run(model, x), y)
    assert all(g is None or g.isfinite().all() for g in gradients(model, model(*x)).values())


@every
def test_inputs_that_are_not_contiguous(name: str) -> None:
    model, x = build(name).eval(), inputs(name)
    strided = [torch.stack([v, v], -1)[..., 0] for v in x]
    assert not any(v.is_contiguous() for v in strided)
    close(run(model, strided), run(model, x))


@every
@pytest.mark.parametrize("training", [False, True])
def test_dtypes(name: str, training: bool) -> None:
    model, x = build(name).train(training), inputs(name, batch=3)

    def cast(dtype: torch.dtype) -> list[Tensor]:
        torch.manual_seed(2)
        twin = copy.deepcopy(model)
        twin = twin.double() if dtype == torch.float64 else twin.to(dtype)
        found = twin(*[v.to(dtype) if v.is_floating_point() else v for v in x])
        wanted = [dtype if p.is_floating_point() else p.dtype for p in listed(found)]
        assert [p.dtype for p in listed(found)] == wanted
        assert any(p.is_floating_point() for p in listed(found))
        assert all(
            g is None or g.isfinite().all() for g in gradients(twin, [p.float() for p in listed(found)]).values()
        )
        return [p.detach() for p in listed(found)]

    single, double = cast(torch.float32), cast(torch.float64)
    half = single if name == "inception" else cast(torch.bfloat16)  # torch's LocalResponseNorm has none on a CPU
    if training and any(type(m).__name__ in RANDOM for m in model.modules()):
        assert all(p.isfinite().all() for p in half)  # the draws differ
        return
    close([p.to(q.dtype) for p, q in zip(double, single, strict=True)], single, rtol=1e-4, atol=1e-5)
    for p, q in zip(half, single, strict=True):
        if p.is_floating_point():
            assert (p.float() - q).norm() < 0.1 * (q.norm() + 0.1)


@every
def test_autocast(name: str) -> None:
    model, x = build(name).train(), inputs(name, batch=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = listed(model(*x))
    assert [tuple(t.shape[1:]) for t in y] == outputs(name)
    assert all(t.isfinite().all() for t in y)
    loss([t.float() for t in y]).backward()


@every
def test_the_meta_device(name: str) -> None:
    with torch.device("meta"):
        model = cnnplan.build(SPECS[name]).eval()
    tensors = [*model.parameters(), *model.buffers()]
    assert all(t.is_meta for t in tensors)
    y = listed(model(*inputs(name, device="meta")))
    assert all(t.is_meta for t in y)
    assert [tuple(t.shape[1:]) for t in y] == outputs(name)
    real, x = build(name).eval(), inputs(name)
    model.to_empty(device="cpu").load_state_dict(real.state_dict())
    close(run(model, x), run(real, x))
    assert all(t.is_meta for t in real.to("meta").parameters())


# ------------------------------------------------------------------------- training and evaluation


@every
def test_training_and_evaluation(name: str) -> None:
    model, x = build(name), inputs(name, batch=8)
    buffers = {n: b.clone() for n, b in model.named_buffers()}

    def changed() -> set[str]:
        return {n for n, b in model.named_buffers() if not torch.equal(b, buffers[n])}

    model.eval()
    assert not any(m.training for m in model.modules())
    close(run(model, x), run(model, x), rtol=0, atol=0)
    assert changed() == set()
    model.train()
    assert all(m.training for m in model.modules())
    first, second = run(model, x), run(model, x)
    assert differs(first, second) == any(type(m).__name__ in RANDOM for m in model.modules())
    assert changed() == {n for n in buffers if not n.endswith(".weight")}  # but for the filter of a blur
    torch.manual_seed(1)
    first = run(model, x)
    torch.manual_seed(1)
    close(run(model, x), first)


def test_dropouts_drop_what_they_say() -> None:
    text = spec("- dropout: 0.3\n- dropout2d: 0.4\n- stochastic_depth: 0.25", "input: [6, 5, 5]")
    model, found = cnnplan.build(text), {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _, x, y, name=name: found.update({name: (x[0].clone(), y.clone())}))
    x = torch.rand(400, 6, 5, 5) + 1
    torch.manual_seed(0)
    model.train()(x)
    for name, axes, p in (
        ("dropout1", (), 0.3),
        ("dropout2d1", (2, 3), 0.4),
        ("stochastic_depth1", (1, 2, 3), 0.25),
    ):
        given, result = found[name]
        alive = given != 0
        ratio = torch.where(alive, result / torch.where(alive, given, 1), torch.nan)
        values = ratio[alive]
        kept = values > 0
        torch.testing.assert_close(values[kept], torch.full_like(values[kept], 1 / (1 - p)))
        assert bool((values[~kept] == 0).all())
        lowest = ratio.nan_to_num(torch.inf).amin(axes) if axes else ratio.nan_to_num(torch.inf)
        highest = ratio.nan_to_num(-torch.inf).amax(axes) if axes else ratio.nan_to_num(-torch.inf)
        seen = highest >= 0
        torch.testing.assert_close(lowest[seen], highest[seen])  # a whole channel, a whole sample
        dropped = (highest[seen] == 0).float().mean()
        assert abs(dropped - p) < 4 * math.sqrt(p * (1 - p) / int(seen.sum()))
    assert torch.equal(model.eval()(x), x)


@every
def test_gradients_reach_every_parameter_that_is_not_frozen(name: str) -> None:
    frozen = {
        f"{node.path}.{tensor}"
        for node in plan(name).graph.nodes
        if not node.trainable and not node.shared_with
        for tensor in node.op.parameters(*node.shapes)
    }
    assert bool(frozen) == ("trainable: false" in SPECS[name])
    for training in (True, False):
        model, x = build(name).train(training), inputs(name, batch=6)
        assert {n for n, p in model.named_parameters() if not p.requires_grad} == frozen
        for key, gradient in gradients(model, model(*x)).items():
            if key in frozen:
                assert gradient is None
            else:
                assert gradient is not None, key
                assert gradient.isfinite().all()
                assert training or bool(gradient.any()) != (key in USELESS)


@every
def test_an_optimizer_changes_all_but_what_is_frozen(name: str) -> None:
    model, x = build(name).eval(), inputs(name, batch=6)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss(listed(model(*x))).backward()
    optimizer.step()
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, before[key]) != (parameter.requires_grad and key not in USELESS), key


# ------------------------------------------------------------------------- checkpoints


def calls(model: nn.Module) -> Counter[str]:
    """How often each module was called, from now on."""
    found: Counter[str] = Counter()
    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: found.update([name]))
    return found


@every
def test_what_is_checkpointed_is_run_twice(name: str) -> None:
    model, x = build(name).train(), inputs(name)
    found = calls(model)
    y = model(*x)
    forward = Counter(found)
    loss(listed(y)).backward()
    modules = dict(model.named_modules())
    for node in plan(name).graph.nodes:
        if node.path in modules and node.op.parameters(*node.shapes):
            wanted = forward[node.path] * (2 if node.checkpoint else 1)
            assert found[node.path] == wanted, node.path
    assert any(node.checkpoint for node in plan(name).graph.nodes) == (found != forward)
    found.clear()
    run(model, x)
    assert found == forward


def test_a_checkpoint_changes_memory_and_nothing_else() -> None:
    text = SPECS["recomputed"]
    plain_text = without(text, "checkpoint: true")
    assert plain_text.count("checkpoint") == 0 < text.count("checkpoint: true")
    model, plain = build("recomputed"), cnnplan.build(plain_text)
    assert "checkpoint" not in inspect.getsource(type(plain))
    plain.load_state_dict(model.state_dict(), strict=True)
    x = [v.requires_grad_() for v in inputs("recomputed", batch=4)]

    def step(net: nn.Module) -> tuple[list[Tensor], dict[str, Tensor | None], int]:
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        torch.manual_seed(6)
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            y = listed(net.train()(*x))
        amount = sum(kept.values())
        x[0].grad = None
        found = gradients(net, y)
        return [*[t.detach() for t in y], x[0].grad.clone()], found, amount

    y, found, least = step(model)
    expected, wanted, most = step(plain)
    close(y, expected, rtol=0, atol=0)
    assert found.keys() == wanted.keys()
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[key], rtol=0, atol=0)
    assert least < 0.6 * most


def test_batch_norms_inside_a_checkpoint_count_twice() -> None:
    model = cnnplan.build(spec("- conv_bn_relu: 4\n- conv_bn_relu: 4\n  checkpoint: true"))
    loss(listed(model.train()(torch.randn(2, 4, 8, 8)))).backward()
    assert model.conv_bn_relu1.batchnorm1.num_batches_tracked == 1
    assert model.conv_bn_relu2.batchnorm1.num_batches_tracked == 2


# ------------------------------------------------------------------------- shared layers


def test_what_is_shared_is_one_module() -> None:
    model = build("siamese").eval()
    assert plan("siamese").parameters == sum(p.numel() for p in model.parameters())
    x = inputs("siamese")
    found = calls(model)
    twice = run(model, [x[0], x[0]])
    assert found["tower"] == 2
    close(twice, [torch.sigmoid(model.linear1.bias).detach().expand(2, 1)])
    both = gradients(model, model(*x))
    gradient = both["tower.conv1.weight"]
    assert gradient is not None
    parts = []
    for i in (0, 1):
        towers = [model.tower(v) for v in x]
        towers[i] = towers[i].detach()
        y = model.sigmoid1(model.linear1(model.abs1(towers[0] - towers[1])))
        parts.append(gradients(model, y)["tower.conv1.weight"])
    assert parts[0] is not None
    assert parts[1] is not None
    torch.testing.assert_close(parts[0] + parts[1], gradient)


# ------------------------------------------------------------------------- how weights start


@every
def test_norms_and_biases_start_as_documented(name: str) -> None:
    for key, module in cnnplan.build(SPECS[name]).named_modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        kind = type(module).__name__
        if bias is not None:
            assert torch.equal(bias, torch.zeros_like(bias)), key
        if weight is not None and ("Norm" in kind or kind == "Scale"):
            assert torch.equal(weight, torch.ones_like(weight)), key
        if isinstance(module, NORMS):
            assert torch.equal(module.running_mean, torch.zeros_like(module.running_mean))
            assert torch.equal(module.running_var, torch.ones_like(module.running_var))
            assert module.num_batches_tracked == 0
        if kind == "LayerScale":
            assert torch.equal(weight, torch.full_like(weight, 0.5 if name == "frozen" else 0.1))


def he(fan_in: int, gain: float = 2) -> float:
    return math.sqrt(gain / fan_in)


def glorot(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2 / (fan_in + fan_out))


HEAD = "\n- global_avgpool\n- linear: 900"
RELUS = """
- conv: {out_channels: 64, kernel_size: 3}
- relu
- conv: {out_channels: 256, kernel_size: 3, groups: 2}
- batchnorm
- relu
- depthwise_conv: {kernel_size: 5, padding: 2, multiplier: 8}
- silu
- conv: {out_channels: 32, kernel_size: 1}
- conv: {out_channels: 128, kernel_size: 3, padding: 1}
- maxpool: 2
- relu6"""
COPIES = """
- layers:
    - conv: {out_channels: 40, kernel_size: 3, padding: 1}
    - relu
  repeat: 3
  name: stage
- flatten
- layers:
    - linear: 64
  name: head"""
STARTS: dict[str, tuple[str, dict[str, float]]] = {
    "relu": (
        RELUS + HEAD,
        {
            "conv1": he(40 * 9),
            "conv2": he(32 * 9),
            "depthwise_conv1": he(25),
            "conv3": he(2048),
            "conv4": he(32 * 9),
            "linear1": glorot(128, 900),
        },
    ),
    "leaky": (
        "- conv: {out_channels: 64, kernel_size: 3}\n- leaky_relu: 0.5" + HEAD,
        {"conv1": he(40 * 9, 2 / 1.25), "linear1": glorot(64, 900)},
    ),
    "selu": (
        "- conv: {out_channels: 64, kernel_size: 3}\n- selu" + HEAD,
        {"conv1": he(40 * 9, 1), "linear1": glorot(64, 900)},
    ),
    "tanh": (
        "- conv: {out_channels: 64, kernel_size: 3}\n- tanh" + HEAD + "\n- softmax",
        {"conv1": glorot(40 * 9, 64 * 9), "linear1": glorot(64, 900)},
    ),
    "alone": ("- conv: {out_channels: 64, kernel_size: 3}", {"conv1": glorot(40 * 9, 64 * 9)}),
    "frozen": (
        "- conv: {out_channels: 64, kernel_size: 3}\n  trainable: false\n- relu" + HEAD + "\n  trainable: false",
        {"conv1": he(40 * 9), "linear1": glorot(64, 900)},
    ),
    "copies": (
        COPIES,
        {"stage.0.conv1": he(360), "stage.2.conv1": he(360), "head.linear1": glorot(40 * 144, 64)},
    ),
}


def spread(text: str, wanted: dict[str, float]) -> None:
    torch.manual_seed(0)
    model = cnnplan.build(text)
    for name, std in wanted.items():
        weight = model.get_submodule(name).weight
        assert weight.numel() > 5000
        assert abs(weight.mean()) < 5 * std / math.sqrt(weight.numel())
        torch.testing.assert_close(weight.std().item(), std, rtol=5 / math.sqrt(2 * weight.numel()), atol=0)
        # normal, neither uniform nor cut
        torch.testing.assert_close(((weight / std) ** 4).mean().item(), 3.0, rtol=0.2, atol=0)


@pytest.mark.parametrize("case", STARTS)
def test_weights_start_as_documented(case: str) -> None:
    layers, wanted = STARTS[case]
    spread(spec(layers, "input: [40, 12, 12]"), wanted)


def test_each_layer_starts_as_its_own_activation_asks() -> None:
    layers = "- conv: {out_channels: 64, kernel_size: 3}\n- relu\n- conv: {out_channels: 64, kernel_size: 3}\n- tanh\n"
    layers += "- conv: {out_channels: 64, kernel_size: 3}\n- relu" + HEAD
    spread(
        spec(layers, "input: [40, 12, 12]"),
        {"conv1": he(360), "conv2": glorot(576, 576), "conv3": he(576), "linear1": glorot(64, 900)},
    )


def test_a_gate_starts_as_the_network_does() -> None:
    layers = "- conv: {out_channels: 256, kernel_size: 3}\n- relu\n- squeeze_excite: {reduction: 4}" + HEAD
    spread(
        spec(layers, "input: [40, 6, 6]"),
        {"squeeze_excite1.multiply1.gate.conv1": he(256), "squeeze_excite1.multiply1.gate.conv2": he(64)},
    )


def test_a_transposed_convolution_keeps_the_variance() -> None:
    """He et al. 2015: n is the number of inputs that an output is the sum of, here 256 * 4 * 4 / 2 / 2."""
    layers = "- conv_transpose: {out_channels: 16, kernel_size: 4, stride: 2, padding: 1}\n- relu\n"
    layers += "- conv: {out_channels: 4, kernel_size: 1}"
    spread(spec(layers, "input: [256, 6, 6]"), {"conv_transpose1": he(256 * 4)})


# ------------------------------------------------------------------------- names that meet


def agrees(text: str) -> None:
    """The built model computes the plan."""
    graph = cnnplan.plan(text).graph
    torch.manual_seed(0)
    model = cnnplan.build(text).eval()
    x = [torch.randn(2, *v.shape) for v in graph.inputs]
    close(run(model, x), interpret(graph, model, x))


def test_a_branch_of_concat_may_be_called_dim() -> None:
    agrees(spec("- concat:\n    dim: [{conv: {out_channels: 4, kernel_size: 1}}]\n    b: []"))


@pytest.mark.parametrize("name", ["result", "others", "branch", "x", "weight", "bias", "dim_", "torch", "nn"])
@pytest.mark.parametrize("merge", ["add", "concat", "maximum"])
def test_branches_may_be_called_like_what_the_helpers_use(merge: str, name: str) -> None:
    agrees(spec(f"- {merge}:\n    {name}: [{{conv: {{out_channels: 4, kernel_size: 1}}}}]\n    b: []\n- batchnorm"))


LOOP = """
- conv: {out_channels: 4, kernel_size: 1}
  name: NAME
- layers:
    - conv: {out_channels: 4, kernel_size: 3, padding: 1}
    - relu
  repeat: 4
- add:
  from: [NAME, previous]
"""


@pytest.mark.parametrize(
    "name",
    [
        "i",
        "x",
        "j",
        "conv1_",
        "getattr",
        "range",
    ],
)
def test_a_value_may_be_called_like_a_loop_variable(name: str) -> None:
    agrees(spec(LOOP.replace("NAME", name)))


RECOMPUTED = """
- conv: {out_channels: 4, kernel_size: 1}
  name: NAME
- layers:
    - conv: {out_channels: 4, kernel_size: 3, padding: 1}
    - add:
      from: [NAME, previous]
  name: part
  checkpoint: true
- add:
  from: [NAME, previous]
"""


@pytest.mark.parametrize(
    "name",
    [
        "run_part",
        "x",
        "x1",
        "checkpoint",
    ],
)
def test_a_value_may_be_called_like_what_a_checkpoint_needs(name: str) -> None:
    agrees(spec(RECOMPUTED.replace("NAME", name)))


MIXED = """
cnnplan: 1
name: {model}
input: [4, 8, 8]
blocks:
  {block}:
    params: {{{param}: int, depth: 1}}
    layers:
      - add:
          body:
            - conv: {{out_channels: ={param}, kernel_size: 3, padding: 1}}
              repeat: =depth
          shortcut:
            - conv: {{out_channels: ={param}, kernel_size: 1}}
      - relu
layers:
  - {block}: 4
    name: first
  - {block}: {{{param}: 6, depth: 3}}
  - {block}: {{{param}: 8, depth: 4}}
  - crop: {{like: first}}
  - conv: {{out_channels: 3, kernel_size: 1}}
"""


@pytest.mark.parametrize(
    ("model", "block", "param"),
    [
        ("add", "tensor", "nn"),
        ("tensor", "mean_", "torch"),
        ("net", "net", "i"),
        ("initialize", "layer_scale_", "self"),
        ("f", "checkpoint_", "int"),
        ("center_crop", "sequential", "range"),
        ("_", "nn", "super"),
        ("exception", "value_error", "in_channels_"),
        ("model", "initialize", "x"),
    ],
)
def test_names_of_the_source_may_be_names_of_the_spec(model: str, block: str, param: str) -> None:
    agrees(MIXED.format(model=model, block=block, param=param))


def test_a_pose_starts_at_the_identity() -> None:
    """So that a spatial transformer gives what enters it, at the start, in the plane and in space."""
    for shape, numbers in (([2, 6, 5], 6), ([2, 4, 6, 5], 12)):
        text = net(
            f"- flatten\n- linear: {numbers}\n  name: pose\n- spatial_transformer: {{align_corners: true}}\n"
            "  from: [input, pose]\n- relu",
            head=f"cnnplan: 1\nname: net\ninput: {shape}\n",
        )
        model, x = cnnplan.build(text).eval(), torch.rand(3, *shape)
        torch.testing.assert_close(model(x), x)
        assert model.pose.weight.count_nonzero() == 0
        assert all(p.requires_grad and p.is_leaf for p in model.parameters())


@pytest.mark.parametrize("kind", ["add", "multiply", "subtract", "maximum", "mean", "concat"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("last", ["conv", "empty"])
def test_merges_hold_what_the_plan_says(kind: str, count: int, last: str) -> None:
    """Modules that merge results as they come are for two branches; of three, an expression may hold less."""
    conv = "[{conv: {out_channels: 3, kernel_size: 3, padding: 1}}]"
    branches = [conv] * (count - 1) + [conv if last == "conv" else "[]"]
    text = net("\n".join([f"- {kind}:", *(f"    {name}: {it}" for name, it in zip("abc", branches, strict=False))]))
    module = count == 2 or kind in ("mean", "concat")
    assert (kind.title() in {type(module).__name__ for module in cnnplan.build(text).modules()}) is module
    found = cnnplan.verify(text, probes=2)
    assert found.passed
    if module:
        assert {check.what for check in found.checks if "peak" in check.what and check.verdict != "exact"} == set()


def test_what_is_empty_is_not_called() -> None:
    """An empty branch is its input."""
    model = cnnplan.build(net("- add:\n    a: [{conv: {out_channels: 3, kernel_size: 1}}]\n    b: []"))
    called: list[str] = []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    x = torch.randn(1, 3, 4, 4)
    y = model(x)
    assert called == ["add1.a.conv1", "add1.a", "add1", ""]
    torch.testing.assert_close(y, x + model.get_submodule("add1.a")(x))
