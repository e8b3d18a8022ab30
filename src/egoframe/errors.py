"""The one exception that means: the user can fix this, and the message says how."""

MAX_LINE = 200  # characters of another library's message


class UserError(Exception):
    """Bad input from outside. One line: what is wrong, which file or value, and the way out.

    The command line prints it without a traceback and exits with status 2.
    """


def first_line(error: object) -> str:
    """What went wrong, for a line of ours: the first line of its text, or its kind."""
    lines = (printable(line).strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)[:MAX_LINE]


def printable(text: str) -> str:
    """A text from outside without what would steer a terminal."""
    return "".join(letter for letter in text if letter.isprintable())
