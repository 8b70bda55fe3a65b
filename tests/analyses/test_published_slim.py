"""Receptive fields and FLOPs of TF-slim's networks, as Araujo, Norris & Sim 2019 list them for each end point.

The numbers are those of RECEPTIVE_FIELD_TABLE.md in google-research/receptive_field, the companion of
doi:10.23915/distill.00021. They were computed from TensorFlow's graphs; published/slim_*.yaml are the same networks.
"""

from fractions import Fraction
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cnnplan
from cnnplan.analyses.field import Fields, fields
from cnnplan.graph import Value
from cnnplan.planning import Layer, Plan

SPECS = Path(__file__).parent / "published"

# the spec of each network, and its variables
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet_v2": ("alexnet_v2", {}),
    "vgg_a": ("vgg", {"configuration": "A"}),
    "vgg_16": ("vgg", {"configuration": "D"}),
    "inception_v2": ("inception_v2", {}),
    "inception_v2-no-separable-conv": ("inception_v2", {"separable": False}),
    "inception_v3": ("inception_v3", {}),
    "inception_v4": ("inception_v4", {}),
    "inception_resnet_v2": ("inception_resnet_v2", {}),
    "inception_resnet_v2-same": ("inception_resnet_v2", {"same": True}),
    "mobilenet_v1": ("mobilenet_v1", {}),
    "mobilenet_v1_075": ("mobilenet_v1", {"alpha": 0.75}),
    "resnet_v1_50": ("resnet_v1", {"depths": [3, 4, 6, 3]}),
    "resnet_v1_101": ("resnet_v1", {"depths": [3, 4, 23, 3]}),
    "resnet_v1_152": ("resnet_v1", {"depths": [3, 8, 36, 3]}),
    "resnet_v1_200": ("resnet_v1", {"depths": [3, 24, 36, 3]}),
    "resnet_v2_50": ("resnet_v2", {"depths": [3, 4, 6, 3]}),
    "resnet_v2_101": ("resnet_v2", {"depths": [3, 4, 23, 3]}),
    "resnet_v2_152": ("resnet_v2", {"depths": [3, 8, 36, 3]}),
    "resnet_v2_200": ("resnet_v2", {"depths": [3, 24, 36, 3]}),
}

# for each end point (there `conv1/conv1_1` and `Conv2d_1_pointwise`): size and stride of its field; its padding and the
# GFLOP up to it for an image of 224; the same for one of 321
TABLE = """
alexnet_v2
    conv1                11   4     0  0.136     0  0.283
    pool1                19   8     0  0.136     0  0.284
    conv2                51   8    16  0.552    16  1.171
    conv3                99  16    32  0.743    32  1.602
    conv4               131  16    48  1.125    48  2.462
    conv5               163  16    64  1.380    64  3.036
    pool5               195  32    64  1.380    64  3.036
vgg_a
    conv1_1               3   1     1  0.177     1  0.363
    pool1                 4   2     1  0.180     1  0.369
    conv2_1               8   2     3  2.031     3  4.147
    pool2                10   4     3  2.033     3  4.151
    conv3_1              18   4     7  3.883     7  7.927
    conv3_2              26   4    11  7.583    11 15.479
    pool3                30   8    11  7.584    11 15.480
    conv4_1              46   8    19  9.434    19 19.256
    conv4_2              62   8    27 13.134    27 26.806
    pool4                70  16    27 13.134    27 26.807
    conv5_1             102  16    43 14.059    43 28.695
    conv5_2             134  16    59 14.984    59 30.583
    pool5               150  32    59 14.984    59 30.583
vgg_16
    conv1_1               3   1     1  0.177     1  0.363
    pool1                 6   2     2  3.882     2  7.973
    conv2_1              10   2     4  5.734     4 11.751
    pool2                16   4     6  9.436     6 19.307
    conv3_1              24   4    10 11.287    10 23.084
    conv3_2              32   4    14 14.987    14 30.635
    pool3                44   8    18 18.688    18 38.188
    conv4_1              60   8    26 20.538    26 41.964
    conv4_2              76   8    34 24.238    34 49.514
    pool4               100  16    42 27.938    42 57.066
    conv5_1             132  16    58 28.863    58 58.954
    conv5_2             164  16    74 29.788    74 60.841
    pool5               212  32    90 30.713    90 62.729
inception_v2
    Conv2d_1a_7x7         7   2     2  0.069     3  0.142
    MaxPool_2a_3x3       11   4     2  0.071     5  0.146
    Conv2d_2b_1x1        11   4     2  0.097     5  0.200
    Conv2d_2c_3x3        19   4     6  0.791     9  1.653
    MaxPool_3a_3x3       27   8     6  0.792    13  1.656
    Mixed_3b             59   8    22  1.136    29  2.393
    Mixed_3c             91   8    38  1.544    45  3.268
    Mixed_4a            123  16    46  1.833    61  3.898
    Mixed_4b            187  16    78  2.073    93  4.438
    Mixed_4c            251  16   110  2.334   125  5.025
    Mixed_4d            315  16   142  2.686   157  5.817
    Mixed_4e            379  16   174  3.120   189  6.795
    Mixed_5a            443  32   190  3.446   221  7.545
    Mixed_5b            571  32   254  3.660   285  8.073
    Mixed_5c            699  32   318  3.883   349  8.626
inception_v2-no-separable-conv
    Conv2d_1a_7x7         7   2     2  0.237     3  0.489
    MaxPool_2a_3x3       11   4     2  0.239     5  0.493
    Conv2d_2b_1x1        11   4     2  0.265     5  0.547
    Conv2d_2c_3x3        19   4     6  0.959     9  2.000
    MaxPool_3a_3x3       27   8     6  0.960    13  2.003
    Mixed_3b             59   8    22  1.304    29  2.740
    Mixed_3c             91   8    38  1.712    45  3.615
    Mixed_4a            123  16    46  2.001    61  4.246
    Mixed_4b            187  16    78  2.241    93  4.785
    Mixed_4c            251  16   110  2.502   125  5.373
    Mixed_4d            315  16   142  2.854   157  6.164
    Mixed_4e            379  16   174  3.288   189  7.142
    Mixed_5a            443  32   190  3.614   221  7.892
    Mixed_5b            571  32   254  3.828   285  8.421
    Mixed_5c            699  32   318  4.051   349  8.973
inception_v3
    Conv2d_1a_3x3         3   2     0  0.022     0  0.045
    Conv2d_2a_3x3         7   2     0  0.241     0  0.506
    Conv2d_2b_3x3        11   2     2  0.680     2  1.428
    MaxPool_3a_3x3       15   4     2  0.681     2  1.431
    Conv2d_3b_1x1        15   4     2  0.712     2  1.494
    Conv2d_4a_3x3        23   4     2  1.460     2  3.092
    MaxPool_5a_3x3       31   8     2  1.461     2  3.095
    Mixed_5b             63   8    18  1.781    18  3.796
    Mixed_5c             95   8    34  2.128    34  4.557
    Mixed_5d            127   8    50  2.485    50  5.339
    Mixed_6a            159  16    58  2.889    58  6.241
    Mixed_6b            351  16   154  3.263   154  7.082
    Mixed_6c            543  16   250  3.750   250  8.178
    Mixed_6d            735  16   346  4.237   346  9.275
    Mixed_6e            927  16   442  4.854   442 10.663
    Mixed_7a           1055  32   490  5.132   490 11.303
    Mixed_7b           1183  32   554  5.385   554 11.948
    Mixed_7c           1311  32   618  5.689   618 12.727
inception_v4
    Conv2d_1a_3x3         3   2     0  0.022     0  0.045
    Conv2d_2a_3x3         7   2     0  0.241     0  0.506
    Conv2d_2b_3x3        11   2     2  0.680     2  1.428
    Mixed_3a             15   4     2  1.004     2  2.105
    Mixed_4a             47   4    14  2.057    14  4.332
    Mixed_5a             55   8    14  2.473    14  5.243
    Mixed_5b             87   8    30  2.871    30  6.115
    Mixed_5c            119   8    46  3.269    46  6.987
    Mixed_5d            151   8    62  3.668    62  7.859
    Mixed_5e            183   8    78  4.066    78  8.731
    Mixed_6a            215  16    86  5.173    86 11.189
    Mixed_6b            407  16   182  6.019   182 13.092
    Mixed_6c            599  16   278  6.865   278 14.996
    Mixed_6d            791  16   374  7.711   374 16.899
    Mixed_6e            983  16   470  8.557   470 18.802
    Mixed_6f           1175  16   566  9.403   566 20.706
    Mixed_6g           1367  16   662 10.249   662 22.609
    Mixed_6h           1559  16   758 11.095   758 24.513
    Mixed_7a           1687  32   806 11.588   806 25.640
    Mixed_7b           1815  32   870 11.815   870 26.223
    Mixed_7c           1943  32   934 12.043   934 26.807
    Mixed_7d           2071  32   998 12.271   998 27.390
inception_resnet_v2
    Conv2d_1a_3x3         3   2     0  0.022     0  0.045
    Conv2d_2a_3x3         7   2     0  0.241     0  0.506
    Conv2d_2b_3x3        11   2     2  0.680     2  1.428
    MaxPool_3a_3x3       15   4     2  0.681     2  1.431
    Conv2d_3b_1x1        15   4     2  0.712     2  1.494
    Conv2d_4a_3x3        23   4     2  1.460     2  3.092
    MaxPool_5a_3x3       31   8     2  1.461     2  3.095
    Mixed_5b             63   8    18  1.796    18  3.829
    Mixed_6a            415  16   186  4.745   186 10.323
    PreAuxLogits       2335  16  1146 11.230  1146 24.913
    Mixed_7a           2399  32  1162 11.781  1162 26.190
    Conv2d_7b_1x1      3039  32  1482 12.958  1482 29.203
inception_resnet_v2-same
    Conv2d_1a_3x3         3   2     0  0.022     1  0.046
    Conv2d_2a_3x3         7   2     2  0.254     3  0.524
    Conv2d_2b_3x3        11   2     4  0.717     5  1.481
    MaxPool_3a_3x3       15   4     4  0.719     7  1.485
    Conv2d_3b_1x1        15   4     4  0.751     7  1.553
    Conv2d_4a_3x3        23   4     8  1.619    11  3.368
    MaxPool_5a_3x3       31   8     8  1.620    15  3.371
    Mixed_5b             63   8    24  2.041    31  4.273
    Mixed_6a            415  16   192  5.801   207 12.419
    PreAuxLogits       2335  16  1152 14.627  1167 32.278
    Mixed_7a           2399  32  1168 15.449  1199 34.177
    Conv2d_7b_1x1      3039  32  1488 17.755  1519 39.873
mobilenet_v1
    Conv2d_0              3   2     0  0.022     1  0.046
    Conv2d_1              7   2     2  0.082     3  0.169
    Conv2d_2             11   4     2  0.137     5  0.286
    Conv2d_3             19   4     6  0.248     9  0.517
    Conv2d_4             27   8     6  0.302    13  0.632
    Conv2d_5             43   8    14  0.409    21  0.861
    Conv2d_6             59  16    14  0.461    29  0.979
    Conv2d_7             91  16    30  0.566    45  1.215
    Conv2d_8            123  16    46  0.671    61  1.450
    Conv2d_9            155  16    62  0.775    77  1.686
    Conv2d_10           187  16    78  0.880    93  1.922
    Conv2d_11           219  16    94  0.985   109  2.158
    Conv2d_12           251  32    94  1.037   125  2.286
    Conv2d_13           315  32   126  1.140   157  2.542
mobilenet_v1_075
    Conv2d_0              3   2     0  0.017     1  0.034
    Conv2d_1              7   2     2  0.052     3  0.107
    Conv2d_2             11   4     2  0.084     5  0.174
    Conv2d_3             19   4     6  0.148     9  0.308
    Conv2d_4             27   8     6  0.178    13  0.373
    Conv2d_5             43   8    14  0.239    21  0.503
    Conv2d_6             59  16    14  0.269    29  0.570
    Conv2d_7             91  16    30  0.328    45  0.704
    Conv2d_8            123  16    46  0.387    61  0.837
    Conv2d_9            155  16    62  0.447    77  0.970
    Conv2d_10           187  16    78  0.506    93  1.104
    Conv2d_11           219  16    94  0.565   109  1.237
    Conv2d_12           251  32    94  0.594   125  1.310
    Conv2d_13           315  32   126  0.653   157  1.454
resnet_v1_50
    block1               35   8    15  1.323    17  2.767
    block2               99  16    47  2.974    49  6.315
    block3              291  32   143  5.498   145 12.013
    block4              483  32   239  6.963   241 15.629
resnet_v1_101
    block1               35   8    15  1.323    17  2.767
    block2               99  16    47  2.974    49  6.315
    block3              835  32   415 12.923   417 28.718
    block4             1027  32   511 14.387   513 32.334
resnet_v1_152
    block1               35   8    15  1.323    17  2.767
    block2              163  16    79  4.721    81 10.061
    block3             1315  32   655 20.347   657 45.238
    block4             1507  32   751 21.811   753 48.854
resnet_v1_200
    block1               35   8    15  1.323    17  2.767
    block2              419  16   207 11.709   209 25.043
    block3             1571  32   783 27.335   785 60.220
    block4             1763  32   879 28.799   881 63.836
resnet_v2_50
    block1               35   8    15  1.327    17  2.774
    block2               99  16    47  2.979    49  6.326
    block3              291  32   143  5.505   145 12.026
    block4              483  32   239  6.969   241 15.643
resnet_v2_101
    block1               35   8    15  1.327    17  2.774
    block2               99  16    47  2.979    49  6.326
    block3              835  32   415 12.932   417 28.739
    block4             1027  32   511 14.397   513 32.356
resnet_v2_152
    block1               35   8    15  1.327    17  2.774
    block2              163  16    79  4.728    81 10.075
    block3             1315  32   655 20.361   657 45.268
    block4             1507  32   751 21.826   753 48.886
resnet_v2_200
    block1               35   8    15  1.327    17  2.774
    block2              419  16   207 11.722   209 25.072
    block3             1571  32   783 27.355   785 60.265
    block4             1763  32   879 28.820   881 63.882
"""


class Row(NamedTuple):
    """What the table says of an end point, for one size of the image."""

    size: int
    stride: int | Fraction
    padding: int
    gflop: str
    aligned: bool = True  # those that are not are refused there


@cache
def table() -> dict[tuple[str, int], dict[str, Row]]:
    """The end points of each network, for each size of the image."""
    found: dict[tuple[str, int], dict[str, Row]] = {}
    network = ""
    for line in TABLE.strip().split("\n"):
        if not line.startswith(" "):
            network = line
            continue
        name, size, stride, *rest = line.split()
        for image, padding, gflop in zip((224, 321), rest[::2], rest[1::2], strict=True):
            found.setdefault((network, image), {})[name] = Row(int(size), int(stride), int(padding), gflop)
    return found


def profiled(layer: Layer) -> int:
    """FLOPs as TensorFlow's profiler counts them: k for the largest of k values; no norm, activation or addition."""
    if layer.op == "maxpool":
        return layer.flops + prod(layer.output)
    return layer.flops if layer.op in {"conv", "depthwise_conv", "avgpool", "layer_scale"} else 0


def rows(plan: Plan, known: dict[Value, Fields], name: str) -> set[Row]:
    """What we say of the last layer of an item: one row, where both axes agree."""
    last = max(i for i, layer in enumerate(plan.layers) if f"{layer.name}.".startswith(f"{name}."))
    reach = plan.layers[last].receptive_field
    assert reach
    (field,) = known[plan.layers[last].node.output]
    assert field
    gflop = f"{sum(map(profiled, plan.layers[: last + 1])) / 1e9:.3f}"
    found = set()
    for size, stride, start, axis in zip(reach.size, reach.stride, reach.start, field.axes, strict=True):
        assert size is not None
        assert stride is not None
        assert start is not None
        found.add(Row(size, stride, -start, gflop, axis.aligned))
    return found


@pytest.mark.parametrize(("network", "image"), table())
def test_the_published_table(network: str, image: int) -> None:
    spec, variables = NETWORKS[network]
    plan = cnnplan.plan(SPECS / f"slim_{spec}.yaml", variables=variables, input_size=image)
    known = fields(plan.graph)
    expected = table()[network, image]
    assert {name: rows(plan, known, name) for name in expected} == {name: {row} for name, row in expected.items()}
