"""The latent diffusion model that draws the action frame."""
