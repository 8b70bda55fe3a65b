"""The emitted source as text: what it imports, what its comments and docstrings say, how it reads."""

import ast
import inspect
import io
import re
import subprocess
import sys
import tokenize
import warnings
from collections import Counter
from pathlib import Path
from textwrap import dedent
from types import CodeType, FrameType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import cnnplan
from cnnplan import zoo
from cnnplan.emit import emit
from cnnplan.planning import Plan
from cnnplan.runtime.build import execute
from tests.emit.small_networks import NAMES, SPECS, plan

every = pytest.mark.parametrize("name", NAMES)

# ------------------------------------------------------------------------- the comments

SHAPE = re.compile(r"# (\d+(?:x\d+)*)")
FLATTENED = re.compile(r"_flatten\d*_*$")


class Comment(NamedTuple):
    """A shape as a comment: the line it stands on, the statement it belongs to, the shape."""

    line: int
    statement: ast.stmt
    shape: tuple[int, ...]


class Seen(NamedTuple):
    """What a statement with a comment made: in a constructor a module, in a `forward` tensors."""

    comment: Comment
    names: tuple[str, ...]
    values: tuple[Any, ...]


def comments(text: str) -> dict[int, Comment]:
    """The comments, by the first line of their statement. Every comment is a shape."""
    statements: dict[int, ast.stmt] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            statements.setdefault(node.lineno, node)
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        match = SHAPE.fullmatch(token.string)
        assert match, token.string
        alone = not token.line[: token.start[1]].strip()
        line = min(n for n in statements if n >= token.start[0] + alone)
        assert line == token.start[0] + alone, "the comment belongs to no statement"
        found[line] = Comment(token.start[0], statements[line], tuple(map(int, match[1].split("x"))))
    return found


class Watch:
    """Runs code, and keeps what the statements with comments made."""

    def __init__(self, text: str, file: str) -> None:
        self.comments = comments(text)
        self.lines: dict[int, int] = {}  # every line of a statement with a comment, to its first
        for first, comment in self.comments.items():
            for line in range(first, (comment.statement.end_lineno or first) + 1):
                self.lines[line] = first
        self.file = file
        self.open: dict[FrameType, int] = {}
        self.seen: list[Seen] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        code: CodeType = frame.f_code
        if code.co_filename != self.file:
            return None
        if event in ("line", "return"):
            now = self.lines.get(frame.f_lineno) if event == "line" else None
            before = self.open.get(frame)
            if before is not None and now != before:
                self.done(frame, self.comments[before])
            if now is not None:
                self.open[frame] = now
            else:
                self.open.pop(frame, None)
        return self

    def done(self, frame: FrameType, comment: Comment) -> None:
        statement = comment.statement
        if isinstance(statement, ast.Expr):  # self.add_module(name, …), self.stage.append(…)
            assert isinstance(statement.value, ast.Call)
            assert isinstance(statement.value.func, ast.Attribute)
            owner = ast.unparse(statement.value.func.value)
            if statement.value.func.attr == "append":
                target = f"{owner}[-1]"
            else:
                assert statement.value.func.attr == "add_module"
                target = f"{owner}.get_submodule({ast.unparse(statement.value.args[0])})"
            targets = [target]
        else:
            assert isinstance(statement, ast.Assign)
            (whole,) = statement.targets
            targets = [ast.unparse(t) for t in (whole.elts if isinstance(whole, ast.Tuple) else [whole])]
        values = tuple(eval(t, frame.f_globals, frame.f_locals) for t in targets)
        self.seen.append(Seen(comment, tuple(targets), values))


class Watched(NamedTuple):
    """A model that was built and run under watch."""

    model: nn.Module
    constructed: list[Seen]
    ran: list[Seen]
    outputs: dict[nn.Module, list[tuple[tuple[int, ...], ...]]]
    inputs: dict[nn.Module, list[tuple[tuple[int, ...], ...]]]
    all: dict[int, Comment]


def watched(found: Plan) -> Watched:
    source = emit(found.graph)
    module = execute(source)
    watch = Watch(source.text, module.__file__ or "")
    outputs: dict[nn.Module, list[tuple[tuple[int, ...], ...]]] = {}
    inputs: dict[nn.Module, list[tuple[tuple[int, ...], ...]]] = {}

    def shapes(values: Any) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(v.shape[1:]) for v in ((values,) if isinstance(values, Tensor) else values))

    def note(owner: nn.Module, given: Any, result: Any) -> None:
        inputs.setdefault(owner, []).append(shapes(given))
        outputs.setdefault(owner, []).append(shapes(result))

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        model = getattr(module, source.model)().eval()
        constructed, watch.seen = watch.seen, []
        for child in model.modules():
            child.register_forward_hook(note)
        x = [
            torch.zeros(2, *v.shape, dtype=torch.int64) if v.dtype == "int64" else torch.randn(2, *v.shape)
            for v in found.graph.inputs
        ]
        with torch.no_grad():
            model(*x)
    finally:
        sys.settrace(before)
    return Watched(model, constructed, watch.seen, outputs, inputs, watch.comments)


def flattened(seen: Seen, model: nn.Module) -> bool:
    """Whether a module of its own flattens what this one gives."""
    names = {child: name for name, child in model.named_modules()}
    name = names[seen.values[0]]
    return any(FLATTENED.sub("", other) == name and FLATTENED.search(other) for other in names.values())


def wrong_in_constructors(found: Watched, flatten: bool) -> list[str]:
    return [
        f"{found.all[seen.comment.statement.lineno].line}: {seen.names} gives {given}, not {seen.comment.shape}"
        for seen in found.constructed
        if flatten or not flattened(seen, found.model)
        for given in found.outputs[seen.values[0]]
        if given[0] != seen.comment.shape
    ]


def wrong_in_forward(found: Watched, first_use: bool) -> list[str]:
    """Comments of a `forward` that are wrong; with `first_use`, those of the first run of the line alone."""
    wrong, known = [], set()
    for seen in found.ran:
        if first_use and seen.comment.line in known:
            continue
        known.add(seen.comment.line)
        shapes = [tuple(v.shape[1:]) for n, v in zip(seen.names, seen.values, strict=True) if n != "_"]
        if seen.comment.shape != shapes[0]:
            wrong.append(f"{seen.comment.line}: {seen.names} has {shapes}, not {seen.comment.shape}")
    return wrong


@every
def test_shapes_in_comments_are_those_of_the_first_run(name: str) -> None:
    found = watched(plan(name))
    assert {s.comment.line for s in (*found.constructed, *found.ran)} == {c.line for c in found.all.values()}
    assert len(found.all) > 1 or name == "shuffled"
    assert wrong_in_constructors(found, flatten=False) == []
    assert wrong_in_forward(found, first_use=True) == []


ZOO = {
    "alexnet": 63,
    "dcgan_generator": None,
    "densenet": 32,
    "googlenet": 64,
    "lenet5": None,
    "mobilenet_v3_large": 64,
    "resnet50": 64,
    "unet": 188,
}


@pytest.mark.parametrize("name", ZOO)
def test_shapes_in_comments_of_the_zoo(name: str) -> None:
    found = watched(cnnplan.plan(zoo.find(name), input_size=ZOO[name]))
    assert wrong_in_constructors(found, flatten=False) == []
    assert wrong_in_forward(found, first_use=True) == []


def test_the_shape_beside_a_global_pooling_is_its_own() -> None:
    assert wrong_in_constructors(watched(plan("chain")), flatten=True) == []
    assert wrong_in_constructors(watched(plan("residual")), flatten=True) == []


def test_shapes_in_a_forward_hold_for_all_uses_of_a_block() -> None:
    assert wrong_in_forward(watched(plan("crossed")), first_use=False) == []


GROWING = """
cnnplan: 1
name: growing
input: [4, 8, 8]
layers:
  - conv: {out_channels: 4, kernel_size: 1}
    name: stem
  - conv: {out_channels: =in_channels + 2, kernel_size: 3, padding: 1}
    repeat: 4
  - concat:
    from: [stem, previous]
"""


def test_the_shape_inside_a_loop_holds_in_every_round() -> None:
    assert wrong_in_forward(watched(cnnplan.plan(GROWING)), first_use=False) == []


def test_the_shape_beside_a_split_is_that_of_a_value_that_is_used() -> None:
    for seen in watched(plan("shuffled")).ran:
        shapes = {tuple(v.shape[1:]) for n, v in zip(seen.names, seen.values, strict=True) if n != "_"}
        assert seen.comment.shape in shapes


MERGED = """
cnnplan: 1
name: merged
input: [4, 8, 8]
layers:
  - concat:
      a: [{conv: {out_channels: 4, kernel_size: 1}}]
      b: []
  - relu
  - conv: {out_channels: 8, kernel_size: 1}
"""


def test_a_new_shape_is_shown_before_it_is_used() -> None:
    """4x8x8 enters, so a reader takes relu1 and conv1 for 4x8x8 where nothing else is written."""
    assert (8, 8, 8) in {seen.comment.shape for seen in watched(cnnplan.plan(MERGED)).constructed}


# ------------------------------------------------------------------------- docstrings


def shapes_of(text: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, part.split("x"))) for part in text.split(", "))


@every
def test_docstrings_say_what_is_there(name: str) -> None:
    found = watched(plan(name))
    graph = plan(name).graph
    text = emit(graph).text
    tree = ast.parse(text)
    head = ast.get_docstring(tree) or ""
    assert head.startswith(f"{graph.name}: ")
    used = Counter(type(m).__name__ for m in found.model.modules())
    firsts: dict[str, nn.Module] = {}
    for module in found.outputs:  # in the order in which they were run to their end
        firsts.setdefault(type(module).__name__, module)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert all(ast.get_docstring(node) for node in (*classes, *functions))
    blocks = 0
    for node in classes:
        about = ast.get_docstring(node) or ""
        assert used[node.name] > 0, f"{node.name} is not used"
        if match := re.fullmatch(r"`(\w+)`, used (\d+) times, at first ([\dx, ]+) to ([\dx, ]+)\.", about):
            assert used[node.name] == int(match[2])
            blocks += 1
        elif match := re.fullmatch(r"(?:`(\w+)`|(\w+)): ([\dx, ]+) to ([\dx, ]+)\.", about):
            assert used[node.name] == 1
            blocks += 1
        else:
            continue
        module = firsts[node.name]
        assert found.inputs[module][0] == shapes_of(match[3] if len(match.groups()) == 4 else "")
        assert found.outputs[module][0] == shapes_of(match[4])
        assert node.name.lower() == re.sub("_", "", match[1] or match[2]).lower() or node.name[-1].isdigit()
    assert blocks == 1 + sum(1 for n in classes if (ast.get_docstring(n) or "").startswith("`"))


@pytest.mark.parametrize(
    ("activation", "module", "words"),
    [
        ("elu", "nn.ELU", "ReLU and its kin"),
        ("silu", "nn.SiLU", "ReLU and its kin"),
        ("leaky_relu", "nn.LeakyReLU", "leaky ReLU"),
        ("selu", "nn.SELU", "SELU"),
        ("tanh", "nn.Tanh", "Glorot"),
    ],
)
def test_the_docstring_of_initialize_fits_the_activations(activation: str, module: str, words: str) -> None:
    text = source(f"""
        cnnplan: 1
        name: net
        input: [4, 8, 8]
        layers:
          - conv: {{out_channels: 4, kernel_size: 3}}
          - {activation}
          - conv: {{out_channels: 4, kernel_size: 1}}
    """)
    (about,) = (ast.get_docstring(n) or "" for n in ast.parse(text).body if isinstance(n, ast.FunctionDef))
    assert module in text
    assert words in about
    assert "the ReLU that follows" not in about


# ------------------------------------------------------------------------- the text


@every
def test_the_source_imports_torch_alone_and_compiles_without_a_warning(name: str) -> None:
    source = emit(plan(name).graph)
    tree = ast.parse(source.text)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(node in tree.body for node in imports)
    for node in imports:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        assert {n.split(".")[0] for n in names} == {"torch"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile(source.text, "model.py", "exec")
    assert source.text.endswith("\n")
    assert not source.text.endswith("\n\n")
    assert source.text.isascii()
    assert "cnnplan" not in source.text
    called = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert called.isdisjoint({"exec", "eval", "open", "__import__", "compile"})
    top = [n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    assert top[-1] == source.model
    assert len(set(top)) == len(top)


@every
def test_the_source_is_the_same_every_time(name: str) -> None:
    assert emit(cnnplan.plan(SPECS[name]).graph).text == emit(plan(name).graph).text


def test_every_function_is_annotated() -> None:
    for name in NAMES:
        for node in ast.walk(ast.parse(emit(plan(name).graph).text)):
            if isinstance(node, ast.FunctionDef):
                assert node.returns is not None, node.name
                assert all(a.annotation for a in node.args.args if a.arg != "self"), node.name


def test_ruff_has_nothing_to_say(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"net_{name}.py").write_text(emit(plan(name).graph).text)
    for name in zoo.names():
        (tmp_path / f"zoo_{name}.py").write_text(emit(cnnplan.plan(zoo.find(name)).graph).text)
    ruff(tmp_path, "check", "--select", "E,F,I,B,UP", "--line-length", "120")
    ruff(tmp_path, "format", "--check", "--diff", "--line-length", "100")


def ruff(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "ruff", arguments[0], "--isolated", "--no-cache", *arguments[1:], folder]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-500:]


def test_ruff_finds_no_needless_variable(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"net_{name}.py").write_text(emit(plan(name).graph).text)
    ruff(tmp_path, "check", "--select", "RET,PIE,SIM,PERF,C4")


@every
def test_the_constructors_of_torch_get_nothing_that_is_a_default(name: str) -> None:
    """`nn.Conv2d(3, 8, 3, stride=1)` is not how people write it."""
    for node in ast.walk(ast.parse(emit(plan(name).graph).text)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("nn.")):
            continue
        target = getattr(nn, ast.unparse(node.func).split(".")[1], None)
        if not (isinstance(target, type) and issubclass(target, nn.Module)):
            continue
        known = inspect.signature(target).parameters
        for keyword in node.keywords:
            if isinstance(keyword.value, ast.Constant):
                assert keyword.value.value != known[keyword.arg or ""].default, ast.unparse(node)


# ------------------------------------------------------------------------- how it reads


def source(text: str) -> str:
    return emit(cnnplan.plan(dedent(text)).graph).text


def test_the_residual_block_of_the_readme_uses_its_in_channels() -> None:
    """README.md's first example: `ConvBnRelu(32, out_channels, …)` beside `if … in_channels != out_channels`."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    text = source(readme.split("```yaml\n")[1].split("```")[0])
    body = text.split("class Residual(")[1].split("class ")[0]
    assert "in_channels: int" in body
    assert "ConvBnRelu(in_channels, out_channels, stride=stride)" in body


def test_half_of_a_kernel_is_written_as_half() -> None:
    text = source("""
        cnnplan: 1
        name: net
        input: [4, 8, 8]
        blocks:
          conv_relu:
            params: {out_channels: int, kernel_size: 3}
            layers:
              - conv: {out_channels: =out_channels, kernel_size: =kernel_size, padding: half}
              - relu
        layers:
          - conv_relu: 8
          - conv_relu: {out_channels: 6, kernel_size: 1}
    """)
    assert "padding=kernel_size // 2" in text


def test_the_numbers_of_layers_count() -> None:
    names = re.findall(r'add_module\(\s*f"\w+?\{(.*?)\}"', emit(plan("counted").graph).text)
    assert names
    assert all(re.fullmatch(r"[ijk]( [+-] \d+)?", n) for n in names), names


def test_sums_of_numbers_are_added_up() -> None:
    for name in NAMES:
        for node in ast.walk(ast.parse(emit(plan(name).graph).text)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
                terms = terms_of(node)
                assert sum(isinstance(t, ast.Constant) for t in terms) < 2, ast.unparse(node)


def terms_of(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return [*terms_of(node.left), *terms_of(node.right)]
    return [node]


def test_no_arithmetic_that_the_spec_does_not_have() -> None:
    body = emit(plan("inception").graph).text.split("class Mixed(")[1].split("class ")[0]
    assert "2 * out_channels" not in body
    assert "out_channels + 1" not in body


def test_a_block_that_is_used_once_keeps_its_arguments() -> None:
    text = emit(cnnplan.plan(zoo.find("resnet18")).graph).text
    assert "self.conv_bn_relu1 = ConvBnRelu()" not in text


STAGES = """
    cnnplan: 1
    name: net
    input: [16, 32, 32]
    layers:
      - layers:
          - conv: {out_channels: =16 * 2 ** k, kernel_size: 3, padding: 1}
          - relu
        repeat: {k: 3}
        name: enc
      - layers:
          - conv: {out_channels: =in_channels // 2, kernel_size: 3, padding: 1}
          - relu
        repeat: 3
        name: dec
"""


def test_variables_have_plain_names() -> None:
    names = {n.id for n in ast.walk(ast.parse(source(STAGES))) if isinstance(n, ast.Name)}
    assert "nn" in names
    assert not [n for n in names if n.endswith("__")]


def test_no_negative_number_is_added() -> None:
    assert " + -" not in source(STAGES)


def test_a_line_through_two_points_is_no_rule() -> None:
    assert "for i in range(2):" not in source(STAGES)


def test_functions_of_nested_checkpoints_have_plain_names() -> None:
    text = source("""
        cnnplan: 1
        name: net
        input: [4, 8, 8]
        layers:
          - layers:
              - conv: {out_channels: 4, kernel_size: 1}
              - layers:
                  - conv: {out_channels: 4, kernel_size: 1}
                  - relu
                checkpoint: true
                repeat: 2
            checkpoint: true
    """)
    names = [n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name.startswith("run_")]
    assert len(names) == 3
    assert not [n for n in names if n.endswith("_")]


def test_a_module_of_a_list_is_reached_by_its_index() -> None:
    text = source("""
        cnnplan: 1
        name: net
        input: [4, 8, 8]
        layers:
          - layers:
              - conv: {out_channels: 4, kernel_size: 3, padding: 1}
              - relu
            name: first
          - layers:
              - relu
              - conv: {out_channels: 4, kernel_size: 3, padding: 1}
            repeat: 3
            name: stage
    """)
    assert "xavier_normal_(self.stage[2].conv1.weight)" in text


def test_outputs_of_a_block_go_by_their_names() -> None:
    text = source("""
        cnnplan: 1
        name: net
        input: [4, 8, 8]
        blocks:
          pair:
            outputs: [near, far]
            layers:
              - relu:
                name: near
              - maxpool: 2
                name: far
        layers:
          - pair:
            name: trunk
          - conv: {out_channels: 4, kernel_size: 1}
            from: trunk.far
            name: a
          - upsample: 2
          - add:
            from: [trunk.near, previous]
    """)
    assert "trunk_near, trunk_far = self.trunk(x)\n" in text
    assert "self.trunk = Pair()\n" in text
