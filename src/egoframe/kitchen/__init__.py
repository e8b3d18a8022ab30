"""The built-in world: a first-person kitchen to train and test on, drawn by MuJoCo."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo reads it once, when it is imported
