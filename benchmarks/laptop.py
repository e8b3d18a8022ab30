"""What somebody with a laptop waits for: the help, a first picture, a picture from a warm model.

Also the peak memory, whether two runs with one seed give identical bytes, and how far
eight pictures drawn together are from the same eight drawn alone.

    python benchmarks/laptop.py examples/kitchen.png "open the microwave"
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ACTIONS = ("take mug", "open drawer", "turn on tap", "cut bread", "stir pot", "wipe counter",
           "close microwave")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("action")
    parser.add_argument("--model", default="kitchen", help="a model folder or name")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file with every figure")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        helps = [seconds_of("--help") for _ in range(arguments.repeats)]
        cold, bytes_of = [], set()
        for run in range(2):
            out = Path(folder) / str(run)
            command = ("generate", arguments.photo, arguments.action, "--model", arguments.model)
            cold.append(seconds_of(*command, "--out", out))
            picture = next(p for p in out.glob("*.png") if not p.stem.endswith("-beside"))
            bytes_of.add(picture.read_bytes())
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    warm, apart = in_one_process(arguments)
    report = {
        "help_seconds": min(helps),
        "cold_generate_seconds": min(cold),
        "warm_generate_seconds": warm,
        "peak_memory_mib": round(children / 1024),
        "two_runs_identical": len(bytes_of) == 1,
        "eight_together_against_alone": f"{apart}/255",
        "machine": f"{platform.machine()}, {platform.python_implementation()} "
        f"{platform.python_version()}",
    }
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {value}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def seconds_of(*command: str | Path) -> float:
    """How long a command of egoframe takes."""
    started = time.perf_counter()
    code = "from egoframe.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *map(str, command)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    return round(time.perf_counter() - started, 2)


def in_one_process(arguments: argparse.Namespace) -> tuple[float, int]:
    """The median time of a call, the model loaded and used once before; and the largest difference
    of a value between eight pictures drawn together and alone."""
    import numpy as np
    from PIL import Image

    import egoframe
    from egoframe.images import open_photo

    pipe, photo = egoframe.load(arguments.model), open_photo(arguments.photo)
    seconds = []
    for _ in range(arguments.repeats + 1):
        started = time.perf_counter()
        pipe(photo, arguments.action)
        seconds.append(time.perf_counter() - started)
    names = [str(k) for k in range(8)]
    photos = [photo, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)] * 4
    actions = [arguments.action, *ACTIONS]
    together = pipe(photos, actions, pair_ids=names).images
    alone = [
        pipe(*one, pair_ids=[name]).images[0]
        for *one, name in zip(photos, actions, names, strict=True)
    ]
    apart = max(
        int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())
        for a, b in zip(together, alone, strict=True)
    )
    return round(sorted(seconds[1:])[arguments.repeats // 2], 2), apart


if __name__ == "__main__":
    main()
