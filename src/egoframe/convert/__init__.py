"""From other people's weights to a model's folder: the authors' release, and Stable Diffusion."""
