class ConversionError(ValueError):
    """Weights that cannot become a checkpoint; the message says what does not fit and what to do."""
