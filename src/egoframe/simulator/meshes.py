"""Low-polygon procedural meshes with texture coordinates.

Every builder returns a `Mesh`: vertices (V, 3) in metres, faces (F, 3), texture coordinates (V, 2)
and normals (V, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    vertices: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3), counter-clockwise seen from outside
    uv: np.ndarray  # (V, 2)
    normals: np.ndarray  # (V, 3), unit

    def moved(self, offset: tuple[float, float, float]) -> Mesh:
        return Mesh(self.vertices + np.asarray(offset), self.faces, self.uv, self.normals)

    def turned(self, rotation: np.ndarray) -> Mesh:
        """Turned by a rotation matrix (3, 3)."""
        return Mesh(self.vertices @ rotation.T, self.faces, self.uv, self.normals @ rotation.T)


def join(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    uv = np.concatenate([mesh.uv for mesh in meshes])
    normals = np.concatenate([mesh.normals for mesh in meshes])
    return Mesh(vertices, np.concatenate(faces), uv, normals)


def box(size: tuple[float, float, float], bevel: float = 0.004, tile: float | None = None) -> Mesh:
    """A box with bevelled edges, centred on the origin.

    Each side carries the whole texture, or, with `tile`, one repeat per `tile` metres.
    """
    half = np.asarray(size) / 2
    bevel = min(bevel, 0.45 * float(half.min()) * 2)
    parts = []
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    for axis in range(3):
        for sign in (-1, 1):
            u, v = [(1, 2), (0, 2), (0, 1)][axis]
            inner = half - bevel
            vertices = np.zeros((4, 3))
            vertices[:, axis] = sign * half[axis]
            vertices[:, [u, v]] = corners * inner[[u, v]]
            normals = np.zeros((4, 3))
            normals[:, axis] = sign
            span = 2 * half[[u, v]]
            uv = (corners + 1) / 2 * (np.ones(2) if tile is None else span / tile)
            uv[:, 1] = (1 if tile is None else span[1] / tile) - uv[:, 1]
            if (axis == 1) == (sign > 0):
                uv[:, 0] = uv[:, 0].max() - uv[:, 0]
            parts.append(_quad(vertices, uv, normals))
    whole = join(*parts)
    return join(whole, _edges(half, bevel)) if bevel > 0 else whole


def _edges(half: np.ndarray, bevel: float) -> Mesh:
    """The twelve bevels and eight corners of a box."""
    inner = half - bevel
    parts = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for su in (-1, 1):
            for sv in (-1, 1):
                vertices = np.zeros((4, 3))
                vertices[:, axis] = np.array([-1, 1, 1, -1]) * inner[axis]
                vertices[:, u] = su * np.array([half[u], half[u], inner[u], inner[u]])
                vertices[:, v] = sv * np.array([inner[v], inner[v], half[v], half[v]])
                normals = np.zeros((4, 3))
                normals[:2, u], normals[2:, v] = su, sv
                parts.append(_quad(vertices, np.tile([[0.5, 0.02]], (4, 1)), normals))
    for signs in np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T:
        vertices = np.tile(inner * signs, (3, 1))
        vertices[np.arange(3), np.arange(3)] = half * signs
        normals = np.diag(signs.astype(float))
        faces = np.array([[0, 1, 2]]) if signs.prod() > 0 else np.array([[0, 2, 1]])
        parts.append(Mesh(vertices, faces, np.tile([[0.5, 0.02]], (3, 1)), normals))
    return join(*parts)


def _quad(vertices: np.ndarray, uv: np.ndarray, normals: np.ndarray) -> Mesh:
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    a, b, c = vertices[:3]
    if np.dot(np.cross(b - a, c - a), normals.mean(0)) < 0:
        faces = faces[:, ::-1]
    return Mesh(vertices, faces, uv, normals)


def lathe(profile: list[tuple[float, float]], segments: int = 18) -> Mesh:
    """A surface of revolution round z.

    Arguments:
        profile: (radius, height) from the start of the surface to its end, in metres; the outside
            lies on the right of the direction of travel seen with the radius to the right and z up.
            A point given twice makes a sharp edge.
    """
    points = np.asarray(profile, float)
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    flat = np.column_stack([steps[:, 1], -steps[:, 0]]) / np.maximum(lengths, 1e-9)[:, None]
    flat[lengths < 1e-9] = 0
    smooth = np.vstack([flat[:1], flat[:-1] + flat[1:], flat[-1:]])
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-9)
    direction = np.column_stack([np.cos(angles), np.sin(angles)])
    rows = len(points)
    vertices = np.empty((rows, segments + 1, 3))
    vertices[..., :2] = points[:, None, :1] * direction
    vertices[..., 2] = points[:, None, 1]
    normals = np.empty_like(vertices)
    normals[..., :2] = smooth[:, None, :1] * direction
    normals[..., 2] = smooth[:, None, 1]
    along = np.concatenate([[0], np.cumsum(lengths)]) / max(lengths.sum(), 1e-9)
    uv = np.stack(np.broadcast_arrays(angles / (2 * np.pi), 1 - along[:, None]), axis=-1)
    i, j = np.mgrid[0 : rows - 1, 0:segments].reshape(2, -1)
    a = i * (segments + 1) + j
    b, c, d = a + 1, a + segments + 2, a + segments + 1
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    edge = vertices.reshape(-1, 3)[faces]
    area = np.linalg.norm(np.cross(edge[:, 1] - edge[:, 0], edge[:, 2] - edge[:, 0]), axis=1)
    return Mesh(
        vertices.reshape(-1, 3), faces[area > 1e-10], uv.reshape(-1, 2), normals.reshape(-1, 3)
    )


def tube(path: np.ndarray, radius: float | np.ndarray, segments: int = 8) -> Mesh:
    """A round tube along a path (P, 3), pointed at its ends; `radius` may vary along it."""
    path = np.asarray(path, float)
    radii = np.broadcast_to(radius, len(path)).astype(float)
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(tangents[0], [0.31, 0.52, 0.79])
    rings, normals = [], []
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    for point, tangent, r in zip(path, tangents, radii, strict=True):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        other = np.cross(tangent, side)
        ring = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * other
        rings.append(point + r * ring)
        normals.append(ring)
    for end, where in ((-tangents[0], 0), (tangents[-1], len(rings) + 1)):
        tip = path[0] + end * radii[0] * 0.5 if where == 0 else path[-1] + end * radii[-1] * 0.5
        rings.insert(where, np.tile(tip, (segments + 1, 1)))
        normals.insert(where, np.tile(end, (segments + 1, 1)))
    rows = len(rings)
    i, j = np.mgrid[0 : rows - 1, 0:segments].reshape(2, -1)
    a = i * (segments + 1) + j
    b, c, d = a + 1, a + segments + 2, a + segments + 1
    faces = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    v, u = np.mgrid[0:rows, 0 : segments + 1].astype(float)
    uv = np.stack([u / segments, v / rows], axis=-1).reshape(-1, 2)
    vertices = np.concatenate(rings)
    edge = vertices[faces]
    area = np.linalg.norm(np.cross(edge[:, 1] - edge[:, 0], edge[:, 2] - edge[:, 0]), axis=1)
    return Mesh(vertices, faces[area > 1e-12], uv, np.concatenate(normals))


def arc(radius: float, start: float, stop: float, points: int = 7) -> np.ndarray:
    """Points (P, 3) of a circle in the xz plane; angles in degrees from x towards z."""
    angles = np.radians(np.linspace(start, stop, points))
    return np.column_stack([radius * np.cos(angles), np.zeros(points), radius * np.sin(angles)])
