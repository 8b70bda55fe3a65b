"""R406 unet-modulus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cnnplan.lint.base import Finding, Rule, at
from cnnplan.ops.base import AXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnplan.graph import Graph, Value
    from cnnplan.lint.net import Net


class UnetModulus(Rule):
    """The network takes multiples of a number alone: a map that went down and up again meets one that did not.

    A stride rounds down, and up-sampling doubles what is left: of 13 units 6 come back as 12, which do not fit to the
    13 that were kept. With five strides of 2 all is well at multiples of 32 alone, and a photo of any other size is
    refused in use.

    Source: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, section 2, "it is important to select the input tile
    size such that all 2x2 max-pooling operations are applied to a layer with an even x- and y-size".
    """

    code: ClassVar[str] = "R406"
    bad: ClassVar[str] = """
        cnnplan: 1
        name: bad
        input: [3, 64, 64]
        layers:
          - conv_bn_relu: 16
            name: fine
          - conv_bn_relu: {out_channels: 32, stride: 2}
          - upsample: {scale_factor: 2, mode: bilinear}
          - concat:
            from: [fine, previous]
          - conv: {out_channels: 2, kernel_size: 1}
    """
    good: ClassVar[str] = """
        cnnplan: 1
        name: good
        input: [3, 64, 64]
        layers:
          - conv_bn_relu: 16
            name: fine
          - conv_bn_relu: {out_channels: 32, stride: 2}
          - upsample: {like: fine, mode: bilinear}
          - concat:
            from: [fine, previous]
          - conv: {out_channels: 2, kernel_size: 1}
    """

    def check(self, net: Net) -> Iterator[Finding]:
        graph = net.graph
        if not self.meets(graph) or "in_size" in net.plan.spec.text:
            return
        from cnnplan.analyses.sizes import Trial
        from cnnplan.analyses.steps import Steps

        steps = Steps(graph)
        for spatial in dict.fromkeys(value.shape.spatial for value in graph.inputs):
            axes: dict[str, list[str]] = {}
            larger, refuses = list(spatial), None
            for axis, n in enumerate(spatial):
                step, node = steps.step(axis, spatial)
                if step > 1:
                    those = f"{f'{n % step} more than ' if n % step else ''}multiples of {step}"
                    axes.setdefault(those, []).append(AXES[len(spatial)][axis])
                    larger[axis] += step
                    refuses = refuses or node
            names = [value.name for value in graph.inputs if value.shape.spatial == spatial]
            if refuses and Trial(graph).runs(dict.fromkeys(names, tuple(larger))):
                only = ", ".join(f"{those} along {' and '.join(along)}" for those, along in axes.items())
                yield at(
                    refuses,
                    f"the network takes only {only}: '{refuses.name}' refuses others",
                    help="pad other inputs, or up-sample to the size of the other value: `upsample: {like: …}`",
                )

    @staticmethod
    def meets(graph: Graph) -> bool:
        """Whether a map that was made larger by a factor is merged with another value."""
        larger: set[Value] = set()
        for node in graph.nodes:
            op = node.op
            if op.group == "merge" and not larger.isdisjoint(node.inputs):
                return True
            grows = op.kind in ("conv_transpose", "pixel_shuffle") or getattr(op, "scale_factor", None) is not None
            if grows or not larger.isdisjoint(node.inputs):
                larger.update(node.outputs)
        return False
