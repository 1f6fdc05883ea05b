"""OctoSR: train, run and judge blind image super-resolution at 8x.

Importing this package imports no torch; the subpackages that need it do so themselves.
"""

__version__ = "0.1.0"
