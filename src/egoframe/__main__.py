"""`python -m egoframe`, and `torchrun -m egoframe train …` for several processes."""

from egoframe.cli import main

main()
