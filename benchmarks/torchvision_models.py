"""Networks of specs/ that torchvision defines by hand, and how to get at its definitions.

Of torchvision only Python is used. Its compiled operators belong to one build of torch: where they do not load, it is
imported all the same, with their names declared and nothing behind them. No network of this table calls one.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import PEERS, ROOT, install_peers
from torch.library import Library

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from torch import nn

SPECS = ROOT / "specs"
DECLARED: Any = Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
"""Names of operators; they are forgotten with it."""


class Pair(NamedTuple):
    """A network of both.

    Attributes:
        theirs: torchvision's name.
        options: of its constructor. Auxiliary heads are left out of both; `init_weights` would draw from a truncated
            normal distribution by rejection, which takes longer than all else.
        last: the part of a block whose weights we have after the rest of it, and torchvision before.
        on_meta: whether theirs can be built on the meta device: RegNet's computes its widths with tensors.
    """

    theirs: str
    options: dict[str, Any] = {}
    last: str = ""
    on_meta: bool = True


PAIRS = {
    "alexnet": Pair("alexnet"),
    "vgg16": Pair("vgg16"),
    "googlenet_bn": Pair("googlenet", {"aux_logits": False, "init_weights": False}),
    "resnet50": Pair("resnet50"),
    "densenet": Pair("densenet121"),
    "mobilenet_v2": Pair("mobilenet_v2"),
    "mobilenet_v3_large": Pair("mobilenet_v3_large"),
    "shufflenet_v2": Pair("shufflenet_v2_x1_0"),
    "efficientnet": Pair("efficientnet_b0"),
    "convnext": Pair("convnext_tiny", last="layer_scale"),
    "regnet_y": Pair("regnet_y_400mf", last="proj", on_meta=False),
}


@cache
def torchvision() -> ModuleType:
    """The package, whether its compiled part loads or not."""
    sys.path.append(str(PEERS))
    if not importlib.util.find_spec("torchvision"):
        install_peers()
    while True:
        try:
            importlib.import_module("torchvision.models")
            return sys.modules["torchvision"]
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if not missing:
                raise
            DECLARED.define(f"{missing[1]}() -> ()")
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]


def by_hand(name: str) -> nn.Module:
    """torchvision's network beside `specs/NAME.yaml`, with fresh weights."""
    pair = PAIRS[name]
    made: nn.Module = getattr(torchvision().models, pair.theirs)(weights=None, **pair.options)
    return made


def in_our_order(names: Iterable[str], last: str) -> list[str]:
    """torchvision's names, as ours follow each other; a block is what shares the first three parts of its name."""
    blocks: dict[tuple[str, ...], list[list[str]]] = {}
    for name in names:
        parts = name.split(".")
        blocks.setdefault(tuple(parts[:3]), [[], []])[last in parts].append(name)
    return [name for block in blocks.values() for part in block for name in part]


def give_weights(name: str, ours: nn.Module, theirs: nn.Module) -> None:
    """Give ours the weights and statistics of theirs; both must have as many tensors, each of the same size.

    ConvNeXt's pointwise convolutions are matrices there, and kernels of 1x1 here.
    """
    given = theirs.state_dict()
    pairs = zip(ours.state_dict().items(), in_our_order(given, PAIRS[name].last), strict=True)
    ours.load_state_dict({key: given[other].reshape(tensor.shape) for (key, tensor), other in pairs})
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in (ours, theirs)]
    assert counts[0] == counts[1], (name, counts)
