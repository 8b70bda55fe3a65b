"""H310 head-locks-input-size."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.errors import ShapeError
from cnnplan.lint.base import Change, Finding, Rule, at
from cnnplan.lint.heads import flattening
from cnnplan.source import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cnnplan.graph import Graph, Node
    from cnnplan.lint.net import Net
    from cnnplan.ops.base import Shape


class HeadLocksInputSize(Rule):
    """A dense layer behind a flattened map, where the input declares several sizes.

    The dense layer has a weight for each unit of the map, so that the network takes one size alone; S018 says so of
    each size that is declared. There are two ways out, and both change nothing at the planned size. As convolutions,
    the first of which is as large as the map, the dense layers run at every place of a larger map, and their answers
    are averaged: that is the fix, whose weights are the old ones in another shape (`cnnplan.carry_weights`). Where a
    size is smaller than the planned one, an adaptive pool before the flattening gives the same number of units for
    each: so torchvision's VGG takes any image.

    Source: Sermanet et al. 2013, arXiv:1312.6229, section 3.5; Long, Shelhamer & Darrell 2014, arXiv:1411.4038,
    section 3.1; torch.nn.AdaptiveAvgPool2d.
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
          - linear: 64
          - relu
          - linear: 10
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: {shape: [3, 32, 32], sizes: [33, 64]}
        layers:
          - conv: {out_channels: 16, kernel_size: 3, padding: 1}
          - relu
          - avgpool: 2
          - conv: {out_channels: 64, kernel_size: 16}
          - relu
          - conv: {out_channels: 10, kernel_size: 1}
          - global_avgpool
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
                    help=f"write the head as convolutions, or put `{pool}` before `{flat.item.word}`: "
                    "neither changes anything at the size that is planned",
                    change=self.convolved(net, graph, flat, sizes)
                    or Change(False, f"insert `{pool}`", ((flat, ("before", pool)),)),
                )
                break

    @staticmethod
    def convolved(net: Net, graph: Graph, flat: Node, sizes: Sequence[tuple[int, ...]]) -> Change | None:
        """The head as convolutions; None where something in it cannot be one, or a size gives a smaller map."""
        shape, name = flat.shapes[0], graph.inputs[0].name
        maps = [found.spatial for _, found in HeadLocksInputSize.others(graph, flat, name, sizes)]
        if len(graph.inputs) > 1 or any(
            n < least for found in maps for n, least in zip(found, shape.spatial, strict=True)
        ):
            return None
        row = list(net.chain(flat))
        dense = [node for node in row if node.op.kind == "linear"]
        behind = row[: row.index(dense[-1])] if dense else row
        if not dense or any(node.op.kind != "linear" and not _is_elementwise(node) for node in behind):
            return None
        kernel = list(shape.spatial) if len(set(shape.spatial)) > 1 else shape.spatial[0]
        steps: list[tuple[Node, tuple[str | Node, ...]]] = [(flat, ("remove",))]
        for node in dense:
            given = node.item.arguments.get("out_features")
            if given is None:
                return None
            count = given[1].node.text if isinstance(given[1].node, Scalar) else ""
            count = f'"{count}"' if any(mark in count for mark in ",[]{}:#\"'") else count
            bias = "" if node.op.bias else ", bias: false"  # type: ignore[attr-defined]
            size = kernel if node is dense[0] else 1
            steps.append((node, ("replace", f"conv: {{out_channels: {count}, kernel_size: {size}{bias}}}")))
        steps.append((dense[-1], ("after", "global_avgpool")))
        return Change(False, "write the head as convolutions", tuple(steps))

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


def _is_elementwise(node: Node) -> bool:
    """Whether it does the same to a vector and to a map of one position."""
    op = node.op
    return op.group in ("activation", "regularization") or op.kind in ("batchnorm", "identity", "scale", "layer_scale")
