from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from egoframe.curation import filters
from egoframe.curation.embedding import ClipEmbedding, PixelEmbedding
from egoframe.curation.filters import (
    Figures,
    FilterConfig,
    ModelsConfig,
    camera_motion,
    reason_to_reject,
    with_own_band,
)
from egoframe.pairs import Box

SIZE = 256
LIMIT = 0.20  # of camera_motion: FilterConfig's


def texture(seed: int = 0, size: int = SIZE, grain: float = 8) -> np.ndarray:
    """Clouds of all grey levels, grain pixels wide."""
    noise = np.random.default_rng(seed).normal(size=(size, size, 3))
    clouds = ndimage.gaussian_filter(noise, (grain, grain, 0), mode="wrap")
    return np.clip(clouds / clouds.std() * 50 + 128, 0, 255).astype(np.uint8)


def window(shift: tuple[int, int]) -> np.ndarray:
    """What a camera sees of a larger scene: no content comes round from the other side."""
    down, across = shift
    return texture(0, 2 * SIZE)[100 + down : 100 + down + SIZE, 100 + across : 100 + across + SIZE]


def test_blur_lowers_sharpness():
    sharp = texture(grain=1)
    blurred = ndimage.gaussian_filter(sharp, (3, 3, 0))
    assert filters.sharpness(blurred) < 0.3 * filters.sharpness(sharp)


def test_sharpness_is_the_variance_of_scipys_laplacian():
    grey = texture(grain=2).astype(float).mean(-1)
    expected = ndimage.laplace(grey)[1:-1, 1:-1].var()
    assert filters.sharpness(texture(grain=2)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("levels", "expected"), [((120, 20), 20), ((120, 250), 250),
                                                  ((2, 250), 2), ((128, 128), 128)])  # fmt: skip
def test_exposure_is_of_the_worse_frame(levels, expected):
    first, second = (np.full((8, 8, 3), level, np.uint8) for level in levels)
    assert filters.exposure(first, second) == pytest.approx(expected / 255)
    assert filters.exposure(second, first) == pytest.approx(expected / 255)


def test_hands_are_counted_where_somebody_looked():
    left, right, mug = (Box(n, 0, 0, 1, 1) for n in ("left hand", "right hand", "mug"))
    assert filters.hands([left, mug, right]) == 2
    assert filters.hands([mug]) == 0
    assert filters.hands([]) == 0
    assert filters.hands(None) is None


@pytest.mark.parametrize("shift", [(0, 0), (0, 26), (-19, 13), (0, -52), (64, 0), (70, -70)])
def test_a_shift_of_the_whole_view_is_measured(shift):
    expected = np.hypot(*shift) / SIZE
    assert camera_motion(window((0, 0)), window(shift)) == pytest.approx(expected, abs=0.02)


def test_scikit_image_measures_the_same_shift():
    for shift in ((0, 0), (13, -26), (-32, 20)):
        found, *_ = phase_cross_correlation(
            window((0, 0)).mean(-1), window(shift).mean(-1), normalization=None
        )
        expected = np.hypot(*found) / SIZE
        assert camera_motion(window((0, 0)), window(shift)) == pytest.approx(expected, abs=0.03)


def with_foreground(background: np.ndarray, left: int, share: float = 0.4) -> np.ndarray:
    """An arm of a texture of its own before a share of the view."""
    seen = background.copy()
    seen[:, left : left + int(share * SIZE)] = texture(9)[:, : int(share * SIZE)]
    return seen


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("share", "way"), [(0.4, 30), (0.4, 50), (0.3, 70), (0.2, 120)])
def test_what_moves_before_the_scene_is_not_the_camera(seed, share, way):
    pair = (with_foreground(texture(seed), left, share) for left in (8, 8 + way))
    assert camera_motion(*pair) <= 0.03


@pytest.mark.parametrize("seed", range(5))
def test_what_comes_before_the_scene_is_not_the_camera(seed):
    scene, covered = texture(seed), with_foreground(texture(seed), 70)
    assert camera_motion(scene, covered) == 0
    assert camera_motion(covered, scene) == 0


def test_the_camera_moves_behind_what_stays_before_it():
    """An arm that moves along with the head: 15 % of the view stay where they are."""
    first, second = (with_foreground(window(shift), 70, 0.15) for shift in ((0, 0), (0, 70)))
    assert camera_motion(first, second) == pytest.approx(70 / SIZE, abs=0.03)


def turned(picture: np.ndarray, degrees: float, zoom: float) -> np.ndarray:
    angle, middle = np.radians(degrees), np.array([SIZE, SIZE]) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    layers = [
        ndimage.affine_transform(picture[..., k], turn, middle - turn @ middle, order=1,
                                 mode="reflect")
        for k in range(3)
    ]  # fmt: skip
    return np.stack(layers, -1)


@pytest.mark.parametrize("turn", [(40, 1), (-90, 1), (0, 1.8), (0, 0.5), (25, 1.4)])
@pytest.mark.parametrize("seed", range(3))
def test_a_large_turn_or_zoom_is_motion(turn, seed):
    assert camera_motion(texture(seed), turned(texture(seed), *turn)) > LIMIT


@pytest.mark.parametrize("turn", [(4, 1), (0, 1.08), (-3, 0.95)])
@pytest.mark.parametrize("seed", range(3))
def test_a_small_turn_or_zoom_is_little_motion(turn, seed):
    assert camera_motion(texture(seed), turned(texture(seed), *turn)) < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_other_pictures_are_another_view(seed):
    assert camera_motion(texture(seed), texture(seed + 50)) > LIMIT


def test_a_plain_wall_tells_nothing():
    draw = np.random.default_rng(0)
    first, second = ((128 + draw.normal(0, 4, (SIZE, SIZE, 3))).astype(np.uint8) for _ in range(2))
    assert camera_motion(first, second) == 0


def test_a_pattern_that_repeats_stays_in_place():
    board = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((16, 16))) * 200
    board = np.repeat(board[..., None], 3, -1).astype(np.uint8)
    assert camera_motion(board, board) == 0


def test_light_is_no_motion():
    darker = (texture() * 0.6).astype(np.uint8)
    assert camera_motion(texture(), darker) == 0


def test_real_clips_keep_their_action(shared_data):
    """From contact to separation, as their annotations tell."""
    import json

    default = with_own_band(FilterConfig(), ModelsConfig())
    for name in ("video1", "video2"):
        folder = shared_data / "clips"
        told = json.loads((folder / f"{name}_result.json").read_text())
        with av.open(str(folder / f"{name}.mp4")) as container:
            frames = [
                np.asarray(frame.to_image().resize((SIZE, SIZE), Image.Resampling.BOX))
                for frame in container.decode(video=0)
            ]
        before, during = (frames[told[k]] for k in ("contact_frame", "separation_frame"))
        figures = Figures(
            similarity=PixelEmbedding().similarity([before], [during])[0],
            sharpness=min(filters.sharpness(before), filters.sharpness(during)),
            exposure=filters.exposure(before, during),
            camera_motion=camera_motion(before, during),
        )
        assert reason_to_reject(figures, default) is None
        same = replace(figures, similarity=PixelEmbedding().similarity([before], [before])[0])
        assert reason_to_reject(same, default) == "nothing happens"


def test_nothing_but_arms_and_doors_moves_in_the_kitchen(renderer_available):
    from egoframe.kitchen.family import KITCHEN
    from egoframe.simulator.episode import plan_episode
    from egoframe.simulator.render import Renderer
    from egoframe.simulator.world import World

    world = World(16, family=KITCHEN)
    episode = plan_episode(world, np.random.default_rng([16, 23]), 12)
    renderer = Renderer(world, SIZE)
    try:
        for performed in episode.actions:
            pair = []
            for key in ("pre", "pnr"):
                episode.apply(performed.times[key])
                pair.append(renderer.rgb().copy())
            assert camera_motion(*pair) < LIMIT
    finally:
        renderer.close()


GOOD = Figures(similarity=0.8, sharpness=100.0, exposure=0.5, camera_motion=0.0, hands=1,
               aesthetic=6.0)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"similarity": -0.1, "sharpness": 0.0}, "scene jump"),
        ({"similarity": 1.0}, "nothing happens"),
        ({"sharpness": 0.0, "exposure": 0.0}, "blurred"),
        ({"exposure": 0.01}, "too dark"),
        ({"exposure": 0.99, "camera_motion": 0.9}, "too bright"),
        ({"camera_motion": 0.9, "hands": 0}, "camera moves"),
        ({"hands": 0, "aesthetic": 1.0}, "no hand in the action frame"),
        ({"aesthetic": 1.0}, "not pleasing"),
        ({"hands": None, "aesthetic": None}, None),
        ({"similarity": np.nan, "sharpness": np.nan, "camera_motion": np.nan}, None),
    ],
)
def test_every_rejection_has_its_reason(change, reason):
    config = with_own_band(FilterConfig(min_aesthetic=5.0), ModelsConfig())
    assert reason_to_reject(replace(GOOD, **change), config) == reason


def test_filters_can_be_set_and_turned_off():
    off = FilterConfig(-1.0, 2.0, None, None, None, None, require_hand=False)
    worst = Figures(similarity=-0.9, sharpness=0.0, exposure=0.0, camera_motion=1.0, hands=0)
    assert reason_to_reject(worst, off) is None
    assert reason_to_reject(GOOD, FilterConfig(min_similarity=0.81)) == "scene jump"
    assert reason_to_reject(GOOD, FilterConfig(min_similarity=0.7)) is None
    assert reason_to_reject(GOOD, FilterConfig(max_similarity=0.7)) == "nothing happens"


def test_bounds_of_likeness_that_are_not_set_are_the_embeddings_own():
    pixels, clip = ModelsConfig(), ModelsConfig(clip="openai/clip-vit-large-patch14")
    assert with_own_band(FilterConfig(), pixels) == FilterConfig(*PixelEmbedding.band)
    assert with_own_band(FilterConfig(), clip) == FilterConfig(*ClipEmbedding.band)
    chosen = FilterConfig(min_similarity=-1.0, max_similarity=2.0)
    assert with_own_band(chosen, clip) == chosen
