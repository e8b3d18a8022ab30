"""egoframe: from one first-person photo and an action, the picture the person would see while doing it."""

__version__ = "0.1.0"
