"""The page: drop or take a photo, say an action, watch the picture form. Gradio, at `/`.

Nothing of it comes from elsewhere, and `doors.py` decides what of Gradio can be reached.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from egoframe.apps.server.doors import Doors
from egoframe.apps.server.folder import PrivateFolder
from egoframe.apps.server.page.draw import draw_tab
from egoframe.apps.server.page.next_actions import next_tab
from egoframe.apps.server.page.parts import gr
from egoframe.apps.server.page.storyboard import storyboard_tab
from egoframe.apps.server.service import Service

STYLE = Path(__file__).with_name("page.css")
INTRODUCTION = """# egoframe
A photo of what you see, and something you could do: here is what you would see while doing it."""


def mount_page(app: FastAPI, service: Service, folder: PrivateFolder) -> Callable[[], None]:
    """Put the page behind all routes of an application.

    Arguments:
        folder: for all pictures that browsers are shown.
    Returns:
        what ends the streams that open pages hold.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(folder.path)
    page = build_page(service, folder)
    gr.mount_gradio_app(
        app, page, path="/", footer_links=[], run_history=False, ssr_mode=False, pwa=False,
        mcp_server=False, enable_monitoring=False, show_error=True, css_paths=[STYLE],
        theme=_theme(), max_file_size=service.settings.photo.bytes,
    )  # fmt: skip
    mounted: Any = app.router.routes.pop()
    app.router.default = Doors(mounted.app, service, folder)  # a wrong method stays a wrong method
    folder.keep_what_is_there()
    return mounted.app.stop_event.set  # type: ignore[no-any-return]


def build_page(service: Service, folder: PrivateFolder) -> gr.Blocks:
    """The page of a service."""
    with gr.Blocks(title="egoframe", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown(INTRODUCTION, elem_id="introduction")
        with gr.Tabs():
            with gr.Tab("Draw", id="draw"):
                draw_tab(service, folder)
            with gr.Tab("Storyboard", id="storyboard", render_children=True):
                storyboard_tab(service, folder)
            with gr.Tab("What next?", id="next", render_children=True):
                next_tab(service, folder)
    page.queue(default_concurrency_limit=None, api_open=False, status_update_rate=1)
    return page


def _theme() -> gr.themes.Base:
    fonts = ["system-ui", "sans-serif"]
    return gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=fonts, font_mono=["ui-monospace", "monospace"]
    )
