"""What CNN-M takes: crops of 224 pixels, less the mean colour of ImageNet."""

from muybridge.processing import ImageProcessor


class CNNMImageProcessor(ImageProcessor):
    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    rescale_factor = 1.0  # its pixels lie in [0, 255]
    image_mean = [123.68, 116.779, 103.939]
    image_std = [1.0, 1.0, 1.0]
