"""cnnplan fit, and memory and time in check: what is printed, the exit codes, and what is said of bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import cnnplan as package
from cnnplan.render.numbers import percent, size
from tests.cli import run
from tests.cli.inside import cnnplan
from tests.cli.run import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30

SMALL = """\
cnnplan: 1
name: small
input: [3, 128, 128]
blocks:
  step:
    params: {width: int}
    layers:
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
      - sigmoid
      - conv: {out_channels: =width, kernel_size: 3, padding: 1}
      - sigmoid
layers:
  - step: 32
  - step: 32
    name: middle
  - maxpool: 2
  - step: 64
  - global_avgpool
  - linear: 10
"""
TINY = "cnnplan: 1\nname: tiny\ninput: [3, 8, 8]\n%slayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n  - relu\n"
LONG = "a_name_as_long_as_the_name_of_a_layer_may_be_no_letter_more"[:58]
NESTED = f"""\
cnnplan: 1
name: {LONG}
input: [3, 64, 64]
blocks:
  inner:
    layers:
      - conv: {{out_channels: 32, kernel_size: 3, padding: 1}}
        name: {LONG}
      - sigmoid:
        name: {LONG}_2
layers:
  - layers:
      - inner:
        name: {LONG}
      - inner:
        name: {LONG}_2
    name: {LONG}
  - inner:
    name: {LONG}_2
"""
DENSE = "cnnplan: 1\nname: dense\ninput: [1000]\nlayers: [{linear: 4000}, relu, {linear: 4000}, {linear: 10}]\n"
BROKEN = SMALL.replace("- maxpool: 2", "- maxpol: 2")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    for name, text in (("small", SMALL), ("tiny", TINY % ""), ("nested", NESTED), ("broken", BROKEN)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def flat(text: str) -> str:
    """The text without line breaks: what it says, whatever the width."""
    return " ".join(text.split())


def answer(*arguments: object, code: int = 0, **options: Any) -> dict[str, Any]:
    """What `fit --format json` gives."""
    result = cnnplan("fit", *arguments, "--format", "json", **options)
    assert (result.code, result.err) == (code, "")
    found: dict[str, Any] = json.loads(result.out, parse_constant=pytest.fail)
    assert found["format_version"] == "1.0"
    return found


def part(text: str, title: str) -> list[str]:
    """The lines below a title, as far as a blank line."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[start : lines.index("", start)]


def suggested(text: str) -> list[tuple[str, str]]:
    """The suggestions that are printed: what is saved, and the words."""
    found: list[tuple[str, str]] = []
    for line in part(text, "what would need less"):
        if match := re.match(r" *−([\d.]+ \w+) {3}(.*)", line):
            found.append((match[1], match[2]))
        else:
            saved, words = found.pop()
            found.append((saved, f"{words} {line.strip()}"))
    return found


# ------------------------------------------------------------------ what is printed


def test_the_page_has_the_parts_of_the_plan(specs: Path) -> None:
    """Each part with its bytes, the peak with its place, the verdict with both bounds."""
    options = ("--target", "t4", "--batch", "64", "--optimizer", "adamw")
    result = cnnplan("fit", "small.yaml", *options, cwd=specs)
    assert (result.code, result.err) == (0, "")
    found = answer("small.yaml", *options, cwd=specs)
    rows = {line[:20].strip(): line[20:31].strip() for line in part(result.out, "training")}
    training = found["memory"]["training"]
    for word, key in (
        ("parameters", "parameters"),
        ("gradients", "gradients"),
        ("optimizer state", "optimizer_state"),
        ("saved activations", "saved_activations"),
        ("peak", "peak"),
    ):
        assert rows[word] == size(training[key])
    assert rows["input and target"] == size(training["input"] + training["target"])
    assert "buffers" not in rows  # there are none
    at = training["peak_at"]
    assert f"in the {at['phase']} of {at['layer']} (line {at['line']})" in flat(result.out)
    need = found["training"]
    assert re.search(rf"\nallocated +{size(need['allocated'])} ", result.out)
    assert re.search(rf"\nreserved +{size(need['reserved'])} ", result.out)
    low, high = (size(need["total"][key]) for key in ("at_least", "at_most"))
    assert f"\nneeded              {low} to {high} of 14.74 GiB\n" in result.out
    assert result.out.startswith("small  small.yaml\nbatch 64, float32, adamw (foreach); NVIDIA T4")


def test_the_page_has_the_batches_of_the_plan(specs: Path) -> None:
    for options in (("--target", "t4"), ("--memory", "2GiB"), ("--target", "cpu", "--memory", "500MB")):
        out = flat(cnnplan("fit", "small.yaml", *options, cwd=specs).out)
        largest = answer("small.yaml", *options, cwd=specs)["largest_batch"]
        assert largest["at"]["batch"] == largest["training"]
        assert largest["beyond"]["batch"] == largest["training"] + 1
        assert f"largest batch {largest['training']:,}: up to {size(largest['at']['total']['at_most'])}; " in out
        assert f"{largest['beyond']['batch']:,} would need up to {size(largest['beyond']['total']['at_most'])}" in out
        assert f"largest batch of an inference {largest['inference']:,}" in out


def test_the_largest_batch_is_one_that_fits(specs: Path) -> None:
    """Ask for it, and for one more."""
    limit = ("--memory", "2GiB")
    found = answer("small.yaml", *limit, cwd=specs)["largest_batch"]["training"]
    assert cnnplan("fit", "small.yaml", *limit, "--batch", found, cwd=specs).code == 0
    assert cnnplan("fit", "small.yaml", *limit, "--batch", found + 1, cwd=specs).code == 1


def test_the_layers_that_keep_most_are_those_of_check(specs: Path) -> None:
    out = cnnplan("fit", "small.yaml", "--memory", "4GiB", "--batch", "8", cwd=specs).out
    plan = package.plan(specs / "small.yaml", batch=8)
    heaviest = sorted(plan.layers, key=lambda layer: -layer.saved_bytes)[:5]
    rows = part(out, "layers that keep most")
    for row, layer in zip(rows, [layer for layer in heaviest if layer.saved_bytes], strict=False):
        name, line, bytes_, share = re.match(r"(\S+) +line +(\d+) +([\d.]+ \w+) +([\d.]+ %)", row).groups()  # type: ignore[union-attr]
        assert (int(line), bytes_) == (plan.layer(name).line, size(layer.saved_bytes))
        assert share == percent(layer.saved_bytes, plan.training.saved_activations)


@pytest.mark.parametrize("options", [("--memory", "1GiB", "--batch", "64"), ("--target", "t4", "--batch", "2000")])
def test_printed_suggestions_are_those_of_json(specs: Path, options: tuple[str, ...]) -> None:
    """The bytes are the difference of the upper bounds; "then it fits" stands exactly where it then does."""
    options = (*options, "--optimizer", "adam")
    result = cnnplan("fit", "small.yaml", *options, cwd=specs)
    assert result.code == 1
    found = answer("small.yaml", *options, code=1, cwd=specs)
    printed = suggested(result.out)
    assert len(printed) == min(8, len(found["suggestions"]))
    fitting = 0
    for (saved, words), one in zip(printed, found["suggestions"], strict=False):
        assert words.startswith(f"{one['what']}: {one['cost']}")
        assert saved == size(one["saves"])
        assert one["saves"] == found["training"]["total"]["at_most"] - one["total"]["at_most"]
        assert words.endswith("; then it fits") == (one["total"]["at_most"] <= found["limit"])
        fitting += "then it fits" in words
    assert 0 < fitting < len(printed)


def test_what_fits_already_is_not_said_to_fit_then(specs: Path) -> None:
    result = cnnplan("fit", "small.yaml", "--memory", "8GiB", "--batch", "8", cwd=specs)
    assert result.code == 0
    assert suggested(result.out)
    assert "then it fits" not in flat(result.out)
    assert re.search(r"^fits, \d+ % free$", result.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("batch", "kinds"),
    [(20_000, {"--batch", "--optimizer", "--dtype"}), (2, {"--optimizer", "--implementation"})],
)
def test_an_option_that_is_suggested_does_what_it_promises(batch: int, kinds: set[str]) -> None:
    """On the command line, as it is printed: where samples weigh most, and where the optimizer's step does."""
    options = ("--memory", "100MB", "--batch", batch, "--optimizer", "adam")
    found = answer("-", *options, code=1, stdin=DENSE)
    asked = [one for one in found["suggestions"] if one["what"].startswith("--")]
    assert kinds <= {one["what"].split()[0] for one in asked}
    for one in asked:
        code = int(one["total"]["at_most"] > found["limit"])
        after = answer("-", *options, *one["what"].split(), code=code, stdin=DENSE)
        assert after["training"]["total"] == one["total"]


def test_a_narrow_type_does_what_it_promises(specs: Path) -> None:
    options = ("--memory", "1GiB", "--batch", "64")
    found = answer("small.yaml", *options, code=1, cwd=specs)
    (one,) = (one for one in found["suggestions"] if one["what"].startswith("--dtype"))
    code = int(one["total"]["at_most"] > found["limit"])
    assert (
        answer("small.yaml", *options, *one["what"].split(), code=code, cwd=specs)["training"]["total"] == one["total"]
    )


def test_a_checkpoint_that_is_suggested_does_what_it_promises(specs: Path) -> None:
    """Written into the spec at the line that is named."""
    options = ("--target", "cpu", "--memory", "20MB", "--batch", "8")
    found = answer("small.yaml", *options, code=1, cwd=specs)
    asked = [one for one in found["suggestions"] if one["what"].startswith("checkpoint")]
    assert asked
    for one in asked:
        lines = SMALL.split("\n")
        line = int(re.search(r"\(line (\d+)\)", one["what"])[1])  # type: ignore[index]
        lines[line - 1] += "\n    checkpoint: true"
        after = answer("-", *options, code=1, stdin="\n".join(lines))
        assert after["training"]["total"] == one["total"]


# ------------------------------------------------------------------ what does not fit


def test_exit_codes(specs: Path) -> None:
    """0 where even the upper bound fits; 1 between the bounds, and below both."""
    low, high = answer("small.yaml", "--memory", "16GiB", cwd=specs)["training"]["total"].values()
    for limit, code, verdict in (
        (high, 0, "fits, 0 % free"),
        (high - 1, 1, "tight: "),
        (low, 1, "tight: "),
        (low - 1, 1, "does not fit: at least 1 B too much"),
    ):
        result = cnnplan("fit", "small.yaml", "--memory", limit, cwd=specs)
        assert (result.code, result.err) == (code, "")
        assert re.search(rf"^{re.escape(verdict)}", result.out, re.MULTILINE)
        found = answer("small.yaml", "--memory", limit, code=code, cwd=specs)
        assert (found["fits"], found["tight"]) == (code == 0, verdict.startswith("tight"))
        assert found["headroom"] == limit - high


@pytest.mark.parametrize("options", [("--target", "t4"), ("--target", "cpu"), ("--devices", "4", "--strategy", "fsdp")])
def test_the_smallest_amount_that_would_do(specs: Path, options: tuple[str, ...]) -> None:
    """Said where not even one sample fits; with so much one does, with a byte less none."""
    tight = answer("small.yaml", *options, "--batch", "8", "--memory", "1MiB", code=1, cwd=specs)
    largest = tight["largest_batch"]
    assert (largest["training"], largest["at"]["batch"]) == (0, 1)
    enough = largest["at"]["total"]["at_most"]
    out = flat(cnnplan("fit", "small.yaml", *options, "--batch", "8", "--memory", "1MiB", cwd=specs).out)
    assert "not even one sample can be trained: " in out
    said = re.search(r"it needs up to ([\d.]+) MiB", out)
    assert said
    assert float(said[1]) == pytest.approx(enough / 2**20, abs=0.01)
    assert answer("small.yaml", *options, "--batch", "1", "--memory", enough, cwd=specs)["fits"]
    assert not answer("small.yaml", *options, "--batch", "1", "--memory", enough - 1, code=1, cwd=specs)["fits"]


def test_the_smallest_amount_as_it_is_printed(specs: Path) -> None:
    for options in (("--target", "t4"), ("--target", "h100"), ("--target", "cpu"), ("--target", "l4")):
        for spec in ("small", "tiny", "nested"):
            out = flat(cnnplan("fit", f"{spec}.yaml", *options, "--memory", "1KiB", cwd=specs).out)
            amount = re.search(r"it needs up to ([\d.]+ \w+)", out)
            assert amount
            assert cnnplan("fit", f"{spec}.yaml", *options, "--memory", amount[1], cwd=specs).code == 0, amount[1]


def test_an_amount_on_the_cpu_is_not_this_machines(specs: Path) -> None:
    out = cnnplan("fit", "tiny.yaml", "--target", "cpu", "--memory", "8GiB", cwd=specs).out
    assert "8.00 GiB" in out
    assert "of this machine" not in out


def test_why_not_even_one_sample_fits() -> None:
    """Parameters alone, or what belongs to them, or what one sample keeps."""
    dense = "cnnplan: 1\nname: dense\ninput: [1000]\nlayers: [{linear: 1000}, {linear: 10}]\n"
    for amount, reason in (("1MB", "the parameters alone are 3.86 MiB"), ("10MB", "state alone are 15.43 MiB")):
        options = ("--target", "cpu", "--optimizer", "adam", "--memory", amount)
        result = cnnplan("fit", "-", *options, stdin=dense)
        assert result.code == 1
        assert reason in flat(result.out)
    assert "an inference of one sample needs up to" in flat(cnnplan("fit", "-", "--memory", "1MB", stdin=dense).out)


# ------------------------------------------------------------------ what is planned for


def test_the_device_of_the_spec() -> None:
    text = TINY % "target: {device: rtx 4090, batch: 8, optimizer: adam, dtype: float32}\n"
    found = answer("-", stdin=text)["memory"]
    assert (found["target"], found["batch"], found["optimizer"]) == ("rtx4090", 8, "adam")
    options = ("--target", "t4", "--batch", "2", "--optimizer", "momentum")
    found = answer("-", *options, stdin=text)["memory"]
    assert (found["target"], found["batch"], found["optimizer"]) == ("t4", 2, "momentum")
    found = answer("-", "--memory", "1GiB", stdin=text)
    assert (found["memory"]["target"], found["limit"]) == ("rtx4090", GIB)
    assert "NVIDIA GeForce RTX 4090 PCIe 24 GB, 1.00 GiB" in flat(
        cnnplan("fit", "-", "--memory", "1GiB", stdin=text).out
    )


def test_the_batch_of_train() -> None:
    text = TINY % "train: {batch: 16, optimizer: {sgd: {momentum: 0.9}}, ema: 0.99}\n"
    found = answer("-", "--memory", "8GiB", stdin=text)["memory"]
    assert (found["batch"], found["optimizer"]) == (16, "momentum")
    assert found["training"]["average"] == found["training"]["parameters"]
    assert "average of weights" in cnnplan("fit", "-", "--memory", "8GiB", stdin=text).out


def test_variables_and_the_input_size(specs: Path) -> None:
    small = answer("small.yaml", "--memory", "8GiB", "--input-size", "64x32", cwd=specs)["memory"]["training"]
    assert small["input"] == 4 * 3 * 64 * 32
    text = SMALL.replace("- linear: 10", "- linear: =classes").replace("blocks:", "variables: {classes: 10}\nblocks:")
    wide = answer("-", "--memory", "8GiB", "--set", "classes=1000", stdin=text)["memory"]["training"]
    assert wide["parameters"] - small["parameters"] == 4 * 990 * 65


def test_a_whole_model_in_a_narrow_type(specs: Path) -> None:
    wide = answer("small.yaml", "--memory", "8GiB", cwd=specs)["memory"]["training"]
    found = answer("small.yaml", "--memory", "8GiB", "--dtype", "bfloat16", "--pure", cwd=specs)["memory"]
    assert (found["dtype"], found["mixed"]) == ("bfloat16", False)
    for key in ("parameters", "gradients", "input", "saved_activations"):
        assert found["training"][key] * 2 == wide[key] or key == "saved_activations"
    out = cnnplan("fit", "small.yaml", "--memory", "8GiB", "--dtype", "bfloat16", "--pure", cwd=specs).out
    assert "batch 1, bfloat16, all of it, sgd (foreach)" in flat(out)


@pytest.mark.parametrize(("strategy", "devices"), [("ddp", 2), ("fsdp", 8)])
def test_several_devices(specs: Path, strategy: str, devices: int) -> None:
    options = ("--target", "t4", "--batch", "16", "--optimizer", "adam", "--devices", devices, "--strategy", strategy)
    found = answer("small.yaml", *options, cwd=specs)
    training, share = found["memory"]["training"], found["devices"]
    assert (share["devices"], share["strategy"], share["global_batch"]) == (devices, strategy, 16 * devices)
    for key in ("parameters", "gradients", "optimizer_state"):
        assert share[key] == training[key] if strategy == "ddp" else -(-training[key] // devices)
    assert share["buckets"] == (training["gradients"] if strategy == "ddp" else 0)
    out = cnnplan("fit", "small.yaml", *options, cwd=specs).out
    rows = {line[:20].strip(): line[20:31].strip() for line in part(out, f"each of {devices} devices, {strategy}")}
    assert rows["parameters"] == size(share["parameters"])
    assert rows["peak"] == size(share["peak"])
    assert f"{16 * devices} samples on all of them" in out
    assert answer("small.yaml", "--target", "t4", cwd=specs)["devices"] is None


def test_times_are_bounds_of_the_device(specs: Path) -> None:
    """Longer on a slower device, for a larger batch, for a step than for an inference; none without a device."""
    fast, slow = (answer("small.yaml", "--target", t, "--batch", "64", cwd=specs)["roofline"] for t in ("h100", "t4"))
    for roof in (fast, slow):
        assert 0 < roof["inference"]["seconds"] < roof["training"]["training"]["seconds"]
        passes = [roof["training"][name]["seconds"] for name in ("forward", "backward", "step")]
        assert roof["training"]["training"]["seconds"] == pytest.approx(sum(passes))
        assert len(roof["layers"]) == len(package.plan(specs / "small.yaml").layers)
    assert fast["inference"]["seconds"] < slow["inference"]["seconds"]
    assert fast["inference"]["flops"] == slow["inference"]["flops"] == 64 * package.plan(specs / "small.yaml").flops
    none = answer("small.yaml", "--memory", "8GiB", cwd=specs)["roofline"]
    assert none["inference"]["seconds"] is None
    assert none["inference"]["flops"] * 64 == fast["inference"]["flops"]
    out = cnnplan("fit", "small.yaml", "--memory", "8GiB", cwd=specs).out
    assert "\nwork of a batch\n" in out
    assert "-bound" not in out


def test_the_roofline_stands_below_the_page(specs: Path) -> None:
    options = ("--target", "h100", "--batch", "64")
    for columns in ("80", "160"):
        plain = cnnplan("fit", "small.yaml", *options, cwd=specs, COLUMNS=columns).out
        result = cnnplan("fit", "small.yaml", *options, "--roofline", cwd=specs, COLUMNS=columns)
        assert result.out.startswith(plain)
    assert result.code == 0
    table = result.out[result.out.index("\nlayer ") :]
    assert "\nlayer " not in plain
    for title in ("FLOPs", "bytes", "FLOP/B", "bound", "format", "time ≥", "training ≥"):
        assert title in table.split("\n")[1]
    for name in ("conv1", "sigmoid1", "maxpool1", "linear1"):
        assert re.search(rf"\n *{name} ", table)


def test_what_is_shipped(specs: Path) -> None:
    found = answer("small.yaml", "--memory", "8GiB", cwd=specs)
    weights = found["deployment"]["weights"]
    assert weights["float32"] == found["memory"]["training"]["parameters"] == 2 * weights["float16"]
    assert weights["float16"] > weights["int8"]
    out = cnnplan("fit", "small.yaml", "--memory", "8GiB", cwd=specs).out
    assert "float32 {}, float16 {}, int8 {}".format(*map(size, weights.values())) in out
    assert f"peak {size(found['inference_batch_1']['allocated'])}" in out
    norms = answer("specs/resnet18.yaml", "--target", "cpu")["deployment"]
    assert norms["norms"] == 20
    assert norms["folded"]["float32"] < norms["weights"]["float32"]


# ------------------------------------------------------------------ JSON


def test_json_is_exact(specs: Path) -> None:
    """Integers of bytes, whole; the keys that programs read."""
    found = answer("small.yaml", "--target", "t4", "--batch", "7", cwd=specs)
    assert set(found) == {
        *("format_version", "path", "name", "memory", "limit", "fits", "tight", "headroom", "training", "inference"),
        *("inference_batch_1", "largest_batch", "suggestions", "devices", "roofline", "deployment"),
    }
    assert (found["path"], found["name"], found["limit"]) == ("small.yaml", "small", 15_828_254_720)
    for key in ("training", "inference", "inference_batch_1"):
        need = found[key]
        assert all(type(need[word]) is int for word in ("batch", "allocated", "reserved"))
        assert all(type(n) is int for word in ("workspace", "context", "total") for n in need[word].values())
        assert need["batch"] == (1 if key == "inference_batch_1" else 7)
    plan = package.plan(specs / "small.yaml", target="t4", batch=7)
    assert found["memory"]["training"]["saved_activations"] == plan.training.saved_activations
    assert found["memory"]["training"]["peak"] == plan.training.peak
    assert sum(found["memory"]["training"]["at_peak"].values()) == plan.training.peak
    assert found["memory"]["inference"]["peak"] == plan.inference.peak


def test_json_of_large_numbers() -> None:
    """Beyond what a double holds."""
    found = answer("-", "--target", "h100", "--batch", 2**60 + 1, stdin=TINY % "", code=1)
    assert found["memory"]["batch"] == 2**60 + 1
    assert found["memory"]["training"]["input"] == (2**60 + 1) * 3 * 64 * 4


# ------------------------------------------------------------------ where it is printed


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("spec", ["small", "nested", "tiny"])
@pytest.mark.parametrize(
    "options",
    [
        ("--memory", "600MB", "--batch", "64", "--optimizer", "adamw"),
        ("--memory", "1KiB", "--batch", "100000", "--optimizer", "adamw"),
        ("--target", "cpu", "--batch", "4", "--measure"),
        ("--memory", "16GiB", "--devices", "8", "--strategy", "fsdp"),
        ("--memory", "16GiB", "--batch", "100000000"),
    ],
)
def test_no_line_is_longer_than_the_terminal(specs: Path, columns: int, spec: str, options: tuple[str, ...]) -> None:
    result = cnnplan("fit", f"{spec}.yaml", *options, cwd=specs, COLUMNS=str(columns))
    assert result.code in (0, 1)
    lines = [line for line in result.out.splitlines() if not line.endswith(".yaml")]
    assert max(map(len, lines)) <= columns, max(lines, key=len)


@pytest.mark.parametrize(
    "columns",
    [160, pytest.param(80)],
)
@pytest.mark.parametrize("spec", ["resnet18", "vgg11"])
def test_no_line_of_times_is_longer_than_the_terminal(columns: int, spec: str) -> None:
    out = cnnplan("fit", f"specs/{spec}.yaml", "--target", "t4", "--batch", "512", COLUMNS=str(columns)).out
    assert max(map(len, out.splitlines())) <= columns, max(out.splitlines(), key=len)


def test_a_file(specs: Path) -> None:
    options = ("small.yaml", "--memory", "16GiB")
    plain = cnnplan("fit", *options, cwd=specs).out
    assert cnnplan("fit", *options, "-o", "out.txt", cwd=specs) == (0, "", "")
    assert (specs / "out.txt").read_text("utf-8") == plain
    assert cnnplan("fit", "small.yaml", "--memory", "1MiB", "-o", "out.txt", cwd=specs) == (1, "", "")
    assert "not even one sample" in (specs / "out.txt").read_text("utf-8")
    assert cnnplan("fit", *options, "-o", "-", cwd=specs).out == plain
    assert cnnplan("fit", *options, "--format", "json", "-o", "out.json", cwd=specs) == (0, "", "")
    assert json.loads((specs / "out.json").read_text("utf-8"))["fits"]
    result = cnnplan("fit", *options, "-o", specs, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: cannot write ")


def test_colors(specs: Path) -> None:
    options = ("fit", "small.yaml", "--memory", "16GiB")
    assert "\x1b" not in cnnplan(*options, cwd=specs).out
    assert "\x1b" not in cnnplan(*options, cwd=specs, FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b" not in cnnplan(*options, "--color", "never", cwd=specs, FORCE_COLOR="1").out
    colored = cnnplan(*options, "--color", "always", cwd=specs).out
    assert "\x1b[1;32mfits\x1b[0m" in colored
    assert re.sub(r"\x1b\[[\d;]*m", "", colored).split() == cnnplan(*options, cwd=specs).out.split()
    assert "\x1b[1;31mdoes not fit" in cnnplan(*options[:3], "1MiB", "--color", "always", cwd=specs).out
    assert cnnplan(*options, "--color", "always", "--format", "json", cwd=specs).out.startswith("{")


def test_standard_input() -> None:
    assert answer("-", "--memory", "8GiB", stdin=SMALL)["path"] == "<stdin>"
    assert answer("-", "--memory", "8GiB", "--stdin-filename", "here.yaml", stdin=SMALL)["path"] == "here.yaml"
    result = cnnplan("fit", "-", "--memory", "8GiB", "--stdin-filename", "here.yaml", stdin=BROKEN)
    assert result.code == 1
    assert " --> here.yaml:" in result.err


def test_a_process_of_its_own(specs: Path) -> None:
    options = ("fit", "small.yaml", "--target", "t4", "--batch", "4")
    assert run.cnnplan(*options, cwd=specs) == cnnplan(*options, cwd=specs)


@pytest.mark.parametrize("arguments", [("fit", "specs/lenet5.yaml", "--memory", "8GiB"), ("devices",)])
def test_a_closed_pipe(arguments: tuple[str, ...]) -> None:
    """`… | head -0`: nothing to complain about."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cnnplan", *arguments]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    os.close(writing)
    assert result.stderr == b""
    assert result.returncode in (0, 1)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "error: which device? name one with --target, such as --target a100-80gb"),
        (("--target", "cuda"), "error: which device? name one with --target, such as --target a100-80gb"),
        (("--target", "h10O"), "error: there is no device 'h10O'; did you mean 'h100'?"),
        (("--target", "a100"), "error: there is no device 'a100'; did you mean a100-80gb or a100-40gb?"),
        (("--target", "h100", "--optimizer", "adan"), "error: there is no optimizer 'adan'; did you mean 'adam'?"),
        (("--target", "h100", "--optimizer", "momentun"), "did you mean 'momentum'?"),
        (("--target", "h100", "--dtype", "fp16"), "error: there is no dtype 'fp16'; known here: float32, float16, bfl"),
        (("--target", "h100", "--dtype", "float"), "error: there is no dtype 'float'"),
        (("--target", "h100", "--implementation", "fuse"), "there is no implementation 'fuse'; did you mean 'fused'?"),
        (("--target", "h100", "--batch", "0"), "error: batch is an integer ≥ 1, not 0"),
        (("--target", "h100", "--batch", "-1"), "error: batch is an integer ≥ 1, not -1"),
        (("--target", "h100", "--batch", "1.5"), "Invalid value for '--batch'"),
        (("--target", "h100", "--batch", "x"), "Invalid value for '--batch'"),
        (("--memory", "0"), "an amount such as 16GiB or 24GB, not '0'"),
        (("--memory", "16Gib"), "an amount such as 16GiB or 24GB, not '16Gib'"),
        (("--memory", "lots"), "an amount such as 16GiB or 24GB, not 'lots'"),
        (("--memory", "-1"), "an amount such as 16GiB or 24GB, not '-1'"),
        (("--memory", ""), "an amount such as 16GiB or 24GB, not ''"),
        (("--target", "h100", "--devices", "0"), "error: devices is an integer ≥ 1, not 0"),
        (("--target", "h100", "--devices", "-2"), "error: devices is an integer ≥ 1, not -2"),
        (("--target", "h100", "--devices", "two"), "Invalid value for '--devices'"),
        (("--target", "h100", "--strategy", "other"), "'other' is not one of 'ddp', 'fsdp'"),
        (("--target", "h100", "--format", "table"), "'table' is not one of 'text', 'json'"),
        (("--target", "h100", "--input-size", "big"), "--input-size takes a size such as 256"),
        (("--target", "h100", "--set", "depth=3"), "the spec has no variable 'depth' to set"),
        (("--target", "h100", "--roof"), "No such option"),
    ],
)
def test_wrong_usage_exits_with_2(specs: Path, options: tuple[str, ...], message: str) -> None:
    """One clear message on standard error, and nothing else."""
    result = cnnplan("fit", "small.yaml", *options, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.err.startswith("Usage: ") or result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.yaml", "--target", "h100"), "error: cannot read missing.yaml: no such file or directory"),
        ((".", "--target", "h100"), "error: . is a directory"),
        (("small.yaml", "tiny.yaml"), "unexpected extra argument"),
        ((), "Missing argument 'SPEC'"),
    ],
)
def test_no_spec_exits_with_2(specs: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("fit", *arguments, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize(
    "options",
    [("--memory", "1e400"), ("--memory", "9e300TiB"), ("--target", "h100", "--batch", str(10**320))],
)
def test_numbers_beyond_all_numbers(specs: Path, options: tuple[str, ...]) -> None:
    result = cnnplan("fit", "small.yaml", *options, cwd=specs)
    assert "internal error" not in result.err


def test_a_spec_that_is_not_valid_exits_with_1(specs: Path) -> None:
    result = cnnplan("fit", "broken.yaml", "--target", "h100", cwd=specs)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error[Y913] unknown operation 'maxpol'\n")
    assert result.err.endswith("\n1 error\n")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("target: {device: nonsense}", "'nonsense'"),
        ("target: {device: a100}", "a100-80gb or a100-40gb"),
        ("target: {device: 100}", "100"),
        ("target: {dtype: float64}", "float64"),
        ("target: {optimizer: adan}", "adan"),
        ("target: {batch: 0}", "0"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "check"])
def test_a_target_that_is_not_known(setting: str, said: str, command: str) -> None:
    """At its place in the spec, whatever the options say."""
    for options in ((), ("--target", "t4")):
        result = cnnplan(command, "-", *options, stdin=TINY % f"{setting}\n")
        assert result.code == 1
        assert re.search(r"<stdin>:4:\d+", result.out + result.err)
        assert said in result.out + result.err


# ------------------------------------------------------------------ measured


@pytest.mark.parametrize("options", [(), ("--optimizer", "momentum"), ("--optimizer", "adamw", "--batch", "3")])
def test_a_step_on_the_cpu_needs_what_is_planned(options: tuple[str, ...]) -> None:
    """To the byte."""
    arguments = ("specs/lenet5.yaml", "--target", "cpu", "--measure", *options)
    found = answer(*arguments)
    assert found["measured"]["device"] == "cpu"
    assert found["measured"]["peak"] == found["memory"]["training"]["peak"]
    assert found["measured"]["inference"] == found["memory"]["inference"]["peak"]
    lines = part(cnnplan("fit", *arguments).out, "measured on cpu")
    assert [line.split()[0] for line in lines] == ["training", "inference"]
    for line, key in zip(lines, ("training", "inference"), strict=True):
        assert line.count(size(found["memory"][key]["peak"])) == 2
        assert line.endswith("to the byte")


def test_nothing_is_measured_without_being_asked() -> None:
    assert "measured" not in answer("specs/lenet5.yaml", "--target", "cpu")
    assert "measured" not in cnnplan("fit", "specs/lenet5.yaml", "--target", "cpu").out


def test_an_inference_is_measured_as_it_is_planned() -> None:
    found = answer("specs/lenet5.yaml", "--target", "cpu", "--dtype", "bfloat16", "--measure")
    assert found["measured"]["inference"] == pytest.approx(found["memory"]["inference"]["peak"], rel=0.05)


def test_more_than_the_machine_has_is_not_measured(specs: Path) -> None:
    result = cnnplan("fit", "tiny.yaml", "--target", "cpu", "--batch", 2**44, "--measure", cwd=specs)
    assert result.code == 2
    assert "internal error" not in result.err


def test_a_cuda_device_that_is_not_there(specs: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    for options in (("--target", "h100"), ("--memory", "8GiB")):
        result = cnnplan("fit", "tiny.yaml", *options, "--measure", cwd=specs)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: there is no CUDA device here")
        assert "--target cpu" in result.err


def test_without_torch(specs: Path, tmp_path: Path) -> None:
    """Nothing but `--measure` needs it."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    options = ("fit", specs / "tiny.yaml", "--target", "cpu")
    result = run.cnnplan(*options, PYTHONPATH=str(tmp_path / "absent"))
    assert (result.code, result.err) == (0, "")
    assert "fits, " in result.out
    result = run.cnnplan(*options, "--measure", PYTHONPATH=str(tmp_path / "absent"))
    assert result == (2, "", "error: this needs torch: pip install 'cnnplan[torch]'\n")


# ------------------------------------------------------------------ check

COLUMNS = "saved,saved_share,memory,bytes,intensity,bound,format,time,training_time"
TITLES = ["layer", "saved", "share", "", "bytes", "FLOP/B", "bound", "format", "time ≥", "training ≥"]


def checked(*arguments: object, **options: Any) -> dict[str, Any]:
    """What `check --format json` gives of one spec."""
    result = cnnplan("check", *arguments, "--format", "json", **options)
    assert result.code == 0, result.err
    (found,) = json.loads(result.out, parse_constant=pytest.fail)["specs"]
    assert isinstance(found, dict)
    return found


def test_the_contract_of_vgg16() -> None:
    """Fields are only ever added, and these numbers do not change: 138,357,544 parameters are 4 bytes each."""
    memory = checked("specs/vgg16.yaml")["memory"]
    assert (memory["batch"], memory["dtype"], memory["mixed"]) == (1, "float32", False)
    assert (memory["optimizer"], memory["implementation"], memory["target"]) == ("sgd", "foreach", "cuda")
    training = memory["training"]
    assert training["saved_activations"] == 72_628_224
    assert training["parameters"] == training["gradients"] == 553_430_176
    assert (training["buffers"], training["optimizer_state"], training["average"]) == (0, 0, 0)
    assert (training["input"], training["target"]) == (602_112, 8)
    assert memory["inference"]["parameters"] == 553_430_176
    assert memory["inference"]["input"] == 602_112
    assert sum(training["at_peak"].values()) == training["peak"]
    for found in (training, memory["inference"]):
        assert set(found["peak_at"]) == {"phase", "layer", "line"}


@pytest.mark.parametrize("spec", ["lenet5", "resnet18", "densenet", "unet"])
@pytest.mark.parametrize("options", [(), ("--batch", "8", "--dtype", "bfloat16"), ("--target", "cpu", "--batch", "3")])
def test_what_layers_keep_is_what_the_network_keeps(spec: str, options: tuple[str, ...]) -> None:
    found = checked(f"specs/{spec}.yaml", *options)
    kept = [layer["saved_bytes"] for layer in found["layers"]]
    assert all(type(n) is int and n >= 0 for n in kept)
    assert sum(kept) == found["memory"]["training"]["saved_activations"]


def test_conditions_of_check() -> None:
    memory = checked("specs/lenet5.yaml", "--batch", "8", "--target", "t4", "--optimizer", "adam", "--dtype", "float16")
    found = memory["memory"]
    assert (found["batch"], found["target"], found["optimizer"]) == (8, "t4", "adam")
    assert (found["dtype"], found["mixed"]) == ("float16", True)
    pure = checked("specs/lenet5.yaml", "--dtype", "float16", "--pure")["memory"]
    assert pure["mixed"] is False
    assert pure["training"]["parameters"] * 2 == found["training"]["parameters"]


def test_columns_of_memory_and_time() -> None:
    """In the table and in Markdown: the numbers of the plan, layer by layer."""
    options = ("specs/lenet5.yaml", "--target", "h100", "--batch", "8", "--columns", COLUMNS)
    plan = package.plan(ROOT / "specs/lenet5.yaml", target="h100", batch=8)
    whole = plan.training.saved_activations
    result = cnnplan("check", *options, "--format", "markdown")
    assert result.code == 0
    rows = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in result.out.split("\n") if row[:1] == "|"]
    assert rows[0] == TITLES
    assert [row[0] for row in rows[2:]] == [layer.name for layer in plan.layers]
    for row, layer in zip(rows[2:], plan.layers, strict=True):
        roof = plan.roofline[layer.node]
        assert row[1] == (size(layer.saved_bytes) if layer.saved_bytes else "")
        assert row[2] == percent(layer.saved_bytes, whole)
        assert bool(row[3]) == (layer.saved_bytes * 128 >= whole)
        assert row[4] == (size(roof.forward.bytes) if roof.forward.bytes else "")
        assert row[5] == (f"{roof.forward.flops / roof.forward.bytes:.1f}" if roof.forward.bytes else "")
        assert row[6] in ("compute", "memory")
        assert row[7] == roof.format
        assert re.fullmatch(r"[\d.]+ (s|ms|µs|ns)", row[8])
        assert re.fullmatch(r"[\d.]+ (s|ms|µs|ns)", row[9])
    table = cnnplan("check", *options, COLUMNS="160").out
    for row in rows[2:]:
        assert re.search(r"\n" + " +".join(map(re.escape, filter(None, row))) + r" *\n", table), row


def test_times_need_a_device() -> None:
    """Without one there is no time and no bound, but bytes and what products are computed in."""
    result = cnnplan("check", "specs/lenet5.yaml", "--columns", "time,training_time,bound,format,bytes")
    assert result.code == 0
    conv = next(line for line in result.out.splitlines() if line.startswith("conv1"))
    assert re.fullmatch(r"conv1 +tf32 +[\d.]+ KiB", conv)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch", "0"), "error: batch is an integer ≥ 1, not 0\n"),
        (("--batch", "-3"), "error: batch is an integer ≥ 1, not -3\n"),
        (("--batch", "1.5"), "Invalid value for '--batch'"),
        (("--dtype", "half"), "error: there is no dtype 'half'"),
        (("--optimizer", "adan"), "error: there is no optimizer 'adan'; did you mean 'adam'?\n"),
        (("--target", "h10O"), "error: there is no device 'h10O'; did you mean 'h100'?"),
        (("--columns", "save"), "error: there is no column 'save'; did you mean 'saved'"),
    ],
)
def test_wrong_usage_of_check(options: tuple[str, ...], message: str) -> None:
    result = cnnplan("check", "specs/lenet5.yaml", *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_wrong_conditions_of_several_specs_are_said_once_for_each(specs: Path) -> None:
    """And no spec is said to be clean."""
    result = cnnplan("check", "small.yaml", "tiny.yaml", "--batch", "0", cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines() == [
        f"error: {name}.yaml: batch is an integer ≥ 1, not 0" for name in ("small", "tiny")
    ]
