from pathlib import Path

import pytest
import torch

from egoframe.evaluation.backbones.lpips import Lpips


@pytest.fixture(scope="session")
def squeezenet(tmp_path_factory) -> Path:
    """As torchvision publishes SqueezeNet, the classifier too; at random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = {f"features.{k}": v for k, v in Lpips("squeeze").features.state_dict().items()}
    file = tmp_path_factory.mktemp("squeezenet") / "net.pth"
    torch.save(state | {"classifier.1.weight": torch.zeros(9, 512, 1, 1)}, file)
    return file
