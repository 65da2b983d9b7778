"""What the fusion networks were trained on: pixels of [0, 255] minus one grey, which is nearly the mean of all."""

from muybridge.processing import VideoProcessor


class FusionCNNVideoProcessor(VideoProcessor):
    size = {"shortest_edge": 200}
    crop_size = {"height": 170, "width": 170}
    rescale_factor = 1.0  # its pixels lie in [0, 255]
    image_mean = [117.0, 117.0, 117.0]
    image_std = [1.0, 1.0, 1.0]
    num_frames = 10
    sampling = "dense"
