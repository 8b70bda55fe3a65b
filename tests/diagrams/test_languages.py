"""DOT and Mermaid: the same boxes, frames and edges, and no text that breaks out of its quotes."""

import re
import shutil
import subprocess
from html import unescape
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import cnnplan
from cnnplan import zoo
from cnnplan.diagrams import draw
from cnnplan.diagrams.building import diagram
from cnnplan.diagrams.dot import dot
from cnnplan.diagrams.mermaid import MAX_EDGES, mermaid
from cnnplan.diagrams.model import Box, Diagram, Edge, Group, Line
from cnnplan.diagrams.svg import svg
from tests.diagrams.picture import read
from tests.language.helpers import net, plan

HOSTILE = [
    '"] --> x["',
    "end",
    "a\nb\r\nc\td\x00\x1b[31m",
    "</title><script>alert(1)</script>",
    "<b>&amp; ]]> <!-- -->",
    "back\\slash\\",
    "`tick` #quot; #35; %% {curly} |pipe| ;semi",
    "naïve ü 日本語 العربية \u202e \ufffe \ud800",
    '" ]; x -> y [label="',
    "click n1 call f()",
]

CASES = [("unet", None), ("unet", 2), ("googlenet", 2), ("fpn", 2), ("siamese", 3), ("resnet50", 3), ("lrcn", 1)]


def nested(group: Group) -> list[object]:
    """The keys of boxes, and of frames with what is in them."""
    return [[part.key, *nested(part)] if isinstance(part, Group) else part.key for part in group.parts]


def read_nested(text: str, box: str, opening: str, closing: str) -> list[object]:
    """The same from text, line by line."""
    stack: list[list[object]] = [[]]
    for line in text.split("\n"):
        if found := re.match(opening, line.strip()):
            inner: list[object] = [int(found[1])]
            stack[-1].append(inner)
            stack.append(inner)
        elif line.strip() == closing and len(stack) > 1:
            stack.pop()
        elif found := re.match(box, line.strip()):
            stack[-1].append(int(found[1]))
    assert len(stack) == 1
    return stack[0]


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_both_have_the_boxes_the_frames_and_the_edges(name: str, depth: int | None) -> None:
    found = cnnplan.plan(zoo.find(name))
    shown = diagram(found, depth)
    edges = [(edge.source, edge.target, edge.sized) for edge in shown.edges]

    text = draw(found, "dot", depth)
    assert read_nested(text, r"n(\d+) \[", r"subgraph cluster_(\d+) \{", "}") == nested(shown.root)
    arrows = re.findall(r"^  n(\d+) -> n(\d+)(.*)$", text, re.MULTILINE)
    assert [(int(a), int(b), "style=dashed" in about) for a, b, about in arrows] == edges

    text = draw(found, "mermaid", depth)
    assert text.startswith("flowchart TB\n")
    assert read_nested(text, r"n(\d+)[(\[{]", r"subgraph g(\d+)\[", "end") == nested(shown.root)
    arrows = re.findall(r'^  n(\d+) (-->|-\.->)(?:\|"[^"]*"\|)? n(\d+)$', text, re.MULTILINE)
    assert [(int(a), int(b), arrow == "-.->") for a, arrow, b in arrows] == edges


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_both_say_what_the_picture_says(name: str, depth: int | None) -> None:
    found = cnnplan.plan(zoo.find(name))
    wanted = [[text.text for text in box.texts] for box in read(draw(found, "svg", depth)).boxes]
    labels = re.findall(r"^ *n\d+ \[label=<(.*)>, fillcolor", draw(found, "dot", depth), re.MULTILINE)
    assert [
        [unescape(re.sub(r"</?[bf][^>]*>", "", line)) for line in label.split("<br/>")] for label in labels
    ] == wanted
    labels = re.findall(r'^ *n\d+\W+"(.*)"\W+:::', draw(found, "mermaid", depth), re.MULTILINE)
    texts = [[re.sub(r"</?b>", "", line) for line in label.split("<br/>")] for label in labels]
    assert [[re.sub(r"#(\d+);", lambda m: chr(int(m[1])), line) for line in lines] for lines in texts] == wanted


def hostile() -> Diagram:
    """A diagram whose every text is hostile."""
    boxes = [
        Box(i + 1, shape, "block", (Line(text, "name"), Line(text, "what"), Line(text, "number")), text)
        for i, text in enumerate(HOSTILE)
        for shape in [("layer", "merge", "block", "input", "output")[i % 5]]
    ]
    frame = Group(99, "branch", HOSTILE[0], HOSTILE[3], tuple(boxes[1:]), HOSTILE[8])
    edges = tuple(Edge(a.key, b.key, (), a.key % 2 == 0, a.details) for a, b in pairwise(boxes))
    return Diagram(HOSTILE[3], HOSTILE[5], Group(0, "network", "", "", (boxes[0], frame)), edges)


def test_no_text_breaks_out_of_the_svg() -> None:
    root = ET.fromstring(svg(hostile()))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "text", "g", "path"}
    shown = [text.text for box in read(svg(hostile())).boxes for text in box.texts if text.style == "what"]
    assert shown[3] == HOSTILE[3]
    assert shown[2] == "a\\nb\\r\\nc\\td\\x00\\x1b[31m"
    assert "\\u202e" in shown[7]


def test_no_text_breaks_out_of_dot() -> None:
    text = dot(hostile())
    assert len(re.findall(r"^ *n\d+ \[", text, re.MULTILINE)) == len(HOSTILE)
    for label in re.findall(r"label=<(.*?)>, (?:fillcolor|label)", text):
        ET.fromstring(f"<a>{label}</a>")  # graphviz reads it as XML
    for line in text.split("\n"):
        outside = re.sub(r'"(\\.|[^"\\])*"', "", re.sub(r"label=<.*?>(?=, [a-z]+=)", "", line))
        assert '"' not in outside
        assert "<" not in outside


def test_no_text_breaks_out_of_mermaid() -> None:
    text = mermaid(hostile())
    for line in text.split("\n"):
        assert line.count('"') in (0, 2), line
        for label in re.findall(r'"(.*)"', line):
            plain = re.sub(r"#\d+;|</?b>|<br/>", "", label)
            assert not set(plain) & set('#&<>"`\\[]{}()|;%'), line
    assert text.count("\n") == len(HOSTILE) + 2 + len(HOSTILE) - 1 + 1 + 3


@pytest.mark.skipif(not shutil.which("dot"), reason="graphviz is not installed")
@pytest.mark.parametrize(("name", "depth"), CASES)
def test_graphviz_takes_it(name: str, depth: int | None) -> None:
    graphviz(draw(cnnplan.plan(zoo.find(name)), "dot", depth))


@pytest.mark.skipif(not shutil.which("dot"), reason="graphviz is not installed")
def test_graphviz_takes_hostile_texts() -> None:
    graphviz(dot(hostile()))


def graphviz(text: str) -> None:
    result = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    nodes = re.findall(rb"^node n(\d+) ", result.stdout, re.MULTILINE)
    assert len(nodes) == len(re.findall(r"^ *n\d+ \[", text, re.MULTILINE))


def test_mermaid_says_what_it_would_refuse() -> None:
    relus = "\n".join("- global_avgpool: {keepdim: true}" for _ in range(MAX_EDGES))
    text = draw(plan(net(relus)), "mermaid")  # one edge more than layers
    assert text.startswith("%% This diagram has more than 500 edges, which Mermaid refuses by default.")
    assert f"mermaid.initialize({{maxEdges: {MAX_EDGES + 1}" in text
    assert "\nflowchart TB\n" in text
    fewer = draw(plan(net(relus.partition("\n")[2])), "mermaid")
    assert "edges" not in fewer
    assert len(fewer) < 50_000 or "maxTextSize" in fewer


def test_the_documentation_shows_what_is_drawn() -> None:
    page = (Path(__file__).parents[2] / "docs" / "diagrams.md").read_text()
    (shown,) = re.findall(r"^```mermaid\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert shown == draw(cnnplan.plan(zoo.find("unet")), "mermaid")
