"""What `cnnplan ops` says can be pasted into a spec."""

import re

import pytest

import cnnplan
from cnnplan.blocks import builtin_names
from cnnplan.ops import registry
from cnnplan.render.ops import page
from tests.language.helpers import plan

SHAPES = ("[64, 16, 16]", "[64]", "[64, 16]", "{shape: [64], dtype: int64}")


def fits(layers: str, blocks: str = "") -> bool:
    """Whether the items are valid on one of the usual shapes, behind two values called a and b."""
    for shape in SHAPES:
        head = f"cnnplan: 1\nname: net\ninput: {shape}\n{blocks}"
        head += "layers:\n- identity:\n  name: a\n"
        head += "" if "int64" in shape else "- layers: [flatten, {linear: 6}]\n  name: theta\n"
        if "int64" not in shape:
            head += "- layers: [flatten, {linear: 20}, {reshape: [5, 4]}]\n  name: boxes\n  from: a\n"
            head += "- identity:\n  name: features\n  from: a\n"
        head += "- maxpool: 1\n  name: pool1\n  from: a\n" if shape.count(",") and "int64" not in shape else ""
        head += "- identity:\n  name: b\n  from: a\n"
        try:
            plan(head + layers)
        except cnnplan.SpecError:
            continue
        return True
    return False


def examples(text: str) -> list[str]:
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    return re.split(r"^(?=- )", block, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("name", registry.names())
def test_examples_are_valid_items(name: str) -> None:
    found = examples(page(name))
    assert found
    for example in found:
        assert fits(example), example


@pytest.mark.parametrize("name", builtin_names())
def test_a_built_in_block_can_be_pasted_and_means_the_same(name: str) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", page(name), re.DOTALL)
    use = f"- {name}: 8\n"
    assert fits(use)
    assert fits(use, block)
    head = "cnnplan: 1\nname: net\ninput: [16, 9, 9]\n"
    pasted, built_in = plan(f"{head}{block}layers:\n{use}"), plan(f"{head}layers:\n{use}")
    assert [(x.name, x.output, x.parameters) for x in pasted.layers] == [
        (x.name, x.output, x.parameters) for x in built_in.layers
    ]


def test_pages_explain() -> None:
    text = page("conv")
    for word in ("out_channels", "required", "Formulas", "MACs", "arXiv", "torch.nn.Conv2d"):
        assert word in text
    with pytest.raises(cnnplan.UsageError, match="'conv'"):
        page("cnv")
