"""The error that is the user's to mend; everything else that is raised is a defect of ours."""


class InputError(ValueError):
    """Bad input. The message is one line: what is wrong, where, and what to do."""
