"""Built-in first-person scenes, posed and drawn by MuJoCo: what every family of scenes shares."""

import ctypes
import os
import sys


def _backend() -> str:
    """Which offscreen OpenGL this machine has, as MuJoCo calls it."""
    for library, name in (("libEGL.so.1", "egl"), ("libOSMesa.so.8", "osmesa")):
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return name
    return "disable"  # worlds can still be posed, not drawn


if sys.platform == "linux":  # MuJoCo reads it once, when it is imported
    os.environ.setdefault("MUJOCO_GL", _backend())
