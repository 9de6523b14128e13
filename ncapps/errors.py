"""The one exception that says: the input is at fault, and here is the likely mend."""


class InputError(ValueError):
    """Bad input: the message names what was expected, what came and the likely mistake.

    The command line prints it as one line and exits with status 2; anything else that escapes is a defect of ncapps.
    """


class InputTypeError(InputError, TypeError):
    """Bad input of a kind that can't be read at all; a TypeError too, which scikit-learn's checks look for."""
