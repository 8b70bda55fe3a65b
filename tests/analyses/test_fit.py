"""Does it fit? The largest batch, by trying it; every suggestion, by following it; and networks that are none."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import cnnplan
from cnnplan.analyses.distributed import Fleet
from cnnplan.analyses.fit import MOST, Need, Place, largest_batch, need, suggestions
from cnnplan.errors import UsageError
from cnnplan.fitting import fit
from cnnplan.render import json as as_json
from cnnplan.render import json_memory
from cnnplan.render.fit import page
from tests.language.helpers import net

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnplan.analyses.fit import Suggestion
    from cnnplan.memory import Memory

SPECS = Path(__file__).parents[2] / "specs"
GIB = 1 << 30

TINY = """
- conv: {out_channels: 4, kernel_size: 3, padding: 1}
- relu
- maxpool: 2
- flatten
- linear: 3
"""
VECTOR = "cnnplan: 1\nname: net\ninput: [12]\n"
DENSE = "[{linear: 1000}, relu, {linear: 1000}, relu, {linear: 10}]"
WIDE = "- linear: 4000\n- relu\n- linear: 4000\n- linear: 10"
"""Its weights are far larger than a segment of the allocator, its maps far smaller."""


def place(plan: cnnplan.Plan, limit: int, fleet: Fleet | None = None) -> Place:
    """So many bytes on the plan's device."""
    return Place(limit, plan.conditions.device, fleet)


def upper(memory: Memory, where: Place, batch: int, *, training: bool = True) -> int:
    """What a batch needs for sure."""
    return need(memory, where, batch=batch, training=training).total.at_most


# ------------------------------------------------------------------ the largest batch


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("spec", "limit", "options"),
    [
        ("lenet5", 10_000_000, {"target": "cpu"}),
        ("lenet5", GIB, {"target": "rtx4090", "optimizer": "adam"}),
        ("resnet18", None, {"target": "t4", "optimizer": "adamw"}),
        ("resnet18", 3 * GIB, {"target": "cpu"}),
        ("resnet18", 5 * GIB, {"dtype": "bfloat16"}),
        ("vgg11", None, {"target": "v100-32gb", "dtype": "float16"}),
        ("vgg11", 4 * GIB, {"dtype": "float16", "mixed": False}),
        ("unet", 8 * GIB, {"input_size": 188}),
        ("googlenet", None, {"target": "l4"}),
    ],
)
def test_the_largest_batch_fits_and_one_more_does_not(
    spec: str, limit: int | None, options: dict[str, Any], training: bool
) -> None:
    plan = cnnplan.plan(SPECS / f"{spec}.yaml", **options)
    device = plan.conditions.device
    where = place(plan, limit or (device.memory if device else 0))
    found, at, beyond = largest_batch(plan.memory, where, training=training)
    assert 1 <= found < MOST
    assert (at.batch, beyond.batch) == (found, found + 1)
    assert at.total.at_most <= where.limit < beyond.total.at_most
    # planned again for that batch alone, it is the same
    for one in (at, beyond):
        again = cnnplan.plan(SPECS / f"{spec}.yaml", **{**options, "batch": one.batch})
        assert need(again.memory, where, training=training) == one


@pytest.mark.parametrize(("devices", "strategy"), [(2, "ddp"), (8, "ddp"), (4, "fsdp")])
def test_the_largest_batch_of_several_devices(devices: int, strategy: str) -> None:
    plan = cnnplan.plan(SPECS / "resnet18.yaml", optimizer="adam", input_size=64)
    where = place(plan, 2 * GIB, Fleet(devices, strategy))
    found, at, beyond = largest_batch(plan.memory, where)
    assert at.total.at_most <= where.limit < beyond.total.at_most
    alone, _, _ = largest_batch(plan.memory, place(plan, 2 * GIB))
    assert found <= alone if strategy == "ddp" else found >= alone


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"optimizer": "adamw"}, {"dtype": "bfloat16"}])
def test_the_largest_batch_is_what_trying_every_size_finds(training: bool, options: dict[str, Any]) -> None:
    """On a CPU each sample more needs more: every limit between two sizes gives the smaller."""
    memory = cnnplan.plan(net(TINY), target="cpu", **options).memory
    needed = [upper(memory, Place(0), batch, training=training) for batch in range(1, 60)]
    assert needed == sorted(set(needed))
    for limit in sorted({*needed, *(n - 1 for n in needed[1:]), *(n + 1 for n in needed[:-1])}):
        tried = max(batch for batch, n in enumerate(needed, 1) if n <= limit)
        assert largest_batch(memory, Place(limit), training=training)[0] == tried
    assert largest_batch(memory, Place(needed[0] - 1), training=training)[0] == 0


@pytest.mark.parametrize("target", ["t4", "h100"])
def test_the_largest_batch_with_the_allocators_blocks(target: str) -> None:
    """On CUDA, at limits that some batch needs, and a byte below: where those that fit are the smallest ones."""
    plan = cnnplan.plan(SPECS / "lenet5.yaml", target=target)
    where = place(plan, 0)
    needed = [upper(plan.memory, where, batch) for batch in range(1, 400)]
    tried = 0
    for limit in sorted({*needed[:200], *(n - 1 for n in needed[1:200] if n > needed[0])}):
        fitting = [batch for batch, n in enumerate(needed, 1) if n <= limit]
        if fitting == list(range(1, len(fitting) + 1)):
            assert largest_batch(plan.memory, where._replace(limit=limit))[0] == len(fitting)
            tried += 1
    assert tried > 20


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_more_are_not_asked_for(target: str) -> None:
    """Where even very many fit, nothing is claimed beyond them."""
    plan = cnnplan.plan(net("- relu"), target=target)
    found, at, beyond = largest_batch(plan.memory, Place(1 << 60))
    assert (found, at.batch, beyond.batch) == (MOST, MOST, MOST)
    assert "largest batch at least 1,048,576" in page(fit(plan, memory=1 << 60), None, 100).plain


@pytest.mark.parametrize("target", ["cpu", "t4"])
def test_nothing_fits(target: str) -> None:
    """0, and what one sample would need; so much is enough, and a byte less is not."""
    plan = cnnplan.plan(SPECS / "lenet5.yaml", target=target, batch=16)
    one = upper(plan.memory, place(plan, 0), 1)
    found, at, beyond = largest_batch(plan.memory, place(plan, one - 1))
    assert (found, at.batch, beyond.batch) == (0, 1, 1)
    assert at.total.at_most == one
    assert largest_batch(plan.memory, place(plan, one))[0] >= 1
    below = fit(plan, memory=one - 1)
    assert not below.fits
    assert below.at.total.at_most == one
    alone = cnnplan.plan(SPECS / "lenet5.yaml", target=target, batch=1)
    assert fit(alone, memory=one).fits
    assert not fit(alone, memory=one - 1).fits


def test_the_reason_why_nothing_fits() -> None:
    """Parameters alone; or with gradients and the optimizer's state; or all of it together."""
    plan = cnnplan.plan(SPECS / "lenet5.yaml", target="cpu", optimizer="adam")
    training = plan.training
    whole = training.parameters + training.gradients + training.optimizer_state
    for limit, reason in (
        (training.parameters - 1, "the parameters alone are"),
        (training.parameters, "parameters, gradients and optimizer state alone are"),
        (whole - 1, "parameters, gradients and optimizer state alone are"),
        (whole, ""),
    ):
        said = " ".join(page(fit(plan, memory=limit), None, 100).plain.split())
        assert "not even one sample can be trained: " in said
        assert ("alone are" in said) == bool(reason)
        assert reason in said


# ------------------------------------------------------------------ what is needed


@pytest.mark.parametrize("spec", ["lenet5", "resnet18", "squeezenet1_0", "m5"])
def test_needs_are_ranges(spec: str) -> None:
    conditions: list[dict[str, Any]] = [{}, {"dtype": "bfloat16"}, {"optimizer": "adamw", "implementation": "fused"}]
    for options in conditions:
        plan = cnnplan.plan(SPECS / f"{spec}.yaml", **options)
        for batch in (1, 7, 64):
            for training in (True, False):
                found = need(plan.memory, Place(0), batch=batch, training=training)
                assert found.batch == batch
                assert 0 < found.peak <= found.reserved
                for part in (found.workspace, found.context, found.total):
                    assert 0 <= part.at_least <= part.at_most
                assert found.total.at_least == found.peak + found.workspace.at_least + found.context.at_least
                assert found.total.at_most == found.squeezed + found.workspace.at_most + found.context.at_most


def test_on_a_cpu_nothing_is_unknown() -> None:
    plan = cnnplan.plan(SPECS / "lenet5.yaml", target="cpu", batch=4)
    found = need(plan.memory, Place(0))
    assert found.total == (plan.training.peak, plan.training.peak)
    assert found.workspace == found.context == (0, 0)
    assert need(plan.memory, Place(0), training=False).total == (plan.inference.peak, plan.inference.peak)


def test_what_fit_finds_is_what_its_parts_find() -> None:
    plan = cnnplan.plan(SPECS / "lenet5.yaml", target="t4", batch=32, optimizer="adam")
    found = fit(plan)
    where = found.place
    assert plan.conditions.device is not None
    assert where == Place(plan.conditions.device.memory, plan.conditions.device)
    assert found.training == need(plan.memory, where)
    assert found.inference == need(plan.memory, where, training=False)
    assert found.single == need(plan.memory, where, training=False, batch=1)
    assert (found.largest_batch, found.at, found.beyond) == largest_batch(plan.memory, where)
    assert found.largest_inference == largest_batch(plan.memory, where, training=False)[0]
    assert found.suggestions == suggestions(plan.memory, where)
    assert found.headroom == where.limit - found.training.total.at_most
    assert found.share is None
    assert fit(SPECS / "lenet5.yaml", target="t4", batch=32, optimizer="adam").training == found.training


def test_fits_tight_and_does_not() -> None:
    """At the bounds of the range, and a byte below each."""
    plan = cnnplan.plan(SPECS / "lenet5.yaml", target="cuda", batch=32)
    low, high = need(plan.memory, Place(0)).total
    for limit, verdict in (
        (high, (True, False)),
        (high - 1, (False, True)),
        (low, (False, True)),
        (low - 1, (False, False)),
    ):
        found = fit(plan, memory=limit)
        assert (found.fits, found.tight) == verdict


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "which device? name one with --target"),
        ({"memory": 0}, "memory is "),
        ({"memory": -1}, "memory is "),
        ({"memory": "lots"}, "'lots'"),
        ({"memory": "16Gib"}, "'16Gib'"),
        ({"memory": GIB, "devices": 0}, "devices is an integer ≥ 1, not 0"),
        ({"memory": GIB, "devices": 2.0}, "devices is an integer ≥ 1, not 2.0"),
        ({"memory": GIB, "devices": True}, "devices is an integer ≥ 1, not True"),
        ({"memory": GIB, "strategy": "fsdb"}, "there is no strategy 'fsdb'; did you mean 'fsdp'?"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit(cnnplan.plan(net(TINY)), **options)
    assert message in str(caught.value)


def test_amounts_with_units() -> None:
    plan = cnnplan.plan(net(TINY))
    for text, limit in (("16GiB", 16 * GIB), ("24GB", 24 * 10**9), ("1.5 GiB", 3 * GIB // 2), ("800M", 8 * 10**8)):
        assert fit(plan, memory=text).place.limit == limit


@pytest.mark.parametrize("amount", ["1e400", "9e300TiB"])
def test_an_amount_beyond_all_numbers(amount: str) -> None:
    with pytest.raises(UsageError, match="16GiB"):
        fit(cnnplan.plan(net(TINY)), memory=amount)


# ------------------------------------------------------------------ what would need less

CONDITIONS: dict[str, dict[str, Any]] = {
    "t4": {"target": "t4", "batch": 32, "optimizer": "adamw"},
    "cpu": {"target": "cpu", "batch": 16, "optimizer": "adam"},
    "pure": {"batch": 16, "dtype": "bfloat16", "mixed": False, "optimizer": "nesterov"},
}
CASES = [(spec, name) for spec in ("resnet18", "vgg11", "unet", "densenet") for name in CONDITIONS]


@cache
def suggested(spec: str, name: str) -> tuple[Place, Need, list[Suggestion]]:
    """What needs less than a spec of the zoo does: where, what it needs itself, and the suggestions."""
    plan = cnnplan.plan(SPECS / f"{spec}.yaml", **CONDITIONS[name])
    where = place(plan, GIB)
    return where, need(plan.memory, where), suggestions(plan.memory, where)


def text_of(spec: str) -> str:
    """A spec of the zoo."""
    return (SPECS / f"{spec}.yaml").read_text("utf-8")


def stands_there(text: str, what: str) -> bool:
    """Whether the line that a suggestion names holds the item that it names, or the item of that name."""
    match = re.fullmatch(r"checkpoint: true on '([^']*)' \(line (\d+)\)", what)
    assert match
    word, line = match[1], int(match[2])
    here, *below = [*text.split("\n")[line - 1 : line + 3], ""]
    return bool(re.match(rf" *(- )?{word}\b", here)) or any(re.match(rf" *name: {word}$", x) for x in below)


def edited(text: str, what: str) -> str:
    """A spec with what a suggestion says, at the line that it names."""
    match = re.fullmatch(r"(?:(checkpoint): true on|(stride): (\d+|\[[\d, ]+\]) in) '[^']*' \(line (\d+)\)", what)
    assert match
    lines = text.split("\n")
    index = int(match[4]) - 1
    if match[1]:
        dash, item = re.fullmatch(r"( *(?:- )?)(\S.*)", lines[index]).groups()  # type: ignore[union-attr]
        item += "" if ":" in item else ":"
        lines[index] = f"{dash}checkpoint: true\n{' ' * len(dash)}{item}"
    elif "stride:" in lines[index]:
        lines[index] = re.sub(r"stride: (\[[^\]]*\]|[^,}]+)", f"stride: {match[3]}", lines[index])
    else:
        lines[index] = re.sub(r"\}([^}]*)$", rf", stride: {match[3]}}}\1", lines[index])
    return "\n".join(lines)


def followed(text: str, what: str, options: Mapping[str, Any]) -> cnnplan.Plan:
    """The plan again, after a suggestion is followed."""
    if what.startswith("--"):
        key, value = what.removeprefix("--").split()
        return cnnplan.plan(text, **{**options, key: int(value) if key == "batch" else value})
    return cnnplan.plan(edited(text, what), **options)


def promised(text: str, options: Mapping[str, Any], kind: str, limit: int = GIB) -> int:
    """How many suggestions of a kind there are; each is followed, and keeps what it promises."""
    plan = cnnplan.plan(text, **options)
    where = place(plan, limit)
    before = need(plan.memory, where).total.at_most
    found = [one for one in suggestions(plan.memory, where) if one.what.startswith(kind)]
    for one in found:
        after = need(followed(text, one.what, options).memory, where)
        assert after == one.need, one.what
        assert before - after.total.at_most == one.saves, one.what
    return len(found)


@pytest.mark.parametrize(("spec", "name"), CASES)
def test_suggestions_save_something_and_the_most_effective_is_first(spec: str, name: str) -> None:
    where, before, found = suggested(spec, name)
    assert len(found) >= 3
    assert len({one.what for one in found}) == len(found)
    saved = [one.saves for one in found if not one.what.startswith("stride")]
    assert saved == sorted(saved, reverse=True)
    assert [one.saves for one in found][: len(saved)] == saved  # a larger stride makes another network: it comes last
    for one in found:
        assert 0 < one.saves == before.total.at_most - one.need.total.at_most
        assert one.cost
    batch = [one for one in found if one.what.startswith("--batch")]
    assert bool(batch) == (before.total.at_most > where.limit)


@pytest.mark.parametrize(("spec", "name"), CASES)
def test_an_option_needs_what_is_promised(spec: str, name: str) -> None:
    where, before, found = suggested(spec, name)
    options = [one for one in found if one.what.startswith("--")]
    for one in options:
        after = need(followed(text_of(spec), one.what, CONDITIONS[name]).memory, where)
        assert after == one.need
        assert before.total.at_most - after.total.at_most == one.saves
    said = {one.what for one in options if not one.what.startswith("--batch")}
    assert said <= {"--dtype float16", "--optimizer sgd", "--optimizer momentum", "--implementation fused"}
    assert {"--optimizer sgd"} <= said


@pytest.mark.parametrize(("spec", "name"), CASES)
def test_a_checkpoint_needs_what_is_promised(spec: str, name: str) -> None:
    """`checkpoint: true` beside the item at the line that is named: the same peak, to the byte."""
    where, before, found = suggested(spec, name)
    text = text_of(spec)
    tried = 0
    for one in found:
        if one.what.startswith("checkpoint") and stands_there(text, one.what):
            after = need(followed(text, one.what, CONDITIONS[name]).memory, where)
            assert after.peak == one.need.peak, one.what
            assert before.total.at_most - after.total.at_most == one.saves, one.what
            tried += 1
    assert tried or name == "cpu"  # where parameters may weigh so much that it saves nothing


BUILT_IN = "items of built-in blocks are named with lines of files that the reader has not"
INSIDE = "the first convolution alone is changed; its line stands for all uses of the block"


@pytest.mark.parametrize(
    "spec",
    [
        "vgg11",
        "unet",
        "densenet",
        pytest.param("resnet18"),
    ],
)
def test_what_is_suggested_is_in_the_spec(spec: str) -> None:
    """The line that is named holds the item that is named."""
    text = text_of(spec)
    for name in CONDITIONS:
        for one in suggested(spec, name)[2]:
            if one.what.startswith("checkpoint"):
                assert stands_there(text, one.what), one.what


@pytest.mark.parametrize(
    "spec",
    [
        "resnet18",
        "densenet",
        pytest.param("vgg11"),
        pytest.param("unet"),
    ],
)
@pytest.mark.parametrize("name", CONDITIONS)
def test_a_coarser_stride_needs_what_is_promised(spec: str, name: str) -> None:
    where, before, found = suggested(spec, name)
    for one in found:
        if one.what.startswith("stride: "):
            after = need(followed(text_of(spec), one.what, CONDITIONS[name]).memory, where)
            assert after.peak == one.need.peak
            assert before.total.at_most - after.total.at_most == one.saves


CONV = "conv: {out_channels: 8, kernel_size: 3, padding: 1}"


@pytest.mark.parametrize(
    "layers",
    [
        f"- {CONV}\n- sigmoid\n",
        f"- {CONV}\n  name: first\n- sigmoid\n- {CONV}\n",
        "- conv: {out_channels: 8, kernel_size: 3, stride: 2}\n- sigmoid\n",
        "- conv_bn_relu: {out_channels: 8}\n- sigmoid\n",
        f"- add:\n    a:\n      - {CONV}\n      - sigmoid\n    b:\n      - conv: {{out_channels: 8, kernel_size: 1}}\n",
        pytest.param(
            f"- {CONV}\n  repeat: 3\n- sigmoid\n",
        ),
        pytest.param(
            f"- {CONV.replace('8', '3', 1)}\n  name: first\n- share: first\n- sigmoid\n",
        ),
        pytest.param(
            "- conv: {out_channels: 8, kernel_size: 3, stride: [1, 2]}\n- sigmoid\n",
        ),
    ],
)
def test_a_coarser_stride_of_small_networks(layers: str) -> None:
    text = net(layers, head="cnnplan: 1\nname: net\ninput: [3, 64, 64]\n")
    assert promised(text, {"target": "cpu", "batch": 4}, "stride: ") <= 1


def test_no_stride_is_suggested_where_the_network_does_not_run_with_it() -> None:
    text = net("- conv: {out_channels: 8, kernel_size: 3}\n- maxpool: 6\n")  # 8x8, 6x6, 1x1
    found = suggestions(cnnplan.plan(text).memory, Place(GIB))
    assert not [one for one in found if one.what.startswith("stride")]


GROUP = f"layers:\n    - {CONV}\n    - sigmoid\n    - {CONV}\n    - sigmoid\n    - {CONV}\n"
GROUPS = {
    "a group": f"- {GROUP}",
    "a name": f"- {GROUP}  name: front\n",
    "copies": f"- {GROUP}  repeat: 3\n",
    "two": f"- {GROUP}- tanh\n- {GROUP}- tanh\n",
    "a branch": "- add:\n    body:\n" + f"      - {CONV}\n      - sigmoid\n" * 4 + f"    other:\n      - {CONV}\n",
    "run again": f"- {CONV}\n- {GROUP}  name: front\n- share: front\n",
    "nested": "- layers:\n    - " + GROUP.replace("\n", "\n    ") + "- tanh\n",
}


@pytest.mark.parametrize("shape", GROUPS)
@pytest.mark.parametrize("options", [{"target": "cpu", "batch": 8}, {"target": "t4", "batch": 8, "optimizer": "adam"}])
def test_checkpoints_of_small_networks(shape: str, options: dict[str, Any]) -> None:
    """Groups with and without names, copies, branches, and what is run again."""
    behind = f"- tanh\n- {CONV}\n- sigmoid\n- {CONV}\n- tanh\n"
    text = net(GROUPS[shape] + behind, head="cnnplan: 1\nname: net\ninput: [3, 64, 64]\n")
    assert promised(text, options, "checkpoint: ") >= 1


def test_what_is_recomputed_already_is_not_suggested() -> None:
    text = net(GROUPS["a name"] + "  checkpoint: true\n" + GROUPS["two"])
    found = suggestions(cnnplan.plan(text, target="cpu", batch=8).memory, Place(1))
    assert [one for one in found if one.what.startswith("checkpoint")]
    assert not [one for one in found if "'front'" in one.what]


def test_a_narrow_type_where_the_whole_model_is_to_be_cast() -> None:
    assert promised(net(TINY), {"batch": 64, "mixed": False}, "--dtype") == 1


@pytest.mark.parametrize("optimizer", ["{adam: {weight_decay: 0.1}}", "{sgd: {momentum: 0.9, weight_decay: 0.1}}"])
def test_a_lighter_optimizer_has_no_decay_of_trains(optimizer: str) -> None:
    text = net(WIDE, head=VECTOR, more=f"train: {{optimizer: {optimizer}}}")
    for options in ({"target": "cpu"}, {"target": "t4"}, {"target": "t4", "optimizer": "adamw"}):
        assert promised(text, options, "--optimizer") >= 1


@pytest.mark.parametrize(
    ("optimizer", "fused"), [("adam", 1), ("momentum", 0), ("rmsprop", 0), ("rmsprop_momentum", 0)]
)
def test_a_fused_step_is_suggested_where_torch_has_one(optimizer: str, fused: int) -> None:
    """And where it needs less than `foreach`, whose step makes a tensor for each parameter."""
    text = net(WIDE, head=VECTOR)
    assert promised(text, {"target": "t4", "optimizer": optimizer}, "--implementation") == fused


TWICE = "copies of weights that the forward pass freed are freed once more"


@pytest.mark.parametrize(
    ("checkpoint", "dtype"), [("  checkpoint: true", "bfloat16"), ("  checkpoint: true", "float32"), ("", "bfloat16")]
)
def test_mixed_precision_where_layers_are_recomputed(checkpoint: str, dtype: str) -> None:
    """Where the spec says both, or where the other is weighed as a suggestion."""
    text = net(f"- layers:\n    - {CONV}\n    - sigmoid\n{checkpoint}\n- sigmoid\n")
    assert fit(cnnplan.plan(text, dtype=dtype, batch=2), memory=GIB).fits


@pytest.mark.parametrize(
    "options",
    [
        {"target": "cpu"},
        {"optimizer": "adam"},
        {"dtype": "float16", "mixed": False},
        pytest.param({"dtype": "float16"}),
    ],
)
def test_every_storage_is_freed_once(options: dict[str, Any]) -> None:
    """What is freed is there, whatever is recomputed."""
    plan = cnnplan.plan(net(GROUPS["run again"] + GROUPS["copies"] + "  checkpoint: true\n"), **options)
    for tape in (plan.memory.tape, plan.memory.inference_tape):
        alive: set[int] = set()
        for event in tape.events:
            assert (event > 0) == (abs(event) not in alive)
            alive ^= {abs(event)}


# ------------------------------------------------------------------ networks that are none

HEAD = "cnnplan: 1\nname: net\n"
ODD = {
    "no parameters": "input: [3, 8, 8]\nlayers: [relu, {maxpool: 2}]\n",
    "nothing at all": "input: [3, 8, 8]\nlayers: [identity]\n",
    "a view": "input: [3, 8, 8]\nlayers: [flatten]\n",
    "a number": "input: [1]\nlayers: [relu]\n",
    "one by one": "input: [1]\nlayers: [{linear: 1}]\n",
    "a point": "input: [4, 1]\nlayers: [{conv: {out_channels: 3, kernel_size: 1}}]\n",
    "nothing to train": f"input: [3, 8, 8]\nlayers:\n  - {CONV}\n    trainable: false\n  - relu\n",
    "frozen behind": f"input: [3, 8, 8]\nlayers:\n  - {CONV}\n  - {CONV}\n    trainable: false\n  - relu\n",
    "integers": "input: {shape: [7, 4], dtype: int64}\nlayers: [flatten]\n",
    "a volume": "input: [1, 6, 6, 5]\nlayers: [{conv: {out_channels: 2, kernel_size: 3}}, relu]\n",
    "a generator": "input: [3, 4, 4]\nlayers: [{conv_transpose: {out_channels: 3, kernel_size: 4, stride: 2}}]\n",
    "several": (
        "inputs:\n  a: [1, 12, 12]\n  b: [2, 12, 12]\n  c: [1, 20]\n  ids: {shape: [5], dtype: int64}\nlayers:\n"
        f"  - {CONV}\n    from: a\n  - concat:\n    from: [b, previous]\n    name: image\n"
        "  - conv: {out_channels: 3, kernel_size: 4}\n    from: c\n    name: sound\n"
        "  - identity:\n    from: ids\n    name: same\noutputs: [image, sound, same]\n"
    ),
    "an input that nobody reads": "inputs:\n  a: [1, 4]\n  b: [2, 4]\nlayers:\n  - relu:\n    from: a\n",
    "halves": "input: [4, 8]\nlayers:\n  - split: 2\n    name: half\n  - relu:\n    from: half.0\n    name: x\n"
    "outputs: [half.1, x]\n",
    "as wide as there is": "input: [4194304]\nlayers: [{linear: 4194304}, relu]\n",
}


NO_UNITS = "no unit has parameters, and pairs of none are one too many"


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(
    "options",
    [
        {"target": "cpu"},
        {"target": "h100", "batch": 2**40, "optimizer": "adamw"},
        {"target": "orin", "batch": 8, "devices": 7, "optimizer": "rmsprop_momentum"},
        {"memory": 1, "devices": 10**9},
        {"memory": 1 << 70, "dtype": "float16", "mixed": False, "implementation": "fused", "optimizer": "adam"},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_networks_that_nobody_would_build(name: str, options: dict[str, Any]) -> None:
    """An answer, on every page and in JSON, whatever it is."""
    found = fit(HEAD + ODD[name], **options)
    assert not (found.fits and found.tight)
    for width in (40, 80, 160):
        assert "needed" in page(found, None, width, roofline=width == 160).plain
    answer = json.loads(as_json.text(json_memory.fit(found)), parse_constant=pytest.fail)
    assert answer["training"]["total"]["at_least"] <= answer["training"]["total"]["at_most"]
    assert answer["largest_batch"]["training"] == found.largest_batch


@pytest.mark.parametrize(
    "name",
    [
        "one by one",
        "a point",
        "nothing to train",
        "several",
        pytest.param("no parameters"),
        pytest.param("integers"),
    ],
)
def test_shards_of_networks_that_nobody_would_build(name: str) -> None:
    found = fit(HEAD + ODD[name], target="orin", devices=7, strategy="fsdp")
    assert found.share is not None
    assert found.share.parameters == -(-found.plan.training.parameters // 7)
    assert "each of 7 devices, fsdp" in page(found, None, 80).plain


def test_a_deep_network() -> None:
    """A thousand layers, of which every other one may be recomputed."""
    block = f"  - layers: [{{{CONV.replace('8', '3', 1)}}}, relu]\n"
    found = fit(f"{HEAD}input: [3, 8, 8]\nlayers:\n{block * 500}", target="cpu", memory=1 << 20)
    assert len(found.plan.layers) == 1000
    assert not found.fits or found.largest_batch
