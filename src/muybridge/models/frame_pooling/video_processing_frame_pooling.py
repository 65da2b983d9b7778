"""Frames of temporal segments, as image encoders trained on ImageNet take them."""

from muybridge.processing import VideoProcessor


class FramePoolingVideoProcessor(VideoProcessor):
    num_frames = 8
    sampling = "segments"
