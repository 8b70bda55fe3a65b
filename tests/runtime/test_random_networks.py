"""Random networks: every number of the plan is torch's."""

from hypothesis import HealthCheck, given, settings

import cnnplan
from cnnplan.runtime.verify import verify
from tests.networks import Spec, networks

EXAMPLES = 300 if settings.default.max_examples < 100 else 3_000
"""Hundreds in every run of the suite, thousands at night."""


@given(networks())
@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
def test_random_networks_verify(spec: Spec) -> None:
    plan = cnnplan.plan(spec)
    found = verify(plan)
    dead = any(d.code == "R401" for d in plan.diagnostics)
    for check in found.checks:
        if check.what == "gradients" and dead:
            assert check.verdict == "differs"  # what no output depends on has no gradient
        elif check.what == "translation":
            assert check.verdict in ("exact", "left out")  # where every field touches a border
        elif check.what == "peak":  # of 3-D transposed convolutions on one thread, which is said
            assert check.verdict == "left out"
        else:
            assert check.verdict in ("exact", "equal"), check
