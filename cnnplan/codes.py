"""The catalogue of findings: every code with its name, its level, and what it means.

Codes and names do not change. Those of rules are found by a file of that name in `lint/rules/`.
"""

from __future__ import annotations

from typing import NamedTuple

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)

READING = "reading"
"""Found while the spec is read and elaborated, not by a rule."""
COMMENTS = "comments"
"""Found where the comments of a spec are read."""


class Code(NamedTuple):
    """A kind of finding.

    Attributes:
        name: kebab-case.
        severity: the level that it has by default.
        meaning: in a few words.
        when: operations and settings of a spec, one of which it needs; any spec where it is empty. What cannot
            be found is not looked for, nor imported.
        default: whether it is looked for unless it is selected by name.
        foreign: whether another package brings it.
        about: where such a package explains it.
    """

    name: str
    severity: str
    meaning: str
    when: str = ""
    default: bool = True
    foreign: bool = False
    about: str = ""

    @property
    def module(self) -> str:
        """The module of its rule in `lint/rules/`."""
        return self.name.replace("-", "_")


CODES: dict[str, Code] = {
    "S001": Code("spatial-collapse", ERROR, "a window does not fit into the padded map", READING),
    "S003": Code("missing-flatten", ERROR, "a dense layer is fed a map instead of a vector", READING),
    "S004": Code("concat-spatial-mismatch", ERROR, "joined values differ beside the joined axis", READING),
    "S005": Code("add-shape-mismatch", ERROR, "merged values have shapes that do not broadcast", READING),
    "S006": Code("groups-not-dividing", ERROR, "groups do not divide the channels", READING),
    "S007": Code("groupnorm-not-dividing", ERROR, "num_groups does not divide the channels", READING),
    "S008": Code("pool-padding-over-half", ERROR, "PyTorch pools with at most half a window of padding", READING),
    "S009": Code("output-padding-too-large", ERROR, "output_padding must be below the stride or dilation", READING),
    "S011": Code(
        "batchnorm-one-value",
        ERROR,
        "batch norm in training would see one value a channel",
        "batchnorm groupnorm layernorm",
    ),
    "S012": Code("rank-mismatch", ERROR, "an operation is fed a value with the wrong number of axes", READING),
    "S013": Code("squeeze-to-zero", ERROR, "a computed size is zero or negative", READING),
    "S015": Code("pixelshuffle-channels", ERROR, "channels do not divide by upscale_factor squared", READING),
    "S016": Code("undefined-or-duplicate-ref", ERROR, "a reference names nothing that is visible here", READING),
    "S018": Code("declared-sizes-illegal", ERROR, "a size that the input declares does not work"),
    "S019": Code("value-count-mismatch", ERROR, "an item is fed more or fewer values than it takes", READING),
    "S020": Code("size-mismatch", ERROR, "a value's size does not allow this rearrangement", READING),
    "S021": Code("share-shape-mismatch", ERROR, "a shared item would need other parameters", READING),
    "S022": Code("tensor-too-large", ERROR, "a tensor would have 2^63 elements or more", READING),
    "S023": Code("dtype-mismatch", ERROR, "an operation is fed integers, or the reverse", READING),
    "G101": Code(
        "border-pixels-dropped",
        WARNING,
        "rows or columns at the end of a map are never read",
        "conv depthwise_conv maxpool avgpool lppool mixed_pool stochastic_pool softmax_pool",
    ),
    "G103": Code("odd-pool-truncation", WARNING, "a pool cuts an odd map, and a later merge meets the loss", "crop"),
    "G104": Code(
        "stride-exceeds-kernel",
        WARNING,
        "a stride larger than its window skips units",
        "conv depthwise_conv maxpool avgpool lppool mixed_pool stochastic_pool softmax_pool",
    ),
    "G105": Code("padding-on-1x1", WARNING, "a 1x1 window with padding adds a border of biases", "conv depthwise_conv"),
    "G106": Code("all-padding-windows", WARNING, "windows that see nothing but padding", "conv depthwise_conv"),
    "G108": Code(
        "even-kernel-stride-1",
        WARNING,
        "an even kernel with stride 1 shifts the map by half a unit",
        "conv depthwise_conv",
    ),
    "G109": Code("kernel-exceeds-map", WARNING, "taps of a kernel that only ever see padding", "conv depthwise_conv"),
    "G111": Code(
        "dilation-gridding", WARNING, "stacked dilated convolutions leave holes in what they see", "conv depthwise_conv"
    ),
    "G113": Code(
        "adaptive-pool-nondivisible",
        WARNING,
        "an adaptive pool whose windows differ in size",
        "adaptive_avgpool adaptive_maxpool",
    ),
    "G116": Code(
        "down-then-up-roundtrip",
        WARNING,
        "a map is made smaller and larger again with nothing between",
        "upsample",
    ),
    "G117": Code(
        "degenerate-pool",
        WARNING,
        "a pool that changes nothing",
        "maxpool avgpool lppool adaptive_avgpool adaptive_maxpool global_avgpool global_maxpool "
        "mixed_pool softmax_pool",
    ),
    "G118": Code(
        "one-axis-collapsed",
        WARNING,
        "one axis is a single unit while another is long",
        "conv depthwise_conv maxpool avgpool lppool mixed_pool stochastic_pool softmax_pool",
    ),
    "G119": Code(
        "aliasing-downsample", INFO, "a stride without a blur before it", "conv depthwise_conv maxpool", default=False
    ),
    "N201": Code(
        "bias-before-batchnorm",
        WARNING,
        "a bias that the next normalization subtracts again",
        "batchnorm instancenorm groupnorm",
    ),
    "N202": Code("linear-chain", WARNING, "two layers with weights and nothing nonlinear between them"),
    "N203": Code("double-activation", WARNING, "an activation directly behind an activation"),
    "N204": Code(
        "dropout-before-batchnorm", WARNING, "dropout shifts the variance that batch norm learns", "dropout dropout2d"
    ),
    "N206": Code(
        "dropout-on-logits", WARNING, "dropout behind the last layer with weights", "dropout dropout2d alpha_dropout"
    ),
    "N207": Code(
        "activation-before-maxpool",
        INFO,
        "an activation before a max pool could run behind it",
        "maxpool adaptive_maxpool global_maxpool",
    ),
    "N208": Code(
        "saturating-hidden-act", WARNING, "sigmoid or tanh between many hidden layers", "sigmoid tanh hardsigmoid"
    ),
    "N209": Code("small-batch-batchnorm", WARNING, "batch norm with fewer than 8 samples on a device", "batchnorm"),
    "N210": Code(
        "norm-on-1x1-map", INFO, "batch norm of single units: its statistics are those of the batch alone", "batchnorm"
    ),
    "N211": Code(
        "repeated-norm",
        WARNING,
        "a normalization directly behind a normalization",
        "batchnorm layernorm groupnorm instancenorm lrn",
    ),
    "N212": Code("deep-plain-stack", WARNING, "a deep stack without normalization and without skips"),
    "H301": Code("softmax-before-cross-entropy", ERROR, "cross entropy takes logits, not probabilities", "train"),
    "H302": Code("log-softmax-before-cross-entropy", INFO, "cross entropy takes the log-softmax itself", "train"),
    "H303": Code("sigmoid-before-bce-logits", ERROR, "binary cross entropy takes logits, not probabilities", "train"),
    "H304": Code("missing-output-activation", ERROR, "nll takes log-probabilities", "train"),
    "H305": Code(
        "activation-on-logits",
        WARNING,
        "an activation behind the last layer cuts its logits",
        "relu relu6 leaky_relu prelu elu celu selu gelu silu mish hardswish softplus abs",
    ),
    "H306": Code("bounded-regression-output", WARNING, "a bounded output is trained on unbounded targets", "train"),
    "H307": Code("softmax-over-one-unit", ERROR, "softmax over one unit is always 1", "softmax log_softmax train"),
    "H309": Code("dense-layer-dominates", WARNING, "one dense layer holds most parameters", "linear"),
    "H310": Code(
        "head-locks-input-size", INFO, "a dense head fixes the input size, and the input declares several", "linear"
    ),
    "R401": Code("dead-layer", WARNING, "a layer's output reaches no output of the network"),
    "R402": Code("residual-ends-in-relu", WARNING, "a residual branch that can only add", "add"),
    "R404": Code(
        "misaligned-merge",
        WARNING,
        "merged paths have different centres",
        "add multiply concat subtract maximum mean",
    ),
    "R406": Code(
        "unet-modulus", INFO, "the network takes multiples of a number alone", "upsample conv_transpose pixel_shuffle"
    ),
    "R407": Code("self-merge", WARNING, "a value is merged with itself", "add subtract maximum mean concat"),
    "R408": Code("isolated-groups", WARNING, "groups of channels that never exchange anything", "conv conv_transpose"),
    "R409": Code("dropped-branch", INFO, "a branch that has layers is removed by its `if`", READING),
    "U501": Code(
        "deconv-checkerboard", WARNING, "a transposed convolution covers its output unevenly", "conv_transpose"
    ),
    "U502": Code(
        "deconv-holes", ERROR, "a transposed convolution leaves units that no input reaches", "conv_transpose"
    ),
    "F601": Code(
        "unproductive-layer",
        WARNING,
        "convolutions behind a field as large as the input",
        "conv depthwise_conv",
    ),
    "F602": Code(
        "possibly-unproductive",
        INFO,
        "convolutions behind a field that is as large as the input along some path",
        "conv depthwise_conv",
    ),
    "P701": Code("channels-not-multiple", INFO, "channels that tensor cores fill up to a multiple", "target"),
    "P703": Code("memory-bound-layer", INFO, "a layer that waits for memory on its device", "target"),
    "P706": Code("large-dense-kernel", INFO, "a large dense kernel that a stack of 3x3 makes cheaper", "conv"),
    "P707": Code("hot-layer", INFO, "one layer has most of the work, or of the saved activations"),
    "P709": Code("budget-exceeded", ERROR, "the architecture breaks its own budget", "budget"),
    "P710": Code("exceeds-device-memory", ERROR, "a training step needs more memory than its device has", "target"),
    "P711": Code("tensor-over-int32", WARNING, "a tensor of more than 2^31 elements, or a batch over 65,535"),
    "Y901": Code("unknown-key", ERROR, "a key that the language does not know here", READING),
    "Y902": Code("duplicate-key", ERROR, "a key given twice in one mapping", READING),
    "Y904": Code("unused-var-or-block", WARNING, "a variable or block that nothing uses"),
    "Y907": Code("missing-version", ERROR, "`cnnplan: 1` is missing or names another version", READING),
    "Y908": Code("invalid-yaml", ERROR, "the file is not one YAML document of plain text in UTF-8", READING),
    "Y909": Code("unsupported-yaml", ERROR, "anchors, aliases, tags, `<<` and complex keys are refused", READING),
    "Y910": Code("limit-exceeded", ERROR, "the spec is larger than any network needs", READING),
    "Y911": Code("invalid-value", ERROR, "a value of the wrong type or outside its range", READING),
    "Y912": Code("missing-key", ERROR, "a required key or argument is missing", READING),
    "Y913": Code("unknown-operation", ERROR, "neither an operation nor a block has this name", READING),
    "Y914": Code("invalid-name", ERROR, "a name that cannot be used", READING),
    "Y915": Code("invalid-expression", ERROR, "an `=` expression that cannot be read or evaluated", READING),
    "Y916": Code("recursive-block", ERROR, "a block that reaches itself", READING),
    "Y917": Code("malformed-item", ERROR, "an item of a list of layers is not formed as one", READING),
    "Y918": Code("unused-ignore", WARNING, "a comment that ignores nothing", COMMENTS),
    "Y919": Code("invalid-ignore", WARNING, "a comment that is meant to ignore, and says not what", COMMENTS),
}
