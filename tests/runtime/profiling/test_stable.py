"""Medians and their spread against numpy; when a warm-up ends."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cnnplan.runtime.profiling import stable
from cnnplan.runtime.profiling.stable import repeated, spread


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=40))
def test_spread_is_that_of_numpy(values: list[float]) -> None:
    found = spread(values)
    np.testing.assert_allclose(found, np.percentile(values, [50, 25, 75]), rtol=1e-12)
    np.testing.assert_allclose(found.half, (found.high - found.low) / 2)


def test_a_warm_up_ends_where_times_no_longer_change() -> None:
    times = itertools.chain([9.0, 5.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0], itertools.repeat(1.0))
    counted = itertools.count()
    found, warm = repeated(lambda: next(counted), lambda number: next(times), 100.0, runs=4)
    # the first six whose last three have the median of the three before, within a twentieth
    assert warm == (9, True, 4)
    assert found == [9, 10, 11, 12]


def test_a_warm_up_that_never_settles_ends() -> None:
    times = itertools.cycle([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    found, warm = repeated(lambda: next(times), float, 100.0)
    assert (warm.warm_up, warm.stable) == (stable.WARM_UP, False)
    assert len(found) == warm.runs == stable.RUNS[1]


def test_no_time_is_five_runs() -> None:
    found, warm = repeated(lambda: 1.0, float, 0.0)
    assert (warm.warm_up, len(found)) == (2, stable.RUNS[0])
