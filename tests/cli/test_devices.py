"""cnnplan devices: the list, one device with its sources, and how devices are named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cnnplan.devices import device, devices
from cnnplan.errors import UsageError
from tests.cli import run
from tests.cli.inside import cnnplan

if TYPE_CHECKING:
    from pathlib import Path

KEYS = list(devices())
FIGURES = ("memory", "bandwidth", "float32", "tf32", "float16", "bfloat16", "l2", "compute_capability")


def listed(*arguments: object) -> list[dict[str, Any]]:
    """What `devices --format json` gives."""
    result = cnnplan("devices", *arguments, "--format", "json")
    assert (result.code, result.err) == (0, "")
    answer = json.loads(result.out)
    assert answer["format_version"] == "1.0"
    found: list[dict[str, Any]] = answer["devices"]
    return found


def test_the_list() -> None:
    """A line for each, with its name first; without a format, a dash."""
    result = cnnplan("devices", COLUMNS="160")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    rows = {line.split()[0]: line for line in lines[1 : len(KEYS) + 1]}
    assert list(rows) == KEYS
    for key, row in rows.items():
        found = device(key)
        assert found.name in row
        assert f"{found.memory / 2**30:.2f} GiB" in row
        assert f"{found.bandwidth / 1e9:,.0f}" in row
        assert f"{found.float32 / 1e12:.1f}" in row
        assert row.count("–") == (found.tf32 is None) + (found.bfloat16 is None)
    assert "cnnplan devices NAME" in result.out


@pytest.mark.parametrize("columns", [80, 160])
def test_no_line_is_longer_than_the_terminal(columns: int) -> None:
    for arguments in ([], *([key] for key in KEYS)):
        for line in cnnplan("devices", *arguments, COLUMNS=str(columns)).out.splitlines():
            assert len(line) <= columns, line


def test_a_narrow_list_still_says_what_matters() -> None:
    """Memory, bandwidth and float32 are never left out."""
    for columns in (40, 60, 80):
        head, *rows = cnnplan("devices", COLUMNS=str(columns)).out.splitlines()
        assert {"device", "memory", "GB/s", "float32"} <= set(head.split())
        assert rows[0].startswith("h200 ")


def test_a_device() -> None:
    """Every figure, in words that say its unit, and all sources."""
    result = cnnplan("devices", "h100")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("h100  NVIDIA H100 SXM5 80 GB\n")
    figures = ("79.11 GiB (84,942,979,072 bytes)", "3,352.0 GB/s", "66.9 TFLOP/s", "494.7 TFLOP/s", "50.00 MiB", "9.0")
    for said in figures:
        assert said in result.out
    flat = " ".join(result.out.split())
    for source in device("h100").sources:
        assert source in flat


def test_a_format_that_the_hardware_has_not() -> None:
    lines = {line.split()[0]: line for line in cnnplan("devices", "t4").out.splitlines() if line}
    for word in ("tf32", "bfloat16"):
        assert lines[word].split()[1] == "–"
        assert "TFLOP/s" not in lines[word]
    assert lines["float16"].endswith("65.0 TFLOP/s")


@pytest.mark.parametrize("key", KEYS)
def test_json_has_every_figure_and_its_source(key: str) -> None:
    (found,) = listed(key)
    assert found["key"] == key
    assert set(found) == {"key", "name", "sources", *FIGURES}
    named = {word for source in found["sources"] for word in source.partition(":")[0].split(", ")}
    assert named == set(FIGURES)
    kept = device(key)
    for figure in FIGURES[:-1]:
        assert found[figure] == getattr(kept, figure)
        assert found[figure] is None or type(found[figure]) is int
    assert found["compute_capability"] == ".".join(map(str, kept.compute_capability))


def test_json_of_all() -> None:
    assert [found["key"] for found in listed()] == KEYS
    assert listed() == [found for key in KEYS for found in listed(key)]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *((key, key) for key in KEYS),
        *((key.upper(), key) for key in KEYS),
        ("H100", "h100"),
        (" h100 ", "h100"),
        ("a100_80gb", "a100-80gb"),
        ("A100 80GB", "a100-80gb"),
        ("a100 40gb", "a100-40gb"),
        ("a10080gb", "a100-80gb"),
        ("a100-4", "a100-40gb"),
        ("rtx 4090", "rtx4090"),
        ("RTX_3090", "rtx3090"),
        ("rtx-4090", "rtx4090"),
        ("rtx4", "rtx4090"),
        ("nvidia a100-40gb", "a100-40gb"),
        ("NVIDIA H200", "h200"),
        ("nvidia-l4", "l4"),
        ("V100_32GB", "v100-32gb"),
        ("Orin", "orin"),
    ],
)
def test_names(name: str, key: str) -> None:
    """Capitals, blanks and underscores do not count, and the beginning is enough where only one begins so."""
    assert device(name).key == key


@pytest.mark.parametrize("name", ["h100", "A100_80gb", "rtx 4090", "t4"])
def test_the_same_names_at_every_place(name: str) -> None:
    """Of `devices`, of `--target` and of a spec."""
    (found,) = listed(name)
    text = "cnnplan: 1\nname: n\ninput: [3]\n%slayers: [{linear: 2}]\n"
    for arguments, spec in ((("--target", name), text % ""), ((), text % f"target: {{device: {name}}}\n")):
        result = cnnplan("fit", "-", "--format", "json", *arguments, stdin=spec)
        assert json.loads(result.out)["memory"]["target"] == found["key"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a100", ("a100-80gb", "a100-40gb")),
        ("v100", ("v100-32gb", "v100-16gb")),
        ("A100 ", ("a100-80gb", "a100-40gb")),
        ("rtx", ("rtx4090", "rtx3090")),
        ("h10O", ("h100",)),
        ("hh100", ("h100",)),
        ("rtx4080", ("rtx4090",)),
        ("4090", ("rtx4090",)),
        ("a100-800gb", ("a100-80gb",)),
        ("gpu", ("h100", "t4", "cpu")),
        ("", ("h100", "t4", "cpu")),
        (" ", ("h100", "t4", "cpu")),
        ("-", ("h100",)),
    ],
)
def test_what_is_no_device_is_told_with_those_that_are_near(name: str, said: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        device(name)
    message = str(caught.value)
    assert message.startswith(f"there is no device '{name}'; ")
    assert "`cnnplan devices`" in message
    for word in said:
        assert word in message
    if len(said) == 2:  # those alone
        assert sum(key in message for key in KEYS) == 2


@pytest.mark.parametrize("arguments", [("devices", "--", "a100"), ("fit", "specs/lenet5.yaml", "--target", "a100")])
def test_an_ambiguous_name_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = cnnplan(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: there is no device 'a100'; did you mean a100-80gb or a100-40gb?")
    assert result.err.count("\n") == 1


def test_a_size_behind_a_name_that_needs_none() -> None:
    try:
        assert device("h100-80gb").key == "h100"
    except UsageError as error:
        assert "h100" in str(error).partition(";")[2]  # noqa: PT017


@pytest.mark.parametrize("name", ["cpu", "CPU"])
def test_what_target_takes_is_not_called_unknown(name: str) -> None:
    """It has no figures, and that is what there is to say."""
    result = cnnplan("devices", name)
    assert f"there is no device '{name}'" not in result.err


@pytest.mark.parametrize("name", ["CPU", "Cpu", "CUDA"])
def test_capitals_do_not_count_in_cpu(name: str) -> None:
    from cnnplan import plan

    text = "cnnplan: 1\nname: n\ninput: [3]\nlayers: [{linear: 2}]\n"
    assert plan(text, target=name).conditions.target == name.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("h100", "t4"), "unexpected extra argument"),
        (("--format", "table"), "'table' is not one of 'text', 'json'"),
        (("--all",), "No such option"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], message: str) -> None:
    result = cnnplan("devices", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_a_file_and_colors(tmp_path: Path) -> None:
    plain = cnnplan("devices").out
    assert cnnplan("devices", "-o", "out.txt", cwd=tmp_path) == (0, "", "")
    assert (tmp_path / "out.txt").read_text("utf-8") == plain
    assert cnnplan("devices", "-o", "-").out == plain
    assert "\x1b" not in plain
    for arguments in ([], ["h100"]):
        assert "\x1b[1m" in cnnplan("devices", *arguments, "--color", "always").out
        assert "\x1b" not in cnnplan("devices", *arguments, FORCE_COLOR="1", NO_COLOR="1").out
    assert cnnplan("devices", "h100", "--format", "json", "--color", "always").out.startswith("{")


def test_a_process_of_its_own() -> None:
    assert run.cnnplan("devices") == cnnplan("devices")
    assert run.cnnplan("devices", "NVIDIA H100") == cnnplan("devices", "h100")
