"""The one exception that means: the user can fix this, and the message says how."""


class UserError(Exception):
    """Bad input from outside. One line: what is wrong, which file or value, and the way out.

    The command line prints it without a traceback and exits with status 2.
    """
