"""Measures that every kitchen shares, in metres."""

ZONE_WIDTH = 0.62
DEPTH = 0.62  # of the worktop
THICKNESS = 0.04  # of the worktop
FRONT = 0.022  # y of the outside of the fronts: the worktop's edge stands out
WALL = 0.64  # y of the wall
