"""The weights of metrics' networks, from the files that their authors published.

A file is given by its path, or fetched once into the package's cache; the names of those that can
be fetched end with the beginning of their SHA-256, which is checked. Models of the hub are given
by their folder or id, or lie in the cache.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from egoframe.convert.checkpoint import check_keys, open_checkpoint
from egoframe.errors import UserError, first_line
from egoframe.evaluation.backbones.egovlp import EgoVLP, TextTower
from egoframe.evaluation.backbones.inception import Inception
from egoframe.evaluation.backbones.lpips import Lpips
from egoframe.hub import progress, sha256
from egoframe.released import home

TORCHVISION = "https://download.pytorch.org/models/"
FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
EGOVLP = "github.com/showlab/EgoVLP"
HASHED = 8  # digits in a file's name
HUB_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Published:
    """A file, and the network that it fills."""

    file: str
    new: Callable[[], nn.Module]
    folder: str | None = None  # on the web; None: to be had by hand alone, at `by_hand`
    by_hand: str = ""


NETWORKS = {
    "inception": Published("pt_inception-2015-12-05-6726825d.pth", Inception, FID),
    "lpips-alex": Published("alexnet-owt-7be5be79.pth", partial(Lpips, "alex"), TORCHVISION),
    "lpips-vgg": Published("vgg16-397923af.pth", partial(Lpips, "vgg"), TORCHVISION),
    "lpips-squeeze": Published(
        "squeezenet1_1-b8a52dc0.pth", partial(Lpips, "squeeze"), TORCHVISION
    ),
    "egovlp-ego4d": Published("egovlp.pth", partial(EgoVLP, 4), by_hand=EGOVLP),
    "egovlp-epic": Published("epic_mir_plus.pth", partial(EgoVLP, 16), by_hand=EGOVLP),
    "egovlp-text-ego4d": Published("egovlp.pth", TextTower, by_hand=EGOVLP),
    "egovlp-text-epic": Published("epic_mir_plus.pth", TextTower, by_hand=EGOVLP),
}


def open_network(name: str, given: str | Path | None = None) -> tuple[nn.Module, str]:
    """A metric's network with its published weights, and the SHA-256 of their file.

    Arguments:
        name: of NETWORKS.
        given: the file; else that of the cache is taken, fetched when it is not there yet.
    Raises:
        UserError: the file cannot be had, is damaged, or holds another network.
    """
    published = NETWORKS[name]
    path = Path(given) if given else _cached(published)
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
    state = {key: value for key, value in state.items() if key in wanted}  # classifiers are left
    check_keys(state, wanted, name, path)
    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False), found


@contextmanager
def hub_model(repo: str, given: str | Path | None, files: str) -> Iterator[str]:
    """Where to open a model of the hub: what is given, else the folder of its name in the cache,
    else the hub.

    Arguments:
        given: a folder, or the id of another model.
        files: that are needed, in words.
    Raises:
        UserError: what goes wrong inside, and the ways out, in one line.
    """
    by_hand = home() / "metrics" / repo.rpartition("/")[2]
    source = str(given or (by_hand if by_hand.is_dir() else repo))
    try:
        yield source
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of any kind, from those who read foreign files
        raise UserError(
            f"{source}: cannot be opened ({first_line(error)}); put {files} of {repo} into "
            f"{by_hand}, or give their folder"
        ) from None


def hub_sha256(source: str) -> str:
    """The SHA-256 of the weights' file in a folder or of the hub.

    Raises:
        OSError: there is none.
    """
    from transformers.utils import cached_file

    with progress() as bar:
        return sha256(Path(str(cached_file(source, HUB_WEIGHTS))), bar)


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
