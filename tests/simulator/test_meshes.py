import numpy as np
import pytest

from egoframe.simulator import meshes


def volume(mesh: meshes.Mesh) -> float:
    """Signed volume by the divergence theorem: positive if all faces look outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def test_a_box_has_its_volume():
    assert volume(meshes.box((0.2, 0.3, 0.4), 0)) == pytest.approx(0.2 * 0.3 * 0.4)


def test_bevels_take_a_little_off_a_box():
    whole, bevelled = (volume(meshes.box((0.2, 0.3, 0.4), bevel)) for bevel in (0.0, 0.01))
    assert 0.97 * whole < bevelled < whole


def test_a_lathe_makes_a_cylinder():
    mesh = meshes.lathe([(0, 0), (0.1, 0), (0.1, 0), (0.1, 0.5), (0.1, 0.5), (0, 0.5)], 64)
    assert volume(mesh) == pytest.approx(np.pi * 0.1**2 * 0.5, rel=0.01)


def test_a_tube_has_the_volume_of_its_length():
    path = np.column_stack([np.zeros(9), np.zeros(9), np.linspace(0, 1, 9)])
    assert volume(meshes.tube(path, 0.02, 32)) == pytest.approx(np.pi * 0.02**2, rel=0.05)


@pytest.mark.parametrize(
    "mesh",
    [
        meshes.box((1, 2, 3), 0.1),
        meshes.lathe([(0, 0), (1, 0), (1, 1), (0, 1)], 8),
        meshes.tube(meshes.arc(1, 0, 90), 0.1),
    ],
)
def test_normals_are_unit_and_look_outwards(mesh):
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-6)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    facing = np.cross(b - a, c - a)
    mean = mesh.normals[mesh.faces].mean(1)
    assert ((facing * mean).sum(1) > -1e-9).all()


def test_joining_keeps_every_face():
    first, second = meshes.box((1, 1, 1), 0), meshes.box((1, 1, 1), 0).moved((5, 0, 0))
    assert volume(meshes.join(first, second)) == pytest.approx(2)
