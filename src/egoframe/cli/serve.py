"""`egoframe serve`: the page and the interface."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from egoframe.cli.options import Device, Engine, EnhancerBits, Model, WeightsDtype
from egoframe.cli.output import note
from egoframe.errors import UserError


def serve(
    model: Model = "kitchen",
    host: Annotated[
        str, typer.Option(help="Of this machine; 0.0.0.0 is reached from others.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    name: Annotated[
        list[str] | None,
        typer.Option(help="By which the server is called, where another one stands before it."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EGOFRAME_TOKEN", help="That clients must give; better by the variable."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Pictures drawn together.")] = 8,
    waiting: Annotated[
        int, typer.Option(min=1, help="Jobs that wait at most; more are refused.")
    ] = 32,
    limit: Annotated[float, typer.Option(min=1, help="Seconds for a job, waiting included.")] = 120,
    keep: Annotated[float, typer.Option(min=1, help="Seconds for which results are kept.")] = 1800,
    engine: Engine = "processes",
    replicas: Annotated[
        int, typer.Option(min=1, help="Of the model, with --engine ray: one a core or GPU.")
    ] = 2,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM, to sign pictures with (C2PA); else one is made.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Of the certificate, PEM.")] = None,
    device: Device = None,
    dtype: WeightsDtype = None,
    bits: EnhancerBits = None,
    offload: Annotated[
        bool, typer.Option("--offload", help="For small GPUs: keep there only what works.")
    ] = False,
) -> None:
    """Serve a page and an HTTP interface, until it is stopped.

    The page is at /, the interface under /v1, its schema at /openapi.json, Prometheus' counters at
    /metrics. Stopped by SIGTERM or Ctrl-C, it finishes what it has taken. Put a server that speaks
    HTTPS before it where it is reached over a network, and name it by --name.

    Examples:

        egoframe serve

        egoframe serve --engine ray --replicas 4

        EGOFRAME_TOKEN=… egoframe serve --host 0.0.0.0 --model lego-ego4d --bits 4

        curl -F image=@photo.jpg -F "action=open the drawer" -H "Accept: image/png"
        http://127.0.0.1:7860/v1/action-frames -o drawn.png
    """
    if token is not None and not token.strip():
        raise UserError("--token: is empty; give a word that is hard to guess, or leave it out")
    if (certificate is None) != (key is None):
        raise UserError("--certificate and --key go together; give both, or neither")

    import torch

    from egoframe.apps.server.app import create_app
    from egoframe.apps.server.batching import Batcher, Drawer
    from egoframe.apps.server.drawing import PipelineDrawer
    from egoframe.apps.server.metrics import Metrics
    from egoframe.apps.server.provenance import make_seal
    from egoframe.apps.server.security import names_of
    from egoframe.apps.server.serving import serve as run
    from egoframe.apps.server.settings import Settings
    from egoframe.models import load, resolve

    resolve(model)  # before anything listens
    weights = getattr(torch, dtype) if dtype else None
    settings = Settings(
        token=token, hosts=names_of(host, name or ()), batch=batch, waiting=waiting, limit=limit,
        keep=keep,
    )  # fmt: skip
    metrics, seal = Metrics(), make_seal(certificate, key)
    open_model = partial(load, model, device, weights, bits, offload=offload)
    drawer: Drawer = PipelineDrawer(open_model, seal)
    if engine == "ray":
        from egoframe.apps.server.replicas import ClusterDrawer

        drawer = ClusterDrawer(open_model, seal.signature, replicas)
    backend = Batcher(drawer, settings, metrics)
    app = create_app(settings, backend, metrics)
    run(app, backend, host, port, lambda url: note(f"serving {model} at {url}; Ctrl-C stops"))
