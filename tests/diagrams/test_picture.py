"""The SVG, read as a picture: nothing overlaps, lines lead where values flow, text is inside its box and true."""

import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import cnnplan
from cnnplan import zoo
from cnnplan.diagrams import draw
from cnnplan.diagrams.building import diagram
from cnnplan.diagrams.layout import rows as layout_rows
from cnnplan.diagrams.layout.sizes import STYLES
from cnnplan.diagrams.model import Box, Group
from cnnplan.diagrams.text import width
from cnnplan.errors import UsageError
from cnnplan.planning import Plan
from tests.diagrams.picture import Picture, joined, read
from tests.language.helpers import net, plan
from tests.networks import Spec, networks


def look(plan: Plan, depth: int | None) -> Picture:
    """Draw a network, and see that the picture is right."""
    svg = draw(plan, "svg", depth)
    picture = read(svg)
    nothing_overlaps(picture)
    lines_keep_off(picture)
    lines_lead_where_values_flow(plan, depth, picture)
    text_is_inside(picture)
    return picture


def nothing_overlaps(picture: Picture) -> None:
    """Boxes are apart; of two frames, or a frame and a box, one holds the other or they are apart."""
    ordered = sorted(picture.boxes, key=lambda box: box.rect.y)
    for index, box in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if other.rect.y >= box.rect.y + box.rect.height:
                break
            assert box.rect.apart(other.rect), (box, other)
    for frame in picture.frames:
        for box in picture.boxes:
            assert frame.rect.apart(box.rect) or frame.rect.around(box.rect)
    for a, b in combinations(picture.frames, 2):
        assert a.rect.apart(b.rect) or a.rect.around(b.rect) or b.rect.around(a.rect)


def lines_keep_off(picture: Picture) -> None:
    """No line passes a box, nor the side of a frame: it is inside as a whole, or outside."""
    for line in picture.lines:
        low, high = min(y for _, y in line.points), max(y for _, y in line.points)
        for box in picture.boxes:
            if box.rect.y < high and low < box.rect.y + box.rect.height:
                assert not any(box.rect.holds(x, y, 0.3) for x, y in line.points), (line.corners, box)
        for frame in picture.frames:
            near = [p for p in line.points if abs(p[1] - frame.rect.y) > 0.3]
            near = [p for p in near if abs(p[1] - frame.rect.y - frame.rect.height) > 0.3]
            assert len({frame.rect.holds(x, y) for x, y in near}) <= 1, (line.corners, frame)


def lines_lead_where_values_flow(plan: Plan, depth: int | None, picture: Picture) -> None:
    shown = diagram(plan, depth)
    keys = {box.key: index for index, box in enumerate(shown.root.boxes())}
    assert len(keys) == len(picture.boxes)
    assert joined(picture) == {(keys[e.source], keys[e.target], e.sized) for e in shown.edges}


def text_is_inside(picture: Picture) -> None:
    for box in picture.boxes:
        for text in box.texts:
            style = STYLES[text.style]
            half = width(text.text, style.size, style.bold) / 2
            assert box.rect.x <= text.x - half
            assert text.x + half <= box.rect.x + box.rect.width
            assert box.rect.y + style.size * 0.7 <= text.y <= box.rect.y + box.rect.height - 3
    for frame in picture.frames:
        ends = []
        for text in frame.texts:
            size, bold = (12, True) if text.style == "on" else (11, False)
            ends.append((text.x, text.x + width(text.text, size, bold)))
            assert frame.rect.x < ends[-1][0]
            assert ends[-1][1] < frame.rect.x + frame.rect.width
            for line in picture.lines:
                for x, y in line.points:
                    crosses = ends[-1][0] - 1 < x < ends[-1][1] + 1 and text.y - size < y < text.y + 2
                    assert not crosses, (text, line.corners)
        assert len(ends) < 2 or ends[0][1] < ends[1][0]


def in_full(name: str, depth: int | None) -> None:
    picture = look(cnnplan.plan(zoo.find(name)), depth)
    for shown in (*picture.boxes, *picture.frames):
        assert shown.rect.x >= 0
        assert shown.rect.x + shown.rect.width <= picture.width
        assert shown.rect.y + shown.rect.height <= picture.height


@pytest.mark.parametrize("name", zoo.names())
def test_pictures_of_the_zoo(name: str) -> None:
    in_full(name, None)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "name",
    ["unet", "googlenet", "fpn", "siamese", "segnet", "lrcn", "recurrent_conv", "shufflenet_v2", "tcn", "resnet50"],
)
def test_pictures_at_each_depth(name: str, depth: int) -> None:
    in_full(name, depth)


@pytest.mark.parametrize("name", ["hrnet", "densenet", "inception_v3", "deconvnet", "squeezenet1_0", "capsnet"])
def test_pictures_of_wide_and_long_networks(name: str) -> None:
    in_full(name, 2)


@given(networks(most=8))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
def test_pictures_of_any_network(spec: Spec) -> None:
    found = cnnplan.plan(spec)
    for depth in (None, 2, 5):
        look(found, depth)


def boxes_of(group: Group, factor: int = 1) -> Iterator[tuple[Box, int]]:
    """The boxes of layers, with how many copies of them the frames around them count."""
    for part in group.parts:
        if isinstance(part, Group):
            times = re.search(r"× (\d+)$", part.title)
            yield from boxes_of(part, factor * int(times[1] if times else 1))
        elif part.nodes:
            yield part, factor


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "unet", "resnet50", "fpn", "siamese", "lrcn", "tcn"])
def test_numbers_of_boxes_are_those_of_the_plan(name: str) -> None:
    found = cnnplan.plan(zoo.find(name))
    layers = {layer.node: layer for layer in found.layers}
    for depth in (None, 1, 2, 3, 9):
        total = 0
        for box, factor in boxes_of(diagram(found, depth).root):
            numbers = "\n".join(line.text for line in box.lines if line.style == "number")
            summed = sum(layers[node].parameters for node in box.nodes)
            total += summed
            if said := re.search(r"^(?:(\d+) × )?([\d,]+) parameters?( in all)?$", numbers, re.MULTILINE):
                assert factor * int(said[1] or 1) * int(said[2].replace(",", "")) == summed
            elif box.shape != "merge":
                assert summed == 0
            last = layers[box.nodes[-1]]
            if box.shape != "block":
                assert str(last.output) in numbers
                local = re.search(r"field ([\dx]+)$", numbers, re.MULTILINE)
                assert not local or local[1] == "x".join(str(n) for n in last.receptive_field.size)  # type: ignore[union-attr]
        assert total == found.parameters


def test_what_the_lines_of_a_box_say() -> None:
    text = net("- conv: {out_channels: 64, kernel_size: 7, stride: 2, padding: 3}\n- global_avgpool\n- linear: 10")
    boxes = read(draw(plan(text), "svg")).boxes
    assert [[t.text for t in box.texts] for box in boxes] == [
        ["input", "3x8x8"],
        ["conv1", "conv 7x7/2, 64", "64x4x4 · field 7x7", "9,472 parameters"],  # 7 · 7 · 3 · 64 + 64
        ["global_avgpool1", "64 · field global"],
        ["linear1", "linear 10", "10 · field global", "650 parameters"],  # 64 · 10 + 10
        ["output", "10"],
    ]
    assert boxes[1].details.split("\n") == [
        "conv1",
        "conv 64 kernel_size=7 stride=2 padding=3",
        "line 5 of the spec",
        "output 64x4x4",
        "9,472 parameters",
        "150.53 KMACs",  # 4 · 4 · 64 · 7 · 7 · 3
        "302.08 KFLOPs",  # and 4 · 4 · 64 biases
    ]


def test_a_box_of_several_layers_tells_the_arguments_of_each() -> None:
    items = "- conv: {out_channels: 4, kernel_size: 1, bias: false}\n- batchnorm: {momentum: 0.2}\n- relu"
    box = read(draw(plan(net(items)), "svg")).boxes[1]
    assert box.details.split("\n")[:5] == [
        "conv1 … relu1",
        "conv 4 kernel_size=1 bias=false",
        "batchnorm momentum=0.2",
        "relu",
        "line 5 of the spec",
    ]


def test_alike_copies_tell_the_parameters_of_each() -> None:
    conv = "conv: {out_channels: 3, kernel_size: 3, padding: 1}"
    (box,) = [box for box in diagram(plan(net(f"- {conv}\n  repeat: 4")), None).root.boxes() if box.nodes]
    assert box.lines[-1].text == "4 × 84 parameters"  # 3 · 3 · 3 · 3 + 3
    (box,) = [
        box
        for box in diagram(
            plan(net("- conv: {out_channels: =4 + index, kernel_size: 1}\n  repeat: 2")), None
        ).root.boxes()
        if box.nodes
    ]
    assert box.lines[-1].text == "41 parameters in all"  # 3 · 4 + 4, 4 · 5 + 5


def test_long_edges_are_straight_beside_the_boxes() -> None:
    picture = read(draw(cnnplan.plan(zoo.find("unet")), "svg"))
    right = max(box.rect.x + box.rect.width for box in picture.boxes)
    skips = [line for line in picture.lines if max(x for x, _ in line.points) > right - 30]
    assert len(skips) >= 3
    longest = [max(b - y for (x, y), (a, b) in pairwise(s.corners) if x == a) for s in skips]
    high = picture.boxes[-1].rect.y
    assert max(longest) > 0.6 * high
    middles = {round(box.rect.x + box.rect.width / 2) for box in picture.boxes}
    assert len(middles) == 1, "one column"


def test_towers_stand_side_by_side() -> None:
    picture = read(draw(cnnplan.plan(zoo.find("googlenet")), "svg", 2))
    named = [box for box in picture.boxes if box.details.startswith("inception3a.concat1.")]
    towers = [box for box in named if box.texts[0].text in ("one", "three", "five", "pooled")]
    assert len(towers) == 4
    assert all(min(b.rect.y + b.rect.height for b in towers) > b.rect.y for b in towers)
    narrow = read(draw(cnnplan.plan(zoo.find("googlenet")), "svg"))
    assert narrow.width < 330


def test_the_same_plan_gives_the_same_bytes() -> None:
    for name in ("hrnet", "fpn"):
        path = zoo.find(name)
        for form in ("svg", "dot", "mermaid"):
            assert draw(cnnplan.plan(path), form, 2) == draw(cnnplan.plan(path), form, 2)


def test_a_large_network_is_drawn() -> None:
    conv = "- conv: {{out_channels: 3, kernel_size: 3, padding: 1}}\n  name: c{}\n"
    add = "- add:\n  from: [previous, c{}]\n  name: a{}\n"
    items = (conv.format(i) + (add.format(max(0, i - 5), i) if i else "") for i in range(1000))
    picture = read(draw(plan(net("".join(items))), "svg"))
    assert len(picture.boxes) == 2 * 1000 - 1 + 2
    nothing_overlaps(picture)


def test_a_picture_that_nobody_could_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_rows, "MAX_PLACES", 30)
    with pytest.raises(UsageError, match="more than 30 boxes and places"):
        draw(cnnplan.plan(zoo.find("unet")), "svg")


def test_depth_and_format_are_checked() -> None:
    found = plan(net("- relu"))
    with pytest.raises(UsageError, match="0 or more levels of blocks, not -1"):
        draw(found, "svg", -1)
    assert draw(found, "svg", 0) == draw(found, "svg")
    with pytest.raises(UsageError, match="one of svg, dot, mermaid, not 'png'"):
        draw(found, "png")


def test_widths_are_those_of_helvetica() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "pdfcorefonts"
    for name, bold in (("Helvetica", False), ("Helvetica-Bold", True)):
        metrics = re.findall(r"^C (\d+) ; WX (\d+)", (folder / f"{name}.afm").read_text(), re.MULTILINE)
        known = {chr(int(code)): int(wide) for code, wide in metrics}
        known["'"], known["`"] = (191, 333) if not bold else (238, 333)  # the font's own encoding has quotes there
        if not bold:
            for code in range(32, 127):
                assert round(width(chr(code), 1000)) == known[chr(code)], chr(code)
        for word in ("inception3a", "conv_bn_relu12", "bottleneck2", "global_avgpool1", "maxpool1", "stage4.0"):
            assert abs(width(word, 1000, bold) / sum(known[c] for c in word) - 1) < 0.04
