"""What small LRCNs are usually trained on: whole frames, squeezed to a square, in [0, 1]."""

from muybridge.processing import VideoProcessor


class LRCNVideoProcessor(VideoProcessor):
    size = {"height": 64, "width": 64}
    crop_size = {"height": 64, "width": 64}
    image_mean = [0.0, 0.0, 0.0]
    image_std = [1.0, 1.0, 1.0]
    num_frames = 20
    return_mask = True  # the network passes over what was repeated
