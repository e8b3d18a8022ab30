"""`egoframe workshop`: the built-in bicycle workshop."""

from egoframe.cli.scenes import scene_app

app = scene_app("workshop", "fix a flat tyre")
