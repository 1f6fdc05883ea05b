"""FastGAN: a light generative adversarial network that learns from a hundred images.

B. Liu, Y. Zhu, K. Song, A. Elgammal, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
Synthesis", ICLR 2021.

How it works
------------
A generator makes images from random numbers, a discriminator learns to tell them from those of the dataset, and the
generator learns to be taken for real. Two ideas make that work with few images and little time.

*Skip-layer excitation* (:class:`~octosr.techniques.fastgan.layers.Excitation`). The generator begins with 4x4 features
and doubles them until they have the size of the image. What the features of 4 to 32 pixels hold is averaged into one
number a channel, and these multiply the channels of features 16 times as large. So the gradient reaches the coarse
layers over short ways, as with residual connections, at the cost of a few numbers; and coarse features come to say what
the style of fine ones is. Gates of channels (GLU), batch normalisation, spectral normalisation of every convolution,
and noise with a learned strength do the rest. Besides the large image there is a small one, 128 pixels, made from
features half-way.

*A discriminator that has to remember* (:mod:`~octosr.techniques.fastgan.discriminator`). With a hundred images it would
soon know each by a detail and have nothing to tell the generator. So from its own features of a real image small
decoders have to draw the image again: the whole from the last features of either path, and one quarter, another in
each step, from features one stage earlier. How far these are from the image is measured by LPIPS
(:mod:`~octosr.techniques.fastgan.reconstruction`). Features that allow this describe the whole image. Two paths score
at 25 places each: one sees the large image, the other the small one, and they share nothing.

An iteration:

1. The generator makes a batch of pairs (large, small). Real and generated images are augmented
   (:mod:`~octosr.techniques.fastgan.augment`: brightness, saturation, contrast, shift), each image by numbers of its
   own, the large and the small image of a generated pair independently.
2. The discriminator's step: hinge loss with margins drawn between 0.8 and 1 for each score, plus the distance of the
   reconstructions, added up over the batch and not averaged.
3. The generator's step, with the same images: minus the mean score.
4. The generator's moving average, ``0.999`` an iteration, which is what is sampled from.

Batch normalisation uses the statistics of the batch in training. When sampling, they are measured anew for the
averaged weights (:mod:`~octosr.techniques.fastgan.sampling`). Random numbers are functions of (seed, image, purpose),
and the rest of the state is in the checkpoint: a resumed run is the run that was never stopped, to the bit on a CPU.
Micro-batches and processes each normalise by their own images: two processes do what one does in two micro-batches,
not what one does at once. On GPUs ``trainer.sync_batchnorm=true`` makes them one batch.

What is made faster and remains the same (to rounding; ``benchmarks/fastgan_train_step.py`` measures it):

* Nearest-neighbour enlargement and the 3x3 convolution after it are one transposed convolution with folded taps
  (:func:`~octosr.techniques.fastgan.layers.fold`): 4/9 of the multiplications; on CPUs products with pixels and their
  differences (:mod:`~octosr.techniques.fastgan.enlarging`): a quarter.
* Other 3x3 convolutions, LPIPS's too, are Winograd's on CPUs (:mod:`octosr.nn.convolution`) where that pays. Feature
  maps have one memory layout, and gates a gradient written out for it.
* The discriminator's parameters are held fixed in the generator's step: their gradients were computed and thrown away.
* LPIPS sees the three reconstructions in one call and each target once.
* Shifts of images are slices, not index grids. The gradient of W / sigma is written out. Adam is fused.

What differs from the public code, each on purpose:

* tanh at every resolution (``official_quirks: true``: at 1024 only, as published).
* The moving average has buffers, those of the generator at that time. The public code's has none.
* Statistics when sampling, see above; ``sampling_bn: batch`` is the public script's way with blocks of 16 seeds.
* Singular vectors move once a pass of the whole batch, also when it is divided into micro-batches.
* Resolutions of 32, 64 and 128 pixels, for trials: the published networks without their last blocks (generator) or
  first blocks (discriminator); the small image has half the side.
* Training images are enlarged by Lanczos's filter (``enlarge: bilinear`` is the public code's), and drawn reproducibly.
"""
