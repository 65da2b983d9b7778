"""Weights that others trained become checkpoints of ours."""

from muybridge.conversion.converter import SOURCES, convert
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.labels import read_labels
from muybridge.conversion.sources import Source
from muybridge.conversion.weights import Weights, read_weights

__all__ = ["SOURCES", "ConversionError", "Source", "Weights", "convert", "read_labels", "read_weights"]
