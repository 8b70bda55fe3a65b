"""Genuine faults of published networks that rules find in the zoo, and why they stay there.

(spec, code) → how many lines of the spec are found, and why.
"""

BIASES = "torchvision's convolutions have biases before batch norm; its weights are published with them"
HEAD = "published so: its first dense layer has a weight for each unit of the last map"
RELU = "torchvision's classifier has a ReLU behind its last convolution; its weights are published with it"
STEM = "its stem was made for 227 pixels; at 224, torchvision's size, the last row and column are not read"

VGG = ("vgg11", "vgg13", "vgg16", "vgg19")

JUSTIFIED: dict[tuple[str, str], tuple[int, str]] = {
    **{(f"{name}_bn", "N201"): (1, BIASES) for name in VGG},
    **{(name, "H309"): (1, HEAD) for name in ("alexnet", "alexnet_2012", *VGG, *(f"{name}_bn" for name in VGG))},
    **{(name, "H305"): (1, RELU) for name in ("squeezenet1_0", "squeezenet1_1")},
    **{(name, "G101"): (1, STEM) for name in ("squeezenet1_0", "squeezenet1_1")},
}
