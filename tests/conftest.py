"""Settings of the whole suite."""

import os
import sys

from hypothesis import HealthCheck, settings

settings.register_profile(
    "cnnplan", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("nightly", parent=settings.get_profile("cnnplan"), max_examples=1000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "cnnplan"))


def pytest_configure() -> None:
    """Tiny tensors on several threads are ten times slower."""
    if "torch" not in sys.modules:
        import torch

        torch.set_num_threads(1)
