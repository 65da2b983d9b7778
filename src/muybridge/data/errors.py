"""What can be wrong with a data set, as against a single video."""


class DataError(ValueError):
    """A data set that cannot be used as it is: where, what is wrong, and what to do."""
