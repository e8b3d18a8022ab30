import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("renderer_available")


@pytest.fixture(scope="module")
def drawn(renderer_available):
    from egoframe.kitchen.family import KITCHEN
    from egoframe.simulator.episode import plan_episode
    from egoframe.simulator.render import Renderer
    from egoframe.simulator.world import World

    episode = plan_episode(World(2, family=KITCHEN), np.random.default_rng(2), 12)
    renderer = Renderer(episode.world, 96)
    yield episode, renderer
    renderer.close()


def test_a_picture_is_lit_and_has_contrast(drawn):
    episode, renderer = drawn
    episode.apply(episode.actions[0].times["pre"])
    picture = renderer.rgb()
    assert picture.shape == (96, 96, 3)
    assert picture.dtype == np.uint8
    assert 60 < picture.mean() < 200
    assert picture.std() > 25


def test_one_moment_is_one_picture_in_any_process(drawn):
    episode, renderer = drawn
    t = episode.actions[3].times["pnr"]
    episode.apply(t)
    first = renderer.rgb()
    episode.apply(0.0)
    renderer.rgb()
    episode.apply(t)
    np.testing.assert_array_equal(first, renderer.rgb())
    code = (
        "import sys, numpy as np\n"
        "from egoframe.kitchen.family import KITCHEN\n"
        "from egoframe.simulator.world import World\n"
        "from egoframe.simulator.render import Renderer\n"
        "from egoframe.simulator.episode import plan_episode\n"
        "e = plan_episode(World(2, family=KITCHEN), np.random.default_rng(2), 12)\n"
        f"e.apply({t!r})\n"
        "sys.stdout.buffer.write(Renderer(e.world, 96).rgb().tobytes())\n"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == first.tobytes()


def test_the_acted_item_and_the_acting_hand_are_boxed_where_they_are_drawn(drawn):
    episode, renderer = drawn
    found = 0
    for done in episode.actions:
        episode.apply(done.times["pnr"])
        boxes = {box["label"]: box for box in renderer.boxes([done.action.item])}
        for box in boxes.values():
            assert 0 <= box["x0"] < box["x1"] <= 1
            assert 0 <= box["y0"] < box["y1"] <= 1
        found += done.action.item in boxes and f"{done.hand} hand" in boxes
    assert found >= 10


def test_the_box_of_an_item_holds_its_projected_corners(drawn):
    """Against the pinhole camera's closed form."""
    episode, renderer = drawn
    world = episode.world
    done = next(d for d in episode.actions if d.action.verb == "take")
    episode.apply(done.times["pre"])
    box = next(b for b in renderer.boxes([done.action.item]) if b["label"] == done.action.item)
    camera = world.data.camera("head")
    seen = (world.corners(done.action.item) - camera.xpos) @ camera.xmat.reshape(3, 3)
    scale = 0.5 / np.tan(np.radians(world.style.fovy) / 2)
    x = 0.5 + scale * seen[:, 0] / -seen[:, 2]
    y = 0.5 - scale * seen[:, 1] / -seen[:, 2]
    margin = 0.03
    assert x.min() - margin <= box["x0"] <= box["x1"] <= x.max() + margin
    assert y.min() - margin <= box["y0"] <= box["y1"] <= y.max() + margin


def test_corners_between_things_are_darker():
    from egoframe.simulator.render import _occlusion

    flat = np.full((48, 48), 0.8, np.float32)
    np.testing.assert_allclose(_occlusion(flat, 60, 96), 1, atol=1e-6)
    step = flat.copy()
    step[:, 24:] -= 0.02
    shade = _occlusion(step, 60, 96)
    assert shade[48, 44] < 0.97
    assert shade[48, 70] == pytest.approx(1, abs=0.02)
