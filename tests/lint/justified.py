"""Genuine faults of published networks that rules find in the zoo, and why they stay there.

(spec, code) → how many lines of the spec are found, and why.
"""

BIASES = "torchvision's convolutions have biases before batch norm; its weights are published with them"
HEAD = "published so: its first dense layer has a weight for each unit of the last map"
RELU = "torchvision's classifier has a ReLU behind its last convolution; its weights are published with it"
STEM = "its stem was made for 227 pixels; at 224, torchvision's size, the last row and column are not read"
NIN_RELU = "the authors' definition has a ReLU behind its last layer, whose maps are averaged to the classes"
NIN_STEM = "the authors' model is trained on 224 pixels, of which its stem does not read the last row and column"
CODE = "its authors' code has biases there; its weights are published with them"
TABLE = "its table I connects a map of S2 to several maps of C3, which are the groups of one convolution"
CNN_M = "its stem has no padding, and 224 is its paper's size: the last row and column are not read"
FIVE = "its paper has 5x5 windows and strides of 2"
SEVEN = "its example has windows of 7 and strides of 2"

VGG = ("vgg11", "vgg13", "vgg16", "vgg19")

JUSTIFIED: dict[tuple[str, str], tuple[int, str]] = {
    **{(f"{name}_bn", "N201"): (1, BIASES) for name in VGG},
    **{(name, "H309"): (1, HEAD) for name in ("alexnet", "alexnet_2012", *VGG, *(f"{name}_bn" for name in VGG))},
    **{(name, "H305"): (1, RELU) for name in ("squeezenet1_0", "squeezenet1_1")},
    **{(name, "G101"): (1, STEM) for name in ("squeezenet1_0", "squeezenet1_1")},
    **{(name, "H305"): (1, NIN_RELU) for name in ("nin_cifar10", "nin_imagenet")},
    ("nin_imagenet", "G101"): (1, NIN_STEM),
    ("zfnet", "H309"): (1, HEAD),
    **{(name, "H309"): (1, HEAD) for name in ("atomnet", "fast_rcnn", "lrcn", "rcnn", "siamese")},
    **{(f"two_stream_{stream}", "H309"): (1, HEAD) for stream in ("spatial", "temporal")},
    **{(f"two_stream_{stream}", "G101"): (1, CNN_M) for stream in ("spatial", "temporal")},
    ("anomaly_1d", "U501"): (1, SEVEN),
    ("dcgan_paper", "U501"): (2, FIVE),
    ("deconvnet", "N201"): (2, CODE),
    ("hrnet", "N201"): (1, CODE),
    ("lenet5_1998", "R407"): (2, TABLE),
    ("segnet", "N201"): (1, CODE),
}
