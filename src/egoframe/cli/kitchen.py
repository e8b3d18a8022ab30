"""`egoframe kitchen`: the built-in kitchen."""

from egoframe.cli.scenes import scene_app

app = scene_app("kitchen", "make a cup of tea")
