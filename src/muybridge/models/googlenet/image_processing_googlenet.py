"""What torchvision's ImageNet weights of GoogLeNet expect."""

from muybridge.processing import ImageProcessor


class GoogLeNetImageProcessor(ImageProcessor):
    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    image_mean = [0.485, 0.456, 0.406]
    image_std = [0.229, 0.224, 0.225]
