class CommandError(Exception):
    """Something that the user can mend; the message is all that is shown."""
