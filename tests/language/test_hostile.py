"""Bad input, through the command line: one clear message with its place, in little memory, and nothing written."""

import ast
import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.language.helpers import HEAD, MARK, ROOT, Ran, blocked, net, plan, polite, run
from tests.language.oracle import source

C = "conv: {out_channels: 3, kernel_size: 1}"
OLD = "# what was there before\n"


def build(text: str | bytes, folder: Path) -> Ran:
    """`build -o` over a file that is there: what fails leaves it as it is, and nothing beside it."""
    (folder / "model.py").write_text(OLD)
    ran = run("build", "-", "-o", "model.py", stdin=text, cwd=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["model.py"]
    assert ((folder / "model.py").read_text() == OLD) == (ran.code != 0)
    return ran


def refuses(text: str, folder: Path, *words: str) -> str:
    """One error, at the mark, by `build -o`."""
    before, mark, after = text.partition(MARK)
    assert mark
    ran = build(before + after, folder)
    said = polite(ran)
    assert ran.code == 1, said
    assert ran.out == ""
    assert said.endswith("\n1 error\n"), said
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert f" --> <stdin>:{line}:{column}\n" in said, said
    for word in words:
        assert word in said
    return said


def flow(values: str, key: str = "layers") -> str:
    return f"{HEAD}{key}: {values}\n" + ("" if key == "layers" else "layers: [relu]\n")


DOUBLED = "".join(f"- layers: [{MARK * (i == 13)}share: a{i}, share: a{i}]\n  name: a{i + 1}\n" for i in range(40))
LISTS = "".join(f"  x{i}: ={MARK * (i == 11)}x{i - 1} + x{i - 1}\n" for i in range(1, 40))
CASES = {
    "duplicate key": (net("- relu", more="«name: b"), "'name'", "given twice"),
    "unknown key": (net("- relu", more="«varables: {a: 1}"), "variables"),
    "unknown argument": (net("- conv: {out_channels: 3, «kernel: 1, kernel_size: 1}"), "kernel_size"),
    "wrong type": (net("- conv: {out_channels: «true, kernel_size: 1}"), "an integer"),
    "wrong type of the version": ("cnnplan: «'1'\nname: n\ninput: [3]\nlayers: [relu]\n", "version 1"),
    "unknown operation": (net("- «con: {out_channels: 3}"), "'conv'"),
    "unknown reference": (net("- relu:\n  name: alpha\n- tanh:\n  from: «alpa"), "'alpha'"),
    "unknown block": (blocked("stage: {layers: [relu]}", "- «stge"), "'stage'"),
    "recursion": (blocked("a: {layers: [b]}\nb: {layers: [«a]}", "- a"), "a → b → a"),
    "empty": ("«", "empty"),
    "only a comment": ("«# nothing\n", "empty"),
    "two documents": (net("- relu") + "«---\n" + net("- relu"), "one document"),
    "a tab": (HEAD + "layers:\n«\t- relu\n", "tab"),
    "a text": ("«just a text\n", "a mapping"),
    "an unclosed quote": (HEAD + 'layers: [«"relu]\n', "not closed"),
    "25,000 brackets": (flow("[" * 63 + "«" + "[" * 24_937), "64 levels"),
    "25,000 mappings": (flow("{a: " * 63 + "«" + "{a: " * 24_937), "64 levels"),
    "an alias": (net("- «*x"), "alias"),
    "an anchor": (net("- relu", more="variables: {x: «&a [1]}"), "anchor"),
    "laughs": (net("- relu", more="variables: {a: «&a [1, 1, 1, 1]}"), "anchor"),
    "a tag": (net("- relu", more="variables: {x: «!!python/object/apply:os.system ['touch pwned']}"), "tag"),
    "a merge key": (net("- relu", more="variables: {«<<: {a: 1}}"), "merge key"),
    "repeat": (net("- «relu:\n  repeat: 1000000000"), "20,000"),
    "repeat by an expression": (net("- «relu:\n  repeat: =10 ** 9"), "20,000"),
    "nested repeats": (net("- «layers: [layers: [{relu: , repeat: 999}]]\n  repeat: 999"), "20,000"),
    "nested repeats by expressions": (
        net("- layers: [{layers: [{«relu: , repeat: =n}], repeat: =n}]\n  repeat: =n", more="variables: {n: 9999}"),
        "20,000",
    ),
    "repeats of nothing": (
        net("- tanh\n- layers: [{«relu: , repeat: =n, if: false}]\n  repeat: =n", more="variables: {n: 9999}"),
        "100,000",
    ),
    "a block bomb": (
        blocked(
            "b0: {layers: [relu]}\n" + "\n".join(f"b{i}: {{layers: [b{i - 1}, b{i - 1}]}}" for i in range(1, 50)),
            "- «b49",
        ),
        "20,000",
    ),
    "a block bomb of nothing": (
        blocked(
            "b0: {layers: [{relu: , if: =1 > 2}]}\nb1: {layers: [«b0, b0]}\n".replace("«b0, b0", "b0, «b0")
            + "\n".join(f"b{i}: {{layers: [b{i - 1}, b{i - 1}]}}" for i in range(2, 50)),
            "- b49",
        ),
        "100,000",
    ),
    "a bomb of shares": (net("- relu:\n  name: a0\n" + DOUBLED), "20,000"),
    "towers of powers": (net("- relu", more="variables: {x: =«9**9**9}"), "64 bits"),
    "a product of a text": (net("- relu", more="variables: {x: \"=«'a' * 10**10\"}"), "numbers"),
    "lists that double": (
        net("- relu", more=f"variables:\n  x0: [1]\n{LISTS}"),
        "1,024",
    ),
    "an attribute": (net("- relu", more="variables: {x: \"=«3.__class__\"}"), ""),
    "an attribute of a text": (net("- relu", more="variables: {x: \"='a'«.__class__\"}"), ""),
    "an attribute of a name": (net("- conv: {out_channels: =in_size«.append, kernel_size: 1}"), ""),
    "a call": (net("- relu", more="variables: {x: \"=«__import__('os')\"}"), "no function"),
    "a call of a function": (net("- relu", more="variables: {x: \"=«open('pwned', 'w')\"}"), "no function"),
    "a call in a default that is not used": (
        blocked("b: {params: {p: \"=«exec('x')\"}, layers: [relu]}", "- relu"),
        "no function",
    ),
    "a comprehension": (net("- relu", more='variables: {x: "=[1 «for x in y]"}'), ""),
    "a lambda": (net("- relu", more='variables: {x: "=lambda«: 1"}'), ""),
    "an f-string": (net("- relu", more="variables: {x: \"=f«'a'\"}"), ""),
    "an expression of 1,800,000 characters": (net("- relu", more=f"variables: {{x: =«{'1+' * 900_000}1}}"), "1,000"),
    "brackets in an expression": (
        net("- relu", more=f"variables: {{x: '={'(' * 32}«{'(' * 400}1{')' * 432}'}}"),
        "32",
    ),
    "a keyword as a name": (net("- relu:\n  name: «class"), "reserved"),
    "a member of modules as a name": (net("- relu:\n  name: «forward"), "torch.nn.Module"),
    "code as a name": (net("- relu:\n  name: «\"x = 1; import os\""), "letters"),
    "no channels": (net("- conv: {out_channels: «0, kernel_size: 1}"), "≥ 1"),
    "fewer than none": (net("- conv: {out_channels: =«-3, kernel_size: 1}".replace("=«", "«=")), "≥ 1"),
    "an input of no size": ("cnnplan: 1\nname: n\ninput: [3, «0]\nlayers: [relu]\n", "≥ 1"),
    "nothing left of a map": (net("- conv: {out_channels: 3, kernel_size: «9}"), "8"),
    "beyond 64 bits": (net("- conv: {out_channels: «9223372036854775808, kernel_size: 1}"), "64 bits"),
    "a million digits": (net(f"- conv: {{out_channels: «{'9' * 1_000_000}, kernel_size: 1}}"), "64 bits"),
    "1e400": (net("- dropout: «1e400"), "too large"),
    "a tensor beyond 64 bits": (net("- «concat: [[], []]\n  repeat: 70"), "2^63"),
    "200,000 layers": (HEAD + "layers:\n" + "- relu\n" * 149_988 + "- «relu\n" + "- relu\n" * 50_011, "150,000"),
    "200,000 layers in a line": (
        f"{HEAD}«layers: [{'relu, ' * 100_000}relu]\n",
        "20,000",
    ),
    "a name of a million characters": (f"cnnplan: 1\nname: «{'n' * 1_000_000}\ninput: [3]\nlayers: [relu]\n", "60"),
    "a word of a million characters": (net(f"- «{'x' * 1_000_000}"), "unknown operation"),
    "a ring of blocks": (
        blocked("\n".join(f"b{i}: {{layers: [{'«' if i == 29 else ''}b{(i + 1) % 30}]}}" for i in range(30)), "- b3"),
        "reaches itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_error_at_its_place(case: str, tmp_path: Path) -> None:
    text, *words = CASES[case]
    refuses(text, tmp_path, *words)


@pytest.mark.parametrize(
    "case", ["duplicate key", "25,000 brackets", "nested repeats", "towers of powers", "two documents"]
)
def test_check_says_it_on_a_line(case: str, tmp_path: Path) -> None:
    text = CASES[case][0]
    before = text.partition(MARK)[0]
    ran = run("check", "-", "--format", "concise", stdin=text.replace(MARK, ""), cwd=tmp_path)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert (ran.code, ran.err) == (1, "")
    assert re.fullmatch(rf"<stdin>:{line}:{column}: error\[[SY]\d{{3}}\] [^\n]+\n", polite(ran))


BYTES = {
    "not UTF-8": (net("- relu").encode() + b"# \xe9\n", "6:3"),
    "UTF-16": (net("- relu").encode("utf-16"), "1:1"),
    "UTF-16 without a mark": (net("- relu").encode("utf-16-le"), "1:2"),
    "binary": (bytes(range(256)) * 50, ""),
    "nothing but zeros": (bytes(5000), "1:1"),
    "an ELF": (b"\x7fELF\x02\x01\x01" + bytes(9), ""),
    "a half character": (net("- relu").encode() + "é".encode()[:1], "6:1"),
    "an encoded surrogate": (net("- relu").encode() + b"# \xed\xa0\x80\n", "6:3"),
    "an overlong slash": (net("- relu").encode() + b"# \xc0\xaf\n", "6:3"),
}


@pytest.mark.parametrize("case", BYTES)
def test_what_is_no_text(case: str, tmp_path: Path) -> None:
    data, place = BYTES[case]
    ran = build(data, tmp_path)
    said = polite(ran)
    assert ran.code == 1
    assert said.endswith("\n1 error\n")
    assert re.search(rf" --> <stdin>:{place or '[0-9]+:[0-9]+'}\n", said)


def test_three_megabytes(tmp_path: Path) -> None:
    ran = build(b"# " + b"x" * 3_000_000 + b"\n", tmp_path)
    assert ran.code == 1
    assert "2,000,000" in polite(ran)


# -------------------------------------------------------------------- what is not within the limits, and is


def test_circles_that_share_a_block(tmp_path: Path) -> None:
    ran = build(blocked("a: {layers: [a, b]}\nb: {layers: [a, b]}", "- a"), tmp_path)
    assert "reaches itself" in polite(ran)
    assert ran.code == 1


def test_a_chain_of_blocks(tmp_path: Path) -> None:
    chain = "\n".join(["b0: {layers: [relu]}", *(f"b{i}: {{layers: [b{i - 1}]}}" for i in range(1, 900))])
    refuses(blocked(chain, "- «b899"), tmp_path)


def test_a_chain_of_shares(tmp_path: Path) -> None:
    chain = "".join(f"- share: a{i}\n  name: a{i + 1}\n" for i in range(1000))
    polite(build(net(f"- relu:\n  name: a0\n{chain}"), tmp_path))


def test_a_param_that_is_a_number(tmp_path: Path) -> None:
    polite(build(blocked("b: {params: {10: int}, layers: [relu]}", "- b: {n: 3}"), tmp_path))


MANY = {
    "keys given twice": f"{HEAD}variables:\n{'  a: 1' + chr(10)}{('  a: 1' + chr(10)) * 2000}layers: [relu]\n",
    "unknown operations": net("- rel\n" * 2000),
    "unknown names in a line": flow("[{relu: , name: a}" + ", {relu: , from: b}" * 1000 + "]"),
}


@pytest.mark.parametrize("case", MANY)
def test_thousands_of_errors(case: str, tmp_path: Path) -> None:
    """A person reads the first dozens; 19,000 of them take longer to print than to find."""
    assert "error" in polite(build(MANY[case], tmp_path))


@pytest.mark.parametrize("length", [1023, 1024])
def test_lists_as_long_as_they_may_be(length: int) -> None:
    assert plan(net("- relu", more=f"variables: {{a: {[1] * 500}, b: {[1] * (length - 500)}, c: =a + b}}"))


# -------------------------------------------------------------------- terminals


ESCAPES = {
    "an operation": flow('["\\e[31mrel"]'),
    "an argument": flow('[relu: {"\\e[31m": 3}]'),
    "a key": flow("1", key='"\\e]0;title\\a"'),
    "a name": flow('[{relu: , name: "\\e[2J"}]'),
    "a value": flow('[conv: {out_channels: "\\e[2J", kernel_size: 1}]'),
    "a text of an expression": flow("[conv: {out_channels: \"='\\e[2J' + 1\", kernel_size: 1}]"),
    "the other direction": flow('["\\u202ereddo"]'),
    "another line": flow('["rel\\nu"]'),
}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("case", ESCAPES)
def test_messages_hold_no_control_characters(case: str, tmp_path: Path) -> None:
    ran = run("check", "-", "--format", "concise", stdin=ESCAPES[case], cwd=tmp_path)
    said = polite(ran)
    assert ran.code == 1
    assert not CONTROL.search(said)
    assert said.count("\n") == 1


# -------------------------------------------------------------------- files


@contextlib.contextmanager
def released(fifo: Path, seconds: float = 4) -> Iterator[threading.Event]:
    """Whoever still waits for the other end of a FIFO after some seconds gets it, and the event is set."""
    late, done = threading.Event(), threading.Event()

    def release() -> None:
        if not done.wait(seconds):
            late.set()
            os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))

    thread = threading.Thread(target=release)
    thread.start()
    try:
        yield late
    finally:
        done.set()
        thread.join()


def test_a_fifo_without_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with released(tmp_path / "fifo") as late:
        ran = run("check", "fifo", cwd=tmp_path)
    assert not late.is_set()
    assert ran.code in (1, 2)
    assert "fifo" in polite(ran)


def test_a_folder_with_a_fifo_and_other_oddities(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").mkdir()
    (tmp_path / "c.yaml").symlink_to("c.yaml")
    (tmp_path / "d.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "e.yaml").symlink_to("/dev/zero")
    (tmp_path / "f.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "g.yaml").write_text(net("- rel"))
    (tmp_path / "h.yaml").write_text("a: 1\n")
    with released(tmp_path / "a.yaml") as late:
        ran = run("check", ".", cwd=tmp_path)
    assert not late.is_set()
    assert ran.code == 1
    assert "g.yaml" in polite(ran)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("missing.yaml", 2), ("folder", 2), ("loop.yaml", 2), ("nowhere.yaml", 2), ("spec.yaml/x", 2), ("/dev/null", 1),
        ("/dev/zero", 1), ("/proc/self/mem", 2), ("\udcff.yaml", 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["check", "build"])
def test_what_cannot_be_read(command: str, path: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "spec.yaml").write_text(net("- relu"))
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "nowhere.yaml").symlink_to("missing")
    ran = run(command, path, cwd=tmp_path)
    assert ran.code == code
    assert "error" in polite(ran)
    assert len((ran.out + ran.err).splitlines()) < 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(net("- relu"))
    (tmp_path / "spec.yaml").chmod(0)
    ran = run("check", "spec.yaml", cwd=tmp_path)
    assert ran.code == 2
    assert "permission denied" in polite(ran)


def test_a_path_that_is_too_long_to_build(tmp_path: Path) -> None:
    ran = run("build", "x" * 300, cwd=tmp_path)
    assert ran.code == 2
    assert "too long" in polite(ran)


def test_a_path_that_is_too_long_to_check(tmp_path: Path) -> None:
    ran = run("check", "x" * 300, cwd=tmp_path)
    assert ran.code == 2
    assert "too long" in polite(ran)


# -------------------------------------------------------------------- writing


@pytest.mark.parametrize(
    "output", ["/dev/full", "missing/model.py", "folder", "/proc/model.py", "x" * 300, "spec/model.py"]
)
def test_what_cannot_be_written(output: str, tmp_path: Path) -> None:
    (tmp_path / "spec").write_text(net("- relu"))
    (tmp_path / "folder").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = run("build", "spec", "-o", output, cwd=tmp_path)
    assert ran.code == 2
    assert re.fullmatch(r"error: cannot write [^\n]+\n", polite(ran))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(OLD)
    tmp_path.chmod(0o555)
    try:
        ran = run("build", "-", "-o", "model.py", stdin=net("- relu"), cwd=tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert ran.code == 2
    assert "cannot write" in polite(ran)
    assert (tmp_path / "model.py").read_text() == OLD


def test_a_link_keeps_pointing_and_a_mode_stays(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(OLD)
    (tmp_path / "real.py").chmod(0o640)
    (tmp_path / "model.py").symlink_to("real.py")
    assert run("build", "-", "-o", "model.py", stdin=net("- relu"), cwd=tmp_path).code == 0
    assert (tmp_path / "model.py").is_symlink()
    assert "class Net" in (tmp_path / "real.py").read_text()
    assert (tmp_path / "real.py").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.py", "real.py"]


def test_a_full_standard_output(tmp_path: Path) -> None:
    """What cannot be printed is no success."""
    for command in (["check", "-"], ["build", "-"]):
        with Path("/dev/full").open("w") as full:
            ran = subprocess.run(
                [sys.executable, "-c", "from cnnplan.cli import main; main()", *command],
                input=net("- relu"), stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert "Exception ignored" not in ran.stderr


def test_a_fifo_that_nobody_reads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with released(tmp_path / "fifo") as late:
        ran = run("build", "-", "-o", "fifo", stdin=net("- relu"), cwd=tmp_path)
    assert not late.is_set()
    assert ran.code == 2
    assert "cannot write" in polite(ran)


def test_the_spec_itself_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(net("- relu"))
    ran = run("build", "spec.yaml", "-o", "spec.yaml", cwd=tmp_path)
    assert (tmp_path / "spec.yaml").read_text() == net("- relu")
    assert ran.code == 2


# -------------------------------------------------------------------- what reaches the source


QUOTES = ['"""', "'''", "\\", '\\"""', "x\\", '"', "'", '"' * 7, "\\" * 7, '""" + exec("1") + """', "`", "#", " "]
ESCAPED = ["\\N{BULLET}", "\\N{", "\\x", "\\u12", "\\U1", "{0}", "%s", "${x}", "=1 + 1", "# -*- coding: rot13 -*-"]
STRANGE = ["\f", "\v", "\x85", "\u2028", "\x1a", "\t", "\u202e", "\ufeff", "\x7f", "\u200b", "\U000e0041", "\x1b[2J"]
LONG = ["\u0301" * 300, "\xad" * 200, "😀" * 90, "a" * 3000, "a " * 1000, "-" * 200, "é" * 101]
BROKEN = ['a"""\nimport os\nos.mkdir("pwned")\n"""', "\r", "\x00", "\\\n", "\n\n\n", "\\\r\n", "a\nb"]
TEXTS = [*QUOTES, *ESCAPED, *STRANGE, *LONG, *BROKEN]


def kept(text: str) -> str:
    """The source of a network whose block keeps a text as an argument."""
    layers = [{"conv": {"out_channels": 3, "kernel_size": 1}}, {"relu": None, "if": "=word == 'on'"}]
    block = {"params": {"word": "str"}, "layers": layers}
    use = [{"b": {"word": word}} for word in ("on", text)]
    return source({"cnnplan": 1, "name": "net", "input": [3, 8, 8], "blocks": {"b": block}, "layers": use})


@pytest.mark.parametrize("key", ["description", "reference"])
def test_texts_stay_in_the_docstring(key: str) -> None:
    """The source has the statements that it has without the text: it compiles, and does nothing else."""
    plain = ast.parse(source(net("- relu")))
    for text in TEXTS:
        data = {"cnnplan": 1, "name": "net", "input": [3, 8, 8], key: text, "layers": ["relu"]}
        emitted = source(data)
        tree = ast.parse(emitted)
        assert [ast.dump(s) for s in tree.body[1:]] == [ast.dump(s) for s in plain.body[1:]], repr(text)
        assert isinstance(tree.body[0], ast.Expr)
        assert isinstance(tree.body[0].value, ast.Constant)
        assert not CONTROL.search(emitted), repr(text)


def held(text: str) -> None:
    tree = ast.parse(kept(text))
    assert {type(statement).__name__ for statement in tree.body} <= {"Expr", "ImportFrom", "ClassDef", "FunctionDef"}
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert text in constants


@pytest.mark.parametrize("text", [t for t in (*QUOTES, *ESCAPED, *LONG) if t[0] != "="])
def test_texts_of_arguments_stay_texts(text: str) -> None:
    held(text)


@pytest.mark.parametrize("text", BROKEN)
def test_texts_of_arguments_of_several_lines(text: str) -> None:
    held(text)


@pytest.mark.parametrize("text", [t for t in STRANGE if t not in ("\t", "\ufeff", "\u200b", "\U000e0041")])
def test_texts_of_arguments_are_printable(text: str) -> None:
    held(text)
    assert not CONTROL.search(kept(text))


def test_a_spec_that_is_read_touches_nothing(tmp_path: Path) -> None:
    evil = "__import__('os').mkdir('pwned')"
    for text in (
        net("- relu", more=f'description: "{evil}"\nreference: "{evil}"'),
        net(f'- relu:\n  if: "={evil}"'),
        net(f'- relu:\n  from: "{evil}"'),
        net(f'- relu:\n  name: "{evil}"'),
        net(f'- "{evil}"'),
        net("- relu", more=f'outputs: ["{evil}"]'),
        net("- relu", more=f'target: {{device: "{evil}"}}'),
    ):
        ran = run("build", "-", stdin=text, cwd=tmp_path)
        polite(ran)
        if ran.code == 0:
            exec(compile(ran.out, "model.py", "exec"), {"__name__": "model"})
        assert not (tmp_path / "pwned").exists()
        assert not Path("pwned").exists()
