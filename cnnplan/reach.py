"""What the units of a graph see, each part computed when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from cnnplan.pause import no_collection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnplan.analyses.effective import Spread
    from cnnplan.analyses.field import Fields, ReceptiveField
    from cnnplan.analyses.paths import Paths
    from cnnplan.analyses.taps import Comb
    from cnnplan.graph import Graph, Value

T = TypeVar("T")


class Reach:
    """The receptive fields of a graph, computed when one is first asked for."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def fields(self) -> dict[Value, Fields]:
        """Of every value."""
        from cnnplan.analyses.field import fields

        with no_collection():
            return fields(self.graph)

    @cached_property
    def _spreads(self) -> Mapping[Value, Sequence[Paths[Spread | str | None] | None]]:
        from cnnplan.analyses.effective import spreads

        with no_collection():
            return spreads(self.graph)

    @cached_property
    def _combs(self) -> Mapping[Value, Sequence[Paths[Comb | str | None] | None]]:
        from cnnplan.analyses.taps import combs

        with no_collection():
            return combs(self.graph)

    def of(self, value: Value) -> ReceptiveField | None:
        """Of one value."""
        from cnnplan.analyses.field import receptive_field

        return receptive_field(value, self.graph, self.fields)

    def effective_size(self, value: Value) -> tuple[float | None, ...]:
        """The estimated effective field along each axis, never more than the field itself."""
        field = self.of(value)
        if field is None:
            return ()
        axes = self._axes(self._spreads[value], field)
        pairs = zip(axes, field.size, strict=True)
        return tuple(None if axis is None or size is None else min(axis.size, float(size)) for axis, size in pairs)

    def coverage(self, value: Value) -> tuple[float | None, ...]:
        """The share of its field that a unit reads, along each axis; less than 1 where it has holes."""
        field = self.of(value)
        if field is None:
            return ()
        return tuple(axis and float(axis.coverage) for axis in self._axes(self._combs[value], field))

    def _axes(self, several: Sequence[Paths[T | str | None] | None], field: ReceptiveField) -> list[T | None]:
        """What is known of each axis, for the input that the field is about."""
        index = [given.name for given in self.graph.inputs].index(field.input)
        paths = several[index]
        assert paths
        return [None if isinstance(axis, str) else axis for axis in paths.axes]

    @property
    def last_value(self) -> Value | None:
        """The last value that still has local paths; None where there is none."""
        from cnnplan.analyses.field import last_local

        return last_local(self.graph, self.fields)
