"""What an ensemble of networks trained at 112 pixels takes, in ImageNet's numbers."""

from muybridge.processing import VideoProcessor


class EnsembleVideoProcessor(VideoProcessor):
    size = {"shortest_edge": 112}
    crop_size = {"height": 112, "width": 112}
