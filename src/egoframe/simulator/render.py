"""Draws a posed world from the wearer's eye, offscreen.

Software OpenGL pays for every pixel it shades, so the picture is drawn at one and a half times
its size, without multisampling, and averaged down. The depth that comes with it for free gives the
soft contact shadows that real rooms have (screen-space ambient occlusion, after Bavoil & Sainz,
2009).
"""

from __future__ import annotations

import mujoco
import numpy as np
from PIL import Image

from egoframe.simulator.builder import DECOR
from egoframe.simulator.world import World

SUPERSAMPLING = 1.5
OCCLUSION_RADIUS = 0.05  # metres
OCCLUSION_STRENGTH = 0.9
INSTALL = "install libegl1 and libgl1-mesa-dri (Debian, Ubuntu), or OSMesa"


def unavailable() -> str | None:
    """Why no picture can be drawn on this machine, or None if it can."""
    if not hasattr(mujoco, "GLContext"):
        return f"no offscreen OpenGL here; {INSTALL}"
    try:
        context = mujoco.GLContext(8, 8)
        context.make_current()
        context.free()
    except Exception as error:  # every backend raises its own kind
        return f"no offscreen OpenGL here ({error}); {INSTALL}"
    return None


class Renderer:
    """Draws one world.

    Arguments:
        world: what to draw; it may be posed anew between pictures.
        size: width and height of a picture, in pixels.
    """

    def __init__(self, world: World, size: int = 256) -> None:
        self.world = world
        self.size = size
        self._big = int(size * SUPERSAMPLING)
        model = world.model
        model.vis.global_.offwidth = model.vis.global_.offheight = self._big
        self._gl = mujoco.GLContext(self._big, self._big)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=2000)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[DECOR] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera("head").id
        for flag in ("SHADOW", "REFLECTION", "HAZE", "SKYBOX"):
            self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        bodies = [model.body(index) for index in range(model.nbody)]
        self._hands = [
            (f"{side} hand", [b.id for b in bodies if b.name.startswith(f"hand_{side}")])
            for side in ("left", "right")
        ]
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        self._vignette = (1 - 0.10 * (axis[:, None] ** 2 + axis**2))[..., None]

    def rgb(self) -> np.ndarray:
        """The picture of the world as it is posed now, uint8 (size, size, 3)."""
        big, depth = self._draw(self._big, segmentation=False)
        half = (self.size // 2, self.size // 2)
        near = Image.fromarray(depth).resize(half, Image.Resampling.NEAREST)
        shade = _occlusion(self._metres(np.asarray(near)), self.world.style.fovy, self.size)
        small = Image.fromarray(big).resize((self.size, self.size), Image.Resampling.BOX)
        return self._develop(np.asarray(small) * (shade / np.float32(255))[..., None])

    def boxes(self, names: list[str]) -> list[dict[str, object]]:
        """Boxes (label, x0, y0, x1, y1 in 0..1) of the visible part of items and of both hands.

        What shows fewer than 12 pixels of the drawn size is left out.
        """
        picture, _ = self._draw(self.size, segmentation=True)
        codes = picture[..., 0] + 256 * picture[..., 1].astype(np.int32) - 1
        bodies = np.full(int(codes.max()) + 2, -1)
        for index in range(self._scene.ngeom):
            geom = self._scene.geoms[index]
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and 0 <= geom.segid < len(bodies) - 1:
                bodies[geom.segid] = self.world.model.geom_bodyid[geom.objid]
        body = bodies[codes]  # −1, the background, picks the last, which is nobody's
        found = []
        items = [(name, [self.world.model.body(name).id]) for name in names]
        for label, members in items + self._hands:
            mask = np.zeros(self.world.model.nbody + 1, bool)
            mask[members] = True
            shown = mask[body]
            if shown.sum() < 12:
                continue
            rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
            corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            box = zip(("x0", "y0", "x1", "y1"), corners, strict=True)
            found.append({"label": label, **{k: round(float(v) / self.size, 4) for k, v in box}})
        return found

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._context.free()
        self._gl.free()

    def _draw(self, size: int, segmentation: bool) -> tuple[np.ndarray, np.ndarray]:
        """Colours uint8 (size, size, 3), depth buffer float32 (size, size); top row first."""
        self._gl.make_current()
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = (
            segmentation
        )
        mujoco.mjv_updateScene(
            self.world.model,
            self.world.data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        view = mujoco.MjrRect(0, 0, size, size)
        rgb, depth = np.empty((size, size, 3), np.uint8), np.empty((size, size), np.float32)
        mujoco.mjr_render(view, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, depth, view, self._context)
        return rgb[::-1], depth[::-1]

    def _metres(self, depth: np.ndarray) -> np.ndarray:
        """The depth buffer as distance along the view."""
        model = self.world.model
        near = model.vis.map.znear * model.stat.extent
        far = model.vis.map.zfar * model.stat.extent
        return near / (1 - depth * (1 - near / far))

    def _develop(self, light: np.ndarray) -> np.ndarray:
        """From light to a photograph: white balance, a soft shoulder, vignette and grain."""
        style = self.world.style
        light *= np.array([1 + 0.03 * style.warmth, 1.0, 1 - 0.04 * style.warmth], np.float32)
        light /= 1 + np.maximum(light - 0.75, 0) * 0.6
        light *= self._vignette
        time = np.frombuffer(np.float64(self.world.data.time).tobytes(), np.uint32)
        rng = np.random.default_rng([style.seed, *time.tolist()])
        light += style.grain * rng.standard_normal(light.shape, np.float32)
        return (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)


def _occlusion(z: np.ndarray, fovy: float, size: int) -> np.ndarray:
    """Share of the surrounding light (size, size) that reaches each pixel, from the depth `z`
    (size / 2, size / 2) around it, in metres.

    A neighbour darkens a pixel if it stands out in front of it by less than OCCLUSION_RADIUS:
    further ones belong to something else.
    """
    pixels = 0.5 * size / (2 * np.tan(np.radians(fovy) / 2)) * OCCLUSION_RADIUS / np.median(z)
    total = np.zeros_like(z)
    count = 0
    for ring in (0.35, 0.75, 1.2):
        radius = max(1, round(pixels * ring))
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            dy, dx = dy * radius, dx * radius
            # Opposite neighbours together: a slanted plane is as much in front as behind.
            bulge = 0.5 * (_shift(z, dy, dx) + _shift(z, -dy, -dx)) - z
            rise = np.clip(-bulge / (OCCLUSION_RADIUS * ring * 0.5), 0, 1)
            near = np.clip(2 + bulge / (OCCLUSION_RADIUS * ring * 0.6), 0, 1)
            total += rise * near
            count += 1
    shade = np.exp(-OCCLUSION_STRENGTH * 1.6 * total / count)
    padded = np.pad(shade, 1, mode="edge")
    h, w = shade.shape
    smooth = sum(padded[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9
    return np.repeat(np.repeat(smooth, 2, 0), 2, 1)


def _shift(values: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Values (H, W) moved by whole pixels, edges repeated."""
    rows = np.clip(np.arange(values.shape[0]) + dy, 0, values.shape[0] - 1)
    columns = np.clip(np.arange(values.shape[1]) + dx, 0, values.shape[1] - 1)
    return values[rows][:, columns]
