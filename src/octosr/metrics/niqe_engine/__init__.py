"""The natural image quality evaluator (Mittal et al., IEEE Signal Processing Letters 20(3), 2013), step by step.

``variants`` says in what the three published implementations differ; ``maps`` makes luma and normalised coefficients of
it; ``features`` turns them into 36 numbers a block, with ``float32`` where the last bit counts; ``blocks`` runs it all
over a batch; and ``gaussian`` compares their distribution with that of pristine images. ``maps`` and the sums of
``features`` are tensors, for accelerators. On CPUs ``cpu`` takes their place, with compiled ``loops`` on all cores
(``octosr.cores``).
"""
