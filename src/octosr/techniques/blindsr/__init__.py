"""BlindSR, blind image super-resolution with a kernel discriminator (Cornillere et al., SIGGRAPH Asia 2019)."""
