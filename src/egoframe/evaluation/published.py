"""The weights of metrics' networks, from the files that their authors published.

A file is given by its path, or fetched once into the package's cache; the names of those that can
be fetched end with the beginning of their SHA-256, which is checked.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from egoframe.convert.checkpoint import check_keys, open_checkpoint
from egoframe.errors import UserError, first_line
from egoframe.evaluation.backbones.egovlp import EgoVLP
from egoframe.evaluation.backbones.inception import Inception
from egoframe.evaluation.backbones.lpips import Lpips
from egoframe.hub import progress, sha256
from egoframe.released import home

TORCHVISION = "https://download.pytorch.org/models/"
FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
HASHED = 8  # digits in a file's name


@dataclass(frozen=True)
class Published:
    """A file, and the network that it fills."""

    file: str
    new: Callable[[], nn.Module]
    folder: str | None = None  # on the web; None: to be had by hand alone, at `by_hand`
    by_hand: str = ""


NETWORKS = {
    "inception": Published("pt_inception-2015-12-05-6726825d.pth", Inception, FID),
    "alex": Published("alexnet-owt-7be5be79.pth", partial(Lpips, "alex"), TORCHVISION),
    "vgg": Published("vgg16-397923af.pth", partial(Lpips, "vgg"), TORCHVISION),
    "squeeze": Published("squeezenet1_1-b8a52dc0.pth", partial(Lpips, "squeeze"), TORCHVISION),
    "egovlp": Published("egovlp.pth", partial(EgoVLP, 4), by_hand="github.com/showlab/EgoVLP"),
    "egovlp+": Published(
        "epic_mir_plus.pth", partial(EgoVLP, 16), by_hand="github.com/showlab/EgoVLP"
    ),
}


@dataclass(frozen=True)
class Extractor:
    """A network that is ready, and the file that it came from."""

    network: nn.Module
    sha256: str


def open_extractor(name: str, path: Path | None = None) -> Extractor:
    """A metric's network with its published weights.

    Arguments:
        name: of NETWORKS.
        path: the file; where not given, that of the cache, fetched when it is not there yet.
    Raises:
        UserError: the file cannot be had, is damaged, or holds another network.
    """
    published = NETWORKS[name]
    path = path or _cached(published)
    with progress() as bar:
        found = sha256(path, bar) if path.is_file() else ""
    state = {key.removeprefix("module."): value for key, value in open_checkpoint(path).items()}
    network = published.new()
    own = network.state_dict()
    wanted = {
        key: value.shape
        for key, value in own.items()
        if not key.endswith("num_batches_tracked") and not key.startswith("lins.")
    }
    given = {key: value for key, value in state.items() if key in wanted}  # classifiers are left
    check_keys(given, wanted, name, path)
    network.load_state_dict(given, strict=False)
    return Extractor(network.eval().requires_grad_(False), found)


def _cached(published: Published) -> Path:
    """The file in the cache.

    Raises:
        UserError: it is not there, and cannot be fetched.
    """
    place = home() / "metrics" / published.file
    if place.is_file():
        return place
    if published.folder is None:
        raise UserError(
            f"{place}: not there; fetch {published.file} from {published.by_hand} by hand and put "
            "it there, or give its path"
        )
    url = published.folder + published.file
    begun = Path(published.file).stem[-HASHED:]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(place), hash_prefix=begun)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"{url}: cannot be fetched ({first_line(error)}); put it at {place}, or give its path"
        ) from None
    return place
