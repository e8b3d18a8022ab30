"""Measures that every workshop shares, in metres; axes as in the kitchen.

The bench reaches from y = 0 to DEPTH. Behind it a child's bicycle hangs in its stand, seen from its
right side, its front wheel before the wearer.
"""

import numpy as np

DEPTH = 0.42  # of the bench
PLANE = 0.50  # y of the bicycle's middle
RAISED = 0.30  # of the front hub above the bench
HUB_X = 0.02  # of the front hub
REAR_X = -0.66  # of the rear hub
CRANK_X = -0.36  # of the bottom bracket, which lies LOWER than the hubs
LOWER = 0.035
RING = 0.165  # radius of the tyre's middle
SECTION = 0.023  # radius of an inflated tyre's section
RIM = 0.143  # radius of the rim
FORK = 0.052  # from the bicycle's middle to a blade of the fork
MAT = (-0.02, 0.21)  # x, y of the middle of the mat
HOOK = (0.29, 0.40)  # x, y of the middle of what hangs on the hook
HUNG = 0.28  # its height above the bench

LYING = (-np.pi / 2, 0.0, 0.0)  # the rotation vector of a wheel that lies flat
TOWARDS = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # turns z towards the wearer
