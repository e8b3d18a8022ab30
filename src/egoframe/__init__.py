"""One first-person photo and an action in, the picture of doing it out."""

__version__ = "0.1.0"
