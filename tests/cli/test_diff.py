"""cnnplan diff: what a change cost, revisions of git, conditions, and every format."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cnnplan as package
from cnnplan import UsageError
from cnnplan.cli import revisions
from cnnplan.thresholds import condition
from tests.cli import run
from tests.cli.inside import cnnplan

OLD = """\
cnnplan: 1
name: small
input: [3, 32, 32]
variables: {width: 16, classes: 10}
layers:
  - conv: {out_channels: =width, kernel_size: 3, padding: 1}
  - relu
  - conv: {out_channels: =width, kernel_size: 3, padding: 1}
  - relu
  - global_avgpool
  - linear: =classes
"""
NEW = OLD.replace(
    "  - relu\n  - global",
    "  - relu\n  - conv: {out_channels: =width, kernel_size: 1}\n  - batchnorm\n  - relu\n  - global",
).replace("kernel_size: 3, padding: 1}\n  - relu\n  - conv", "kernel_size: 5, padding: 2}\n  - relu\n  - conv", 1)
BROKEN = OLD.replace("  - global_avgpool\n", "")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    for name, text in (("old", OLD), ("new", NEW), ("broken", BROKEN)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository: `first` has OLD in models/net.yaml, the work tree has NEW."""
    (tmp_path / "models" / "deep").mkdir(parents=True)
    (tmp_path / "models" / "net.yaml").write_text(OLD)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "first")
    (tmp_path / "models" / "net.yaml").write_text(NEW)
    return tmp_path


def git(where: Path, *arguments: str) -> None:
    hidden = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=where, check=True, env={**os.environ, **hidden})


def found(*arguments: object, code: int = 0, **options: Any) -> dict[str, Any]:
    """What `diff --format json` gives."""
    result = cnnplan("diff", *arguments, "--format", "json", **options)
    assert (result.code, result.err) == (code, "")
    out: dict[str, Any] = json.loads(result.out)
    assert out["format_version"] == "1.0"
    return out


# ---------------------------------------------------------------------- tables


TABLE = """\
small  old.yaml → new.yaml

layer                                                   parameters          MACs
────────────────────────────────────────────────────────────────────────────────
~ conv1                                                       +768     +786.43 K
    line 6: kernel_size 3 → 5, padding 1 → 2; parameters 448 → 1.22 K; MACs
    442.37 K → 1.23 M; field 3x3 → 5x5
+ conv3                                                       +272     +262.14 K
    line 10: conv 16 kernel_size=1; output 16x32x32
+ batchnorm1                                                   +32
    line 11: batchnorm; output 16x32x32
+ relu3
    line 12: relu; output 16x32x32
≈ 3 layers: what comes before differs
  2 layers are the same
"""


def test_a_table(specs: Path) -> None:
    result = cnnplan("diff", "old.yaml", "new.yaml", cwd=specs, COLUMNS="80")
    assert (result.code, result.err) == (0, "")
    head, _, totals = result.out.partition("\n\n        ")
    assert f"{head}\n" == TABLE
    # 16·3·25 + 16 − (16·3·9 + 16); 16·16 + 16; 2·16
    assert 16 * 3 * (25 - 9) == 768
    lines = [line.split() for line in totals.splitlines()]
    assert ["parameters", "2,938", "4,010", "+1,072", "+36.5", "%"] in lines
    assert ["buffers", "0", "33", "+33", "new"] in lines
    assert ["MACs", "2,801,824", "3,850,400", "+1,048,576", "+37.4", "%"] in lines
    assert ["field", "5", "7", "+2", "+40.0", "%"] in lines
    assert totals.endswith(
        "\ntraining, inference: peaks at batch 1, float32, sgd; saved: activations kept for\nthe backward pass\n\n"
    )


def test_nothing_differs(specs: Path) -> None:
    result = cnnplan("diff", "old.yaml", "old.yaml", cwd=specs)
    assert result.code == 0
    assert "no difference in 6 layers" in result.out
    assert "%" not in result.out


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("pair", [("resnet50", "resnext50"), ("squeezenet1_0", "squeezenet1_1"), ("vgg16", "vgg16_bn")])
def test_every_line_fits(pair: tuple[str, str], columns: int) -> None:
    names = [f"specs/{name}.yaml" for name in pair]
    for arguments in ((), ("--all",)):
        out = cnnplan("diff", *names, *arguments, COLUMNS=str(columns)).out
        longest = max(out.splitlines(), key=len)
        assert len(longest) <= max(columns, 62), longest
        if "≈" in out and not arguments:
            assert "what comes before differs" in out
            assert " layers" in out.partition("≈")[2].partition("\n")[0]


def test_copies_of_a_line_are_a_row_and_so_are_blocks(specs: Path) -> None:
    text = (run.ROOT / "specs" / "resnet50.yaml").read_text()
    more = text.replace(
        "4 * width}\n          shortcut", "4 * width}\n            - squeeze_excite\n          shortcut"
    )
    assert more != text
    (specs / "more.yaml").write_text(more)
    out = cnnplan("diff", run.ROOT / "specs" / "resnet50.yaml", "more.yaml", cwd=specs).out
    rows = [line for line in out.splitlines() if line.startswith(("+", "~", "−", "→", "↕"))]
    assert len(rows) == 1
    assert rows[0].startswith("+ stage*.bottleneck*.add1.body.squeeze_excite1 ×16 ")
    assert "line 24: squeeze_excite, 6 layers" in out
    everything = cnnplan("diff", run.ROOT / "specs" / "resnet50.yaml", "more.yaml", "--all", cwd=specs).out
    assert everything.count("\n+ ") == 16 * 6
    assert "\n  maxpool1\n" in everything


def test_old_names_are_said(specs: Path) -> None:
    (specs / "renamed.yaml").write_text(OLD.replace("- global_avgpool", "- global_avgpool:\n    name: pooled"))
    out = cnnplan("diff", "old.yaml", "renamed.yaml", cwd=specs).out
    assert "→ pooled\n    line 10: global_avgpool, was global_avgpool1\n" in out
    shifted = OLD.replace("  - relu\n", "  - conv: {out_channels: 16, kernel_size: 1}\n  - relu\n", 1)
    (specs / "shifted.yaml").write_text(shifted)
    out = cnnplan("diff", "old.yaml", "shifted.yaml", cwd=specs).out
    assert "  the weights of 1 layer go by other names than in old checkpoints\n" in out


def test_other_inputs_outputs_and_conditions_are_said(specs: Path) -> None:
    text = NEW.replace("[3, 32, 32]", "[3, 24, 24]").replace("classes: 10}", "classes: 5}\ntarget: {batch: 8}")
    (specs / "other.yaml").write_text(text)
    out = cnnplan("diff", "old.yaml", "other.yaml", cwd=specs).out
    assert "\ninput input 3x32x32 → input 3x24x24\noutput linear1 10 → linear1 5\n" in out
    assert "peaks at batch 1 → batch 8, float32, sgd;" in out
    same = cnnplan("diff", "old.yaml", "other.yaml", "--batch", "4", "--input-size", "16", "--target", "t4", cwd=specs)
    assert "\ninput" not in same.out
    assert "peaks at batch 4, float32, sgd, t4;" in same.out


def test_colors(specs: Path) -> None:
    colored = cnnplan("diff", "old.yaml", "new.yaml", "--color", "always", cwd=specs).out
    assert "\x1b[32m" in colored
    assert "\x1b" not in cnnplan("diff", "old.yaml", "new.yaml", cwd=specs).out


# ----------------------------------------------------------------------- JSON


def test_json_is_the_contract(specs: Path) -> None:
    out = found("old.yaml", "new.yaml", cwd=specs)
    assert (out["old"]["path"], out["old"]["name"], out["new"]["path"]) == ("old.yaml", "small", "new.yaml")
    assert out["old"]["outputs"] == {"linear1": [10]}
    for side in ("old", "new"):
        spec = json.loads(cnnplan("check", f"{side}.yaml", "--format", "json", cwd=specs).out)["specs"][0]
        assert {name: out["totals"][name][side] for name in spec["totals"] if name != "connections"} == {
            name: n for name, n in spec["totals"].items() if name != "connections"
        }
        assert out["totals"]["training_memory"][side] == spec["memory"]["training"]["peak"]
        assert out["totals"]["saved_activations"][side] == spec["memory"]["training"]["saved_activations"]
        assert out["totals"]["receptive_field"][side] == spec["receptive_field"]["size"][0]
        by_name = {layer["name"]: layer for layer in spec["layers"]}
        for layer in out["layers"]:
            if layer[side]:
                there = by_name[layer[side]["name"]]
                for key in ("op", "line", "parameters", "macs", "flops", "saved_bytes"):
                    assert layer[side][key] == there[key]
                assert layer[side]["outputs"] == [there["output"]]
    parameters = out["totals"]["parameters"]
    assert parameters == {"old": 2938, "new": 4010, "change": 1072, "percent": 100 * 1072 / 2938, "unit": "count"}
    assert out["totals"]["buffers"]["percent"] is None
    counts = {"added": 3, "removed": 0, "changed": 1, "moved": 0, "renamed": 0, "affected": 3, "same": 2}
    assert out["summary"] == counts
    assert [(x["name"], x["status"]) for x in out["layers"]] == [
        ("conv1", "changed"),
        ("relu1", "affected"),
        ("conv2", "affected"),
        ("relu2", "affected"),
        ("conv3", "added"),
        ("batchnorm1", "added"),
        ("relu3", "added"),
    ]
    changed = out["layers"][0]["changed"]
    assert changed == [{"name": "kernel_size", "old": 3, "new": 5}, {"name": "padding", "old": 1, "new": 2}]
    assert out["failed"] == []


def test_the_layers_sum_up_to_the_totals(specs: Path) -> None:
    out = found("old.yaml", "new.yaml", "--all", cwd=specs)
    assert len(out["layers"]) == 9
    for key in ("parameters", "macs", "flops", "buffers"):
        for side in ("old", "new"):
            assert sum(x[side][key] for x in out["layers"] if x[side]) == out["totals"][key][side]


# ------------------------------------------------------------------- markdown


def test_markdown(specs: Path) -> None:
    result = cnnplan("diff", "old.yaml", "new.yaml", "--format", "markdown", "--fail-if", "macs > +5%", cwd=specs)
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0].startswith(
        "**small**: 3 layers added, 1 layer changed; parameters +36.5 % (2.94 K → 4.01 K), MACs +37.4 % "
    )
    assert lines[2] == "- **fails** `macs > +5%`: 2,801,824 → 3,850,400 (+1,048,576, +37.4 %)"
    assert "| | `old.yaml` | `new.yaml` | change | |" in lines
    assert "| parameters | 2,938 | 4,010 | +1,072 | +36.5 % |" in lines
    assert "<details><summary>layers: 3 added, 1 changed, 3 affected, 2 same</summary>" in lines
    assert "| + | `conv3` | line 10: conv 16 kernel\\_size=1; output 16x32x32 | +272 | +262.14 K |" in lines
    columns = {line.count("|") for line in lines if line.startswith("| ")}
    assert columns == {6}
    same = cnnplan("diff", "old.yaml", "old.yaml", "--format", "markdown", cwd=specs).out
    assert same.startswith("**small**: no layer differs\n")
    assert "<details>" not in same


# ----------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("macs > +5%", True),
        ("macs > +37.5%", False),
        ("MACs>=+37%", True),
        ("macs > 3.8M", True),
        ("macs < 3.9 M", True),
        ("macs != +0", True),
        ("parameters > +1K", True),
        ("parameters > +1.1K", False),
        ("parameters >= +1072", True),
        ("parameters > +1072", False),
        ("parameters > 4K", True),
        ("parameters <= 4010", True),
        ("layers != +3", False),
        ("layers < -1", False),
        ("layers > -1", True),
        ("buffers > +1000%", True),
        ("buffers < +1%", False),
        ("training_memory > +135KiB", True),
        ("training-memory > +139KB", False),
        ("inference_memory > 1GiB", False),
        ("saved_activations < +101%", True),
        ("receptive_field < -3%", False),
        ("receptive_field > +2", False),
        ("trainable_parameters >= +36%", True),
        ("flops > 7848265", True),
        ("outputs changed", False),
        ("inputs changed", False),
    ],
)
def test_conditions(specs: Path, text: str, holds: bool) -> None:
    out = found("old.yaml", "new.yaml", "--fail-if", text, cwd=specs, code=int(holds))
    assert [one["condition"] for one in out["failed"]] == [text] * holds


def test_several_conditions_and_quiet(specs: Path) -> None:
    asked = ("--fail-if", "layers > +2", "--fail-if", "macs < +0", "--fail-if", "outputs changed", "-q")
    result = cnnplan("diff", "old.yaml", "new.yaml", *asked, cwd=specs)
    assert (result.code, result.out) == (1, "fails  layers > +2: 6 → 9 (+3, +50.0 %)\n")
    assert cnnplan("diff", "old.yaml", "old.yaml", "-q", cwd=specs).out == ""
    (specs / "five.yaml").write_text(NEW.replace("classes: 10", "classes: 5"))
    result = cnnplan("diff", "old.yaml", "five.yaml", *asked, cwd=specs)
    assert result.out.endswith("fails  outputs changed: linear1 10 → linear1 5\n")
    out = found("old.yaml", "five.yaml", "--fail-if", "outputs changed", code=1, cwd=specs)
    shapes = {"old": {"linear1": [10]}, "new": {"linear1": [5]}, "change": None, "percent": None}
    assert out["failed"] == [{"condition": "outputs changed", "metric": "outputs", **shapes}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "METRIC OP AMOUNT"),
        ("macs", "METRIC OP AMOUNT"),
        ("macs = 5", "METRIC OP AMOUNT"),
        ("macs == 5", "METRIC OP AMOUNT"),
        ("mac > +5%", "there is no metric 'mac'; did you mean 'macs'?"),
        ("memory > 5", "there is no metric 'memory'"),
        ("macs > 5%", "a percentage is a change: write +5% or -5%"),
        ("macs > five", "an amount is +5%, +10M, -512KiB or 2G, not 'five'"),
        ("macs > +5X", "not '+5X'"),
        ("macs > +5 %%", "not '+5 %%'"),
        ("macs > 1e3", "not '1e3'"),
        ("macs > +", "not '+'"),
        ("macs > +5% or layers > 3", "not '+5% or layers > 3'"),
        ("outputs > 3", "write 'outputs changed'"),
        ("macs changed", "write 'macs != +0'"),
        ("macs > " + "9" * 5000, "METRIC OP AMOUNT"),
    ],
)
def test_what_is_no_condition(specs: Path, text: str, said: str) -> None:
    result = cnnplan("diff", "old.yaml", "new.yaml", "--fail-if", text, cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert said in result.err
    assert result.err.count("\n") == 1


def test_a_number_that_there_is_not(specs: Path) -> None:
    (specs / "dense.yaml").write_text("cnnplan: 1\nname: dense\ninput: [12]\nlayers: [{linear: 3}]\n")
    for pair, text in ((("old", "dense"), "receptive_field < 3"), (("dense", "old"), "receptive_field < +3%")):
        result = cnnplan("diff", *(f"{name}.yaml" for name in pair), "--fail-if", text, cwd=specs)
        assert (result.code, result.out) == (2, "")
        assert f"error: '{text}' cannot be judged: 'dense' (dense.yaml) has no receptive_field\n" == result.err
    assert cnnplan("diff", "dense.yaml", "old.yaml", "--fail-if", "receptive_field < 3", cwd=specs).code == 0


def test_growth_from_nothing_is_more_than_any_percentage() -> None:
    small = package.plan("cnnplan: 1\nname: a\ninput: [3, 8, 8]\nlayers: [relu]\n")
    large = package.plan("cnnplan: 1\nname: a\ninput: [3, 8, 8]\nlayers: [batchnorm]\n")
    grown, shrunk, same = package.diff(small, large), package.diff(large, small), package.diff(small, small)
    assert grown.totals["parameters"].percent is None
    assert condition("parameters > +900%").holds(grown)
    assert not condition("parameters < +900%").holds(grown)
    assert condition("parameters <= -100%").holds(shrunk)
    assert not condition("parameters > +0%").holds(same)
    assert condition("parameters > -1%").holds(same)


# ------------------------------------------------------------- specs and files


def test_a_spec_that_is_not_valid(specs: Path) -> None:
    for pair in (("old", "broken"), ("broken", "old")):
        result = cnnplan("diff", *(f"{name}.yaml" for name in pair), cwd=specs)
        assert (result.code, result.out) == (1, "")
        assert "error[S003] 'linear' takes a vector, but its input is a map of 16x32x32" in result.err
        assert "--> broken.yaml:10:5" in result.err
    result = cnnplan("diff", "broken.yaml", "broken.yaml", cwd=specs)
    assert result.code == 1
    assert result.err.count("error[S003]") == 2


def test_variables_are_set_in_both(specs: Path) -> None:
    out = found("old.yaml", "new.yaml", "--set", "width=8", "--set", "classes=3", cwd=specs)
    assert out["totals"]["parameters"]["old"] == 8 * 28 + 8 * 73 + 3 * 9
    result = cnnplan("diff", "old.yaml", "new.yaml", "--set", "depth=8", cwd=specs)
    assert result.code == 2
    assert result.err.startswith("error: old.yaml: ")
    assert "'depth'" in result.err


def test_standard_input(specs: Path) -> None:
    out = found("-", "new.yaml", "--stdin-filename", "piped.yaml", cwd=specs, stdin=OLD)
    assert out["old"]["path"] == "piped.yaml"
    assert found("old.yaml", "-", cwd=specs, stdin=NEW)["new"]["path"] == "<stdin>"
    result = cnnplan("diff", "-", "-", cwd=specs, stdin=OLD)
    assert (result.code, result.err) == (2, "error: only one of OLD and NEW can be -\n")


def test_a_file(specs: Path) -> None:
    plain = cnnplan("diff", "old.yaml", "new.yaml", cwd=specs).out
    assert cnnplan("diff", "old.yaml", "new.yaml", "-o", "out.txt", cwd=specs) == (0, "", "")
    assert (specs / "out.txt").read_text() == plain
    result = cnnplan("diff", "old.yaml", "none.yaml", cwd=specs)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: cannot read none.yaml: no such file or directory")


# ------------------------------------------------------------------------- git


@pytest.mark.parametrize(
    ("place", "inside"),
    [
        ("git:main:models/net.yaml", "."),
        ("git:HEAD:models/net.yaml", "models"),  # relative to the root
        ("git:first:net.yaml", "models"),  # relative to here
        ("git:main~0:./net.yaml", "models"),
        ("git:main:../net.yaml", "models/deep"),
    ],
)
def test_a_revision(repository: Path, place: str, inside: str) -> None:
    out = found(place, repository / "models" / "net.yaml", cwd=repository / inside)
    assert out["old"]["path"] == place
    assert out["summary"]["added"] == 3
    assert out["totals"]["parameters"]["old"] == 2938


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("git:none:models/net.yaml", "the repository has no revision 'none'"),
        ("git:main:models/other.yaml", "there is no file 'models/other.yaml' in revision 'main'"),
        ("git:main:net.yaml", "there is no file 'net.yaml' in revision 'main'"),
        ("git:main:../../net.yaml", "there is no file '../../net.yaml' in revision 'main'"),
        ("git:main:models", "it is a directory"),
        ("git:main", "write git:REV:PATH, such as git:main:specs/x.yaml"),
        ("git:main:", "write git:REV:PATH"),
        ("git::models/net.yaml", "write git:REV:PATH"),
        ("git:", "write git:REV:PATH"),
        ("git:--output=owned:models/net.yaml", "'--output=owned' is no revision of git"),
        ("git:-:models/net.yaml", "'-' is no revision of git"),
        ("git:--all:models/net.yaml", "'--all' is no revision of git"),
        ("git:main..first:models/net.yaml", "has no revision 'main..first'"),
        ("git:main first:models/net.yaml", "has no revision 'main first'"),
        ("git:main\nfirst:models/net.yaml", "is no revision of git"),
        ("git:main;touch owned:models/net.yaml", "has no revision"),
    ],
)
def test_what_git_does_not_have(repository: Path, place: str, said: str) -> None:
    result = cnnplan("diff", place, "models/net.yaml", cwd=repository)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert said in result.err
    assert not list(repository.glob("**/owned*"))


def test_no_repository(specs: Path) -> None:
    result = cnnplan("diff", "git:main:old.yaml", "new.yaml", cwd=specs, GIT_CEILING_DIRECTORIES=str(specs.parent))
    assert result.code == 2
    assert result.err.startswith("error: cannot read git:main:old.yaml: not a git repository")
    assert result.err.count("\n") == 1


def test_no_git(specs: Path) -> None:
    result = cnnplan("diff", "git:main:old.yaml", "new.yaml", cwd=specs, PATH=str(specs))
    message = "error: git:REV:PATH needs git, which is not installed or not on the PATH\n"
    assert (result.code, result.out, result.err) == (2, "", message)


def test_a_huge_file_is_not_read_to_its_end(repository: Path) -> None:
    (repository / "huge.yaml").write_bytes(b"# " + b"x" * 30_000_000)
    git(repository, "add", "huge.yaml")
    git(repository, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "huge")
    result = cnnplan("diff", "git:HEAD:huge.yaml", "models/net.yaml", cwd=repository)
    assert result.code == 1
    assert "Y910" in result.err


def test_no_more_is_read_than_a_spec_may_have(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "MAX_BYTES", 10)
    monkeypatch.chdir(repository)
    assert revisions.read("git:main:models/net.yaml") == OLD.encode()[:11]


def test_a_branch_that_is_called_like_a_file(repository: Path) -> None:
    git(repository, "branch", "models/net.yaml")
    assert found("git:models/net.yaml:models/net.yaml", "models/net.yaml", cwd=repository)["summary"]["added"] == 3


# ---------------------------------------------------------------------- Python


def test_python() -> None:
    old, new = package.plan(OLD), package.plan(NEW)
    out = package.diff(old, new)
    assert isinstance(out, package.Difference)
    assert out.totals["macs"].change == new.macs - old.macs
    assert [x.name for x in out.layers if x.status == "added"] == ["conv3", "batchnorm1", "relu3"]
    assert [one.name for one in out.layers[0].arguments] == ["kernel_size", "padding"]
    assert out.layers[0].receptive_field == ((3, 3), (5, 5))
    assert "3 added, 1 changed" in repr(out)
    back = package.diff(new, old)
    assert [x.name for x in back.layers if x.status == "removed"] == ["conv3", "batchnorm1", "relu3"]
    with pytest.raises(UsageError, match="two plans"):
        package.diff("old.yaml", new)  # type: ignore[arg-type]


def test_torch_stays_unloaded(specs: Path) -> None:
    code = "import sys; from cnnplan.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "diff", "old.yaml", "new.yaml"]
    result = subprocess.run(
        command, cwd=specs, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(run.ROOT)}
    )
    assert result.returncode == 0
    assert not set(result.stderr.split()) & {"torch", "numpy", "rich.console"}


def test_the_configuration_says_what_both_are_planned_for(tmp_path: Path) -> None:
    text = "cnnplan: 1\nname: net\ninput: [3, 8, 8]\nlayers:\n  - conv: {out_channels: 4, kernel_size: 3}\n"
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "cnnplan.toml").write_text("target = {device = 't4', batch = 7}")
    said = [cnnplan("diff", "a.yaml", "a.yaml", *more, cwd=tmp_path).out for more in ((), ("--isolated",))]
    assert ["batch 7" in one for one in said] == [True, False]
