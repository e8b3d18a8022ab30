"""How far what we compute is from what the LEGO authors' own code computed.

    python -m benchmarks.golden

On the miniature checkpoint of `shared/golden`, through conversion and `from_pretrained`.
"""

import tempfile
from pathlib import Path

from tests.convert.golden_lego import computed, open_converted, relative_error
from tests.convert.lego_release import mini_state, write_checkpoint, write_clip


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder / "lego.ckpt", mini_state())
        write_clip(folder / "clip")
        ema, raw = (open_converted(folder, folder / kind, kind) for kind in ("ema", "raw"))
        for key, (found, wanted) in computed(ema, raw).items():
            print(f"{key:20}{relative_error(found, wanted):10.1e}")


if __name__ == "__main__":
    main()
