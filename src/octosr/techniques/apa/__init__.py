"""APA, adaptive pseudo augmentation: StyleGAN2 for small datasets, deceived on purpose.

L. Jiang, B. Dai, W. Wu, C. C. Loy, "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data",
NeurIPS 2021 (the method); T. Karras et al., CVPR 2020 (StyleGAN2) and NeurIPS 2020 (its settings, and the augmentation
that may be added).

How it works
------------
A generator makes images from random numbers: a mapping network turns a latent z into w, and w says, layer by layer, how
strongly each channel of a growing stack of feature maps counts. A discriminator scores images. It learns to score those
of the dataset above those that are generated, and the generator learns to make images that score high. With a hundred
images to learn from the discriminator soon knows each of them by heart: its scores of real images are all positive, and
what it tells the generator is no longer about images in general. APA watches for that. The mean sign of the scores of
what it calls real, lambda, should be no more than a target of 0.6. While it is more, generated images take the place of
real ones more and more often, and the discriminator is told that they are real. It is wrong about these whatever it
does, and so it cannot be sure. While lambda is less, they do so less often. The probability p changes by 4 * batch /
(1000 * apa_kimg) every 4 iterations, up or down, and stays between 0 and ``apa_most``. It is the only thing that APA
adds, at the cost of one comparison an image.

An iteration has four phases, each with latents of its own and a step of Adam:

1. Gmain: the generator learns to be taken for real. Its images, of the weights before this step, are kept: they are the
   pseudo samples of this iteration, each in the place of a real image of the same micro-batch.
2. Greg, every 4th iteration, on half of the images: equal steps in w should move images equally far.
3. Dmain: the discriminator learns to tell generated images from real ones, pseudo samples among the latter.
4. Dreg, every 16th iteration: R1, the discriminator should be flat around what is called real (drawn anew).

Then the moving average of the generator is brought up to date, which is what
:meth:`~octosr.techniques.apa.module.APA.generate` uses, and p is. An iteration depends on nothing but the weights, p
and the counters, all of them in the checkpoint, and on random numbers that are a function of (seed, image, purpose): so
a resumed run is the run that was never stopped, to the bit on a CPU, and several processes do what one does that goes
through the same batch in as many micro-batches.

What differs from the public code: p has an upper bound; each micro-batch has its own pseudo samples; the average of w
and of the path lengths move once a phase, with the mean over micro-batches and processes; style mixing changes over at
the same layer in all of them. Everything else is the same up to rounding (``benchmarks/apa_parity.py``).
"""
