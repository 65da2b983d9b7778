from .convolution import ConvolutionBlock as ConvolutionBlock, make_convolution_layers as make_convolution_layers
from .fully_connected import FullyConnected as FullyConnected, slide_windows as slide_windows
from .local_response_norm import LocalResponseNorm as LocalResponseNorm
from .mapped_configuration import MappedConfig as MappedConfig, compute_pooled_side as compute_pooled_side
from .pooling import MaxPooling2d as MaxPooling2d
from .presets import WithPresets as WithPresets
from .score_map import MappedForImageClassification as MappedForImageClassification, MappedTrunk as MappedTrunk
