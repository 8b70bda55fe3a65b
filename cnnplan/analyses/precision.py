"""How wide is each value? The dtype that every layer computes in, and what is cast on the way.

    pure    the model and its inputs are of one dtype
    mixed   parameters are float32; torch.autocast runs convolutions and matrix products in the other
            dtype, some operations in float32, and the others in what reaches them

Source: PyTorch's documentation, "CUDA Ops that can autocast to float16 / float32".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cnnplan.analyses.inplace import in_place

if TYPE_CHECKING:
    from cnnplan.graph import Graph, Node, Value

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int32": 4, "int64": 8, "bool": 1, "int8": 1}


class Precision(NamedTuple):
    """What the model runs in.

    Attributes:
        dtype: "float32", "float16" or "bfloat16".
        mixed: whether parameters stay float32 and torch.autocast chooses for each operation.
        device: "cuda" or "cpu": autocast has a list for each.
    """

    dtype: str = "float32"
    mixed: bool = False
    device: str = "cuda"

    @property
    def parameter(self) -> int:
        """Bytes of an element of a parameter."""
        return 4 if self.mixed else BYTES[self.dtype]

    @property
    def low(self) -> int:
        """Bytes of an element of what convolutions compute in."""
        return BYTES[self.dtype]


class Widths(NamedTuple):
    """Bytes of elements.

    Attributes:
        values: of each value.
        casts: for each layer, the inputs of which it makes a copy of another width.
        own: for each layer, of its own tensors: "activation" and "full".
    """

    values: dict[Value, int]
    casts: dict[Node, tuple[int, ...]]
    own: dict[Node, tuple[int, int]]


def widths(graph: Graph, precision: Precision) -> Widths:
    """The widths of all values, in the order the layers run."""
    width = precision.parameter
    values = {v: 8 if v.dtype == "int64" else width for v in graph.inputs}
    casts: dict[Node, tuple[int, ...]] = {}
    own: dict[Node, tuple[int, int]] = {}
    rewritten = in_place(graph) if precision.mixed else ()
    for node in graph.nodes:
        entering = [values[v] for v in node.inputs]
        floats = [n for n, v in zip(entering, node.inputs, strict=True) if v.dtype != "int64"]
        computed = leaving = max(floats, default=width if node.op.gives == "float32" else 8)
        rule = node.op.autocasts(precision.device, *node.shapes) if precision.mixed and computed < 8 else ""
        if rule == "low":
            computed = leaving = precision.low
        elif rule == "float32":
            computed = leaving = 4
        elif rule == "inside":
            computed, leaving = 4, entering[0]
        elif rule == "result":
            leaving = 4
        elif node in rewritten:
            leaving = entering[0]
        if rule and rule != "result" and (cast := tuple(i for i, n in enumerate(entering) if n != computed and n < 8)):
            casts[node] = cast
        own[node] = (computed, leaving if rule == "result" else computed)
        values.update((v, 8 if v.dtype == "int64" else leaving) for v in node.outputs)
    return Widths(values, casts, own)
