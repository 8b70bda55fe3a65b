"""Shapes and arguments that operations are tried with: small, and often at an edge."""

from hypothesis import strategies as st

from cnnplan.ops.base import Shape

channels = st.integers(1, 6)
ranks = st.integers(1, 3)


def sizes(rank: int) -> st.SearchStrategy[tuple[int, ...]]:
    most = {1: 12, 2: 8, 3: 5}[rank]
    return st.tuples(*[st.integers(1, most)] * rank)


@st.composite
def maps(draw: st.DrawFn, rank: int | None = None) -> Shape:
    """The shape of a map with 1 to 3 spatial axes."""
    rank = draw(ranks) if rank is None else rank
    return Shape((draw(channels), *draw(sizes(rank))))


vectors = st.builds(lambda n: Shape((n,)), st.integers(1, 20))
samples = st.one_of(vectors, maps())


def per_axis(rank: int, values: st.SearchStrategy[int]) -> st.SearchStrategy[int | tuple[int, ...]]:
    """One number, or one for each axis."""
    return st.one_of(values, st.tuples(*[values] * rank))


def paddings(rank: int, most: int = 3) -> st.SearchStrategy[object]:
    """All of the padding vocabulary."""
    side = st.integers(0, most)
    pairs = st.tuples(*[st.tuples(side, side)] * rank)
    return st.one_of(per_axis(rank, side), pairs, st.sampled_from(["half", "same"]))
