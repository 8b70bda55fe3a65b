"""H310 head-locks-input-size."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.errors import ShapeError
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.heads import flattening

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Graph, Node
    from cnnplan.lint.net import Net
    from cnnplan.ops.base import Shape


class HeadLocksInputSize(Rule):
    """A dense layer behind a flattened map, where the input declares several sizes.

    The dense layer has a weight for each unit of the map, so that the network takes one size alone; S018 says so of
    each size that is declared. An adaptive pool before the flattening gives the same number of units for each input,
    and at the size that is planned it changes nothing: so torchvision's VGG takes any image.

    Source: torch.nn.AdaptiveAvgPool2d; He, Zhang, Ren & Sun 2014, arXiv:1406.4729, section 1.
    """

    code: ClassVar[str] = "H310"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: {shape: [3, 32, 32], sizes: [33]}
        layers:
          - conv: {out_channels: 16, kernel_size: 3, padding: 1}
          - relu
          - avgpool: 2
          - flatten
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: {shape: [3, 32, 32], sizes: [33, 64]}
        layers:
          - conv: {out_channels: 16, kernel_size: 3, padding: 1}
          - relu
          - adaptive_avgpool: 16
          - flatten
          - linear: 10
    """

    def check(self, net: Net) -> Iterator[Finding]:
        graph = net.graph
        if not any(graph.sizes.values()) or "in_size" in net.plan.spec.text:
            return
        seen = set()
        for dense in net.of("linear"):
            flat = flattening(dense)
            if flat is None or flat in seen:
                continue
            seen.add(flat)
            shape = flat.shapes[0]
            for given in graph.inputs:
                doubled = tuple(2 * n for n in given.shape.spatial)
                sizes = (*graph.sizes[given.name], doubled) if graph.sizes.get(given.name) else ()
                other = next(self.others(graph, flat, given.name, sizes), None)
                if other is None:
                    continue
                size, found = other
                pool = f"adaptive_avgpool: {list(shape.spatial) if len(set(shape.spatial)) > 1 else shape.spatial[0]}"
                yield at(
                    flat,
                    f"'{dense.name}' takes the {shape.numel:,} values of a {shape} map alone; "
                    f"an input of {'x'.join(map(str, size))} gives {found.numel:,}",
                    help=f"put `{pool}` before `{flat.item.word}`: it changes nothing at the size that is planned",
                    change=Change(False, f"insert `{pool}`", ((flat, ("before", pool)),)),
                )
                break

    @staticmethod
    def others(
        graph: Graph, flat: Node, name: str, sizes: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[tuple[int, ...], Shape]]:
        """Sizes of an input that give another map than the planned, with that map."""
        from cnnplan.analyses.sizes import shapes_before

        for size in sizes:
            try:
                shape = shapes_before(graph, {name: size}, flat)[flat.inputs[0]]
            except ShapeError:  # which S018 reports
                continue
            if shape != flat.shapes[0]:
                yield size, shape
