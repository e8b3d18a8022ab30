"""How fast a model draws on this machine, beside diffusers' own pipeline on the same weights."""
