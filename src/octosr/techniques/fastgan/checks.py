"""Checks of FastGAN's arguments; each raises a ConfigError that names the key."""

from __future__ import annotations

from octosr.errors import ConfigError

RESOLUTIONS = (32, 64, 128, 256, 512, 1024)
RECONSTRUCTIONS = ("lpips", "l1")
SAMPLING = ("ema", "batch")


def settings(
    resolution: int, width: int, latent: int, learning_rate: float, decay: float, sampling_latents: int
) -> None:
    """Sizes and numbers."""
    if resolution not in RESOLUTIONS:
        raise ConfigError(f"technique.resolution must be one of {RESOLUTIONS}, but is {resolution}.")
    if min(width, latent) < 1:
        raise ConfigError(f"technique.width and latent must be 1 or more, but are {width} and {latent}.")
    if learning_rate <= 0:
        raise ConfigError(f"technique.learning_rate must be above 0, but is {learning_rate}.")
    if not 0 <= decay < 1:
        raise ConfigError(f"technique.ema_decay must be from 0 to below 1, but is {decay}.")
    if sampling_latents < 2:
        raise ConfigError(f"technique.sampling_latents must be 2 or more, but is {sampling_latents}.")


def choices(reconstruction: str, sampling_bn: str) -> None:
    """Words."""
    for key, value, known in (
        ("reconstruction", reconstruction, RECONSTRUCTIONS),
        ("sampling_bn", sampling_bn, SAMPLING),
    ):
        if value not in known:
            raise ConfigError(f"technique.{key} must be one of {', '.join(known)}, not {value!r}.")
