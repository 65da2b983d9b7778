"""Weights that others trained become checkpoints of ours."""

from muybridge.conversion.converter import SOURCES, convert
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.reading import read_weights
from muybridge.conversion.sources import Source
from muybridge.conversion.weights import Weights

__all__ = ["SOURCES", "ConversionError", "Source", "Weights", "convert", "read_weights"]
