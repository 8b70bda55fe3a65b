"""The peaks of the zoo's networks at small sizes, to the byte: storages counted in a real step, and in an inference."""

import pytest

from cnnplan.runtime.measure import on_cpu
from tests.test_zoo import small

# the step's parts weigh differently: activations in most, weights in AlexNet, a concat's copies in DenseNet
NETWORKS = (
    *("alexnet", "densenet", "googlenet", "lenet5", "mobilenet_v3_large"),
    *("resnet50", "shufflenet_v2", "squeezenet1_1", "unet", "vgg11_bn"),
)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_peaks_are_what_is_counted(name: str, dtype: str) -> None:
    """In float32 and in mixed precision, with an optimizer that holds nothing and one that does."""
    for batch, optimizer in ((2, "momentum"), (3, "adamw")):
        plan = small(name, batch=batch, optimizer=optimizer, dtype=dtype, target="cpu")
        found = on_cpu(plan)
        off = {("googlenet", "bfloat16"): 0.003}.get((name, dtype), 0.0)  # sums of its norms, on a CPU
        assert abs(plan.training.peak - found.peak) <= off * found.peak, (batch, optimizer)
        if dtype == "float32":
            assert plan.inference.peak == found.inference, (batch, optimizer)
