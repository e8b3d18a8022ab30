"""The bones of a hand: proportions of an adult and forward kinematics.

Everything here is the *left* hand; the right one is its mirror image in y. The hand's frame has its
origin in the wrist, x along the extended fingers, y towards the thumb and z out of the palm. A
bone's frame lies at its near joint, x along the bone, z out of its pad, so that a positive flexion
turns the bone towards its own z.

Units are metres and radians. Lengths follow the 50th percentile of NASA-STD-3000 (hand 0.19 m long,
0.085 m wide at the knuckles) and the phalanx ratios of Buryanov & Kotiuk (2010).
"""

from dataclasses import dataclass

import numpy as np

PALM_DEPTH = 0.014
"""Metres from the middle of the palm to its surface."""

MIRROR = np.diag([1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Digit:
    """One finger or the thumb."""

    name: str
    root: tuple[float, float, float]  # of the first joint, in the hand's frame
    axis: tuple[float, float, float]  # along the stretched digit
    pad: tuple[float, float, float]  # out of its pad; made orthogonal to the axis
    lengths: tuple[float, float, float]  # of its three bones
    radii: tuple[float, float, float, float]  # at the three joints and near the tip
    limits: tuple[tuple[float, float], ...]  # of (spread, flexion, flexion, flexion)

    def frame(self) -> np.ndarray:
        """(3, 3) rotation of the stretched digit; columns: along it, sideways, out of its pad."""
        along = np.asarray(self.axis) / np.linalg.norm(self.axis)
        pad = np.asarray(self.pad) - along * np.dot(self.pad, along)
        pad /= np.linalg.norm(pad)
        return np.column_stack([along, np.cross(pad, along), pad])


def _finger(name: str, x: float, y: float, spread: float, lengths: tuple, radius: float) -> Digit:
    """A finger on knuckle (x, y) whose tip points `spread` radians towards the thumb."""
    return Digit(
        name=name,
        root=(x, y, 0.0),
        axis=(np.cos(spread), np.sin(spread), 0.0),
        pad=(0.0, 0.0, 1.0),
        lengths=lengths,
        radii=(radius * 1.08, radius, radius * 0.90, radius * 0.76),
        limits=((-0.30, 0.30), (-0.25, 1.55), (0.0, 1.85), (0.0, 1.20)),
    )


FINGERS = (
    _finger("index", 0.087, 0.027, 0.08, (0.042, 0.025, 0.023), 0.0094),
    _finger("middle", 0.090, 0.005, 0.01, (0.046, 0.029, 0.024), 0.0097),
    _finger("ring", 0.085, -0.016, -0.06, (0.042, 0.027, 0.024), 0.0091),
    _finger("little", 0.077, -0.035, -0.15, (0.034, 0.020, 0.021), 0.0079),
)
THUMB = Digit(
    name="thumb",
    root=(0.020, 0.024, 0.006),
    axis=(0.70, 0.64, 0.32),
    pad=(0.30, -0.75, 0.60),
    lengths=(0.046, 0.034, 0.028),
    radii=(0.0150, 0.0118, 0.0105, 0.0088),
    limits=((-0.70, 0.70), (-0.45, 0.95), (-0.05, 1.00), (-0.15, 1.30)),
)
DIGITS = (*FINGERS, THUMB)

BONES = ("palm", *(f"{digit.name}_{i}" for digit in DIGITS for i in (1, 2, 3)))
"""The order of everything that is per bone."""


def _turn_z(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _flex(angle: float) -> np.ndarray:
    """Turn x towards z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])


def digit_bones(digit: Digit, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origins (3, 3) and rotations (3, 3, 3) of a digit's bones, in the hand's frame.

    `angles` are (spread towards the thumb, flexion of the three joints).
    """
    rotation = digit.frame() @ _turn_z(angles[0])
    origin = np.asarray(digit.root, dtype=float)
    origins, rotations = [], []
    for length, angle in zip(digit.lengths, angles[1:], strict=True):
        rotation = rotation @ _flex(angle)
        origins.append(origin)
        rotations.append(rotation)
        origin = origin + rotation[:, 0] * length
    return np.array(origins), np.array(rotations)


def pad_point(digit: Digit, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the finger pad touches: a point (3,) on the skin and the unit vector (3,) out of it."""
    origins, rotations = digit_bones(digit, angles)
    radius = 0.5 * (digit.radii[2] + digit.radii[3])
    point = origins[2] + rotations[2] @ np.array([0.6 * digit.lengths[2], 0.0, radius])
    return point, rotations[2][:, 2]


def hand_bones(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origins (16, 3) and rotations (16, 3, 3) of all `BONES` for joint angles (5, 4)."""
    origins, rotations = [np.zeros((1, 3))], [np.eye(3)[None]]
    for digit, row in zip(DIGITS, angles, strict=True):
        origin, rotation = digit_bones(digit, row)
        origins.append(origin)
        rotations.append(rotation)
    return np.concatenate(origins), np.concatenate(rotations)
