"""Words that people bring from other libraries and papers, and what they are called here.

Used for hints alone: the language knows one name for each thing.
"""

from __future__ import annotations

OPERATIONS = {
    "activation": "an activation is an item of its own, such as `- relu`",
    "attention": "",
    "avg_pool": "avgpool",
    "batch_norm": "batchnorm",
    "blurpool": "blur_pool",
    "bn": "batchnorm",
    "cat": "concat",
    "concatenate": "concat",
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "convolution": "conv",
    "convtranspose": "conv_transpose",
    "convtranspose2d": "conv_transpose",
    "deconv": "conv_transpose",
    "dense": "linear",
    "depthwise": "depthwise_conv",
    "dropconnect": "stochastic_depth",
    "droppath": "stochastic_depth",
    "fc": "linear",
    "fully_connected": "linear",
    "gap": "global_avgpool",
    "gaussiannoise": "gaussian_noise",
    "global_response_norm": "grn",
    "global_pool": "global_avgpool",
    "gmp": "global_maxpool",
    "gn": "groupnorm",
    "interpolate": "upsample",
    "ln": "layernorm",
    "maxout": "channel_maxpool",
    "mul": "multiply",
    "normalize": "l2norm",
    "pool": "maxpool",
    "residual": "`add: {body: […], shortcut: []}` adds a branch to the identity",
    "resize": "upsample",
    "roialign": "roi_align",
    "roipool": "roi_pool",
    "se": "squeeze_excite",
    "skip": "`from: [NAME, previous]` on a merge takes a value from earlier",
    "softpool": "softmax_pool",
    "spp": "spatial_pyramid_pool",
    "sub": "subtract",
    "sum": "add",
    "swish": "silu",
    "transpose": "permute",
    "unflatten": "reshape",
    "upsampling": "upsample",
    "view": "reshape",
    "zero_pad": "pad",
}

ARGUMENTS = {
    "activation": "the activation is an item of its own, behind this one: `- relu`",
    "channels": "out_channels",
    "features": "out_features",
    "filters": "out_channels",
    "in_channels": "it is inferred: remove it",
    "in_features": "it is inferred: remove it",
    "inplace": "the built model never works in place: remove it",
    "input_shape": "it is inferred: remove it",
    "input_size": "it is inferred: remove it",
    "kernel": "kernel_size",
    "num_features": "it is inferred: remove it",
    "padding_size": "padding",
    "pool_size": "kernel_size",
    "probability": "p",
    "rate": "p",
    "size": "kernel_size",
    "strides": "stride",
    "units": "out_features",
    "use_bias": "bias",
}


def of_operation(word: str) -> str | None:
    """A hint for a word that is no operation: "" where there is nothing like it, None where it is not known."""
    return _hint(OPERATIONS.get(word.lower()))


def of_argument(word: str, known: list[str]) -> str | None:
    """The same for an argument, where an operation knows `known`."""
    found = ARGUMENTS.get(word)
    if found and " " not in found and found not in known:
        return None
    return _hint(found)


def _hint(found: str | None) -> str | None:
    return f"did you mean '{found}'?" if found and " " not in found else found
