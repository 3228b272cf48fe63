"""The error that is the user's to mend; everything else that is raised is a defect of ours."""


class InputError(ValueError):
    """Bad input. The message is one line: what is wrong, where, and what to do."""


def one_line(text: str) -> str:
    """Line ends and other characters that do not print, as in what users typed, escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
