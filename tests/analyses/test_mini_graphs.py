"""The small graphs in the test suite of google-research/receptive_field, and what it expects of them."""

import pytest

from tests.analyses.test_field import last_axes, span_of
from tests.language.helpers import net, plan

BRANCHES = """
    - add:
        left: [{conv: {out_channels: 1, kernel_size: 1, stride: 4}}]
        right:
          - pad: [[1, 0], [1, 0]]
          - conv: {out_channels: 1, kernel_size: 3, stride: 2}
          - conv: {out_channels: 1, kernel_size: 1, stride: 2}
    - relu
"""
BEHIND = """
    - add:
        left: [{conv: {out_channels: 1, kernel_size: 1, stride: 2}}]
        right:
          - pad: [[1, 0], [1, 0]]
          - conv: {out_channels: 1, kernel_size: 3, stride: 2}
    - relu
"""
SAME = """
    - add:
        left: [{conv: {out_channels: 1, kernel_size: 1, stride: 4, padding: same}}]
        right:
          - conv: {out_channels: 1, kernel_size: 3, stride: 2, padding: same}
          - conv: {out_channels: 1, kernel_size: 1, stride: 2, padding: same}
    - relu
"""
SAME_BEHIND = """
    - add:
        left: [{conv: {out_channels: 1, kernel_size: 1, stride: 2, padding: same}}]
        right: [{conv: {out_channels: 1, kernel_size: 3, stride: 2, padding: same}}]
    - relu
"""
# the size of a square image and the layers; size, stride, padding (= -start), and whether the paths are aligned
GRAPHS: dict[str, tuple[int, str, tuple[int, int, int, bool]]] = {
    "two strides that agree": (16, BRANCHES, (3, 4, 1, True)),
    "pools in one branch": (
        16,
        """
        - add:
            left: [{conv: {out_channels: 1, kernel_size: 1, stride: 4}}]
            right:
              - pad: [[1, 0], [1, 0]]
              - maxpool: {kernel_size: 3, stride: 2}
              - maxpool: {kernel_size: 1, stride: 2}
        - relu
        """,
        (3, 4, 1, True),
    ),
    "pools alone": (
        16,
        """
        - add:
            left: [{avgpool: {kernel_size: 1, stride: 4}}]
            right:
              - pad: [[1, 0], [1, 0]]
              - avgpool: {kernel_size: 3, stride: 2}
              - maxpool: {kernel_size: 1, stride: 2}
        - relu
        """,
        (3, 4, 1, True),
    ),
    "dropout in one branch": (
        16,
        """
        - add:
            left: [{conv: {out_channels: 1, kernel_size: 1, stride: 4}}]
            right:
              - pad: [[1, 0], [1, 0]]
              - conv: {out_channels: 1, kernel_size: 3, stride: 2}
              - conv: {out_channels: 1, kernel_size: 1, stride: 2}
              - dropout
        - relu
        """,
        (3, 4, 1, True),
    ),
    "branches behind branches": (16, BRANCHES + BEHIND, (11, 8, 5, True)),
    # SAME padding is 1 and 1 around 17, 9 and 5 units, but 0 and 1 around 8
    "SAME, around an odd size": (9, SAME, (3, 4, 1, True)),
    "SAME, around an even size": (8, SAME, (3, 4, 0, False)),
    "branches behind branches, SAME": (17, SAME + SAME_BEHIND, (11, 8, 5, True)),
    # not of that suite
    "centres that do not agree": (
        16,
        """
        - add:
            left: [{conv: {out_channels: 1, kernel_size: 3, padding: 1}}]
            right: [{pad: [[2, 0], [2, 0]]}, {conv: {out_channels: 1, kernel_size: 3}}]
        """,
        (4, 1, 2, False),
    ),
}


def head(size: int) -> str:
    """The top of a spec for a square image."""
    return f"cnnplan: 1\nname: net\ninput: [1, {size}, {size}]\n"


@pytest.mark.parametrize("name", GRAPHS)
def test_mini_graphs(name: str) -> None:
    size, layers, expected = GRAPHS[name]
    for axis in last_axes(plan(net(layers, head=head(size))).graph):
        span = span_of(axis)
        assert (span.size, span.stride, -span.start, axis.aligned) == expected


def test_kernels_that_are_not_square() -> None:
    layers = """
        - conv: {out_channels: 1, kernel_size: [3, 5], stride: 2}
        - conv: {out_channels: 1, kernel_size: [3, 1], stride: 2}
        - relu
    """
    axes = last_axes(plan(net(layers, head=head(16))).graph)
    spans = [span_of(axis) for axis in axes]
    assert [(span.size, span.stride, -span.start) for span in spans] == [(7, 4, 0), (5, 4, 0)]
    assert all(axis.aligned for axis in axes)


def test_two_strides_that_do_not_agree() -> None:
    """An image of 8x8 is the one for which the branches are of the same size."""
    layers = """
        - add:
            left:
              - pad: [[2, 1], [2, 1]]
              - conv: {out_channels: 1, kernel_size: 5, stride: 2}
            right:
              - conv: {out_channels: 1, kernel_size: 3}
              - conv: {out_channels: 1, kernel_size: 3}
        - relu
    """
    found = plan(net(layers, head=head(8)))
    for axis in last_axes(found.graph):
        assert axis.span is None
        assert {(span.size, span.stride, -span.start) for span in axis.spans} == {(5, 2, 2), (5, 1, 0)}
        assert not axis.aligned
    assert found.receptive_field
    assert found.receptive_field.size == (None, None)
