"""The built-in bicycle workshop: one family of the scenes of `egoframe.simulator`."""

import egoframe.simulator  # noqa: F401 — chooses MuJoCo's OpenGL before anything imports MuJoCo
