"""BlindSR, super-resolution with a kernel discriminator (Cornillere et al., SIGGRAPH Asia 2019): how it works.

**Model.** An LR image is its HR image blurred with a Gaussian and shrunk: ``LR = (HR * k)`` at every s-th pixel. The
Gaussian has two standard deviations and an angle; which ones there are is a kernel space (``kernels``).

**Generator** (``network``). One network for all blurs. The kernel's K*K taps go through one linear map to a code of 15
numbers, and the code stands at every pixel beside the LR image and its bicubic enlargement. Dense blocks at the
resolution of the LR image; what comes out is added to the enlargement.

**Kernel discriminator** (``network``). Given the wrong kernel, the generator makes rings or leaves the blur in. The
discriminator sees the generator's last features and the code, and says what the image differs by from the one for
the true kernel, pixel by pixel and with its sign. Nothing about it is adversarial.

**Search** (``search``, ``starts``, ``refine``, ``errors``, ``patches``). At test time the true kernel is the one that
the discriminator sees least error with: the kernels of a grid are judged, the best is refined by gradient descent,
through discriminator, generator, code and Gaussian, on its standard deviations and angle. All images of a batch
together. More weight on wide blurs (``sharpness``) makes sharper images.

**Calibration** (``calibration``), ours. The kernel with the least error is mostly narrower than the true one. How the
errors of a grid's kernels hang together with the true one is learnt on training images; where the weights have such a
calibration, its estimate is taken in place of the search's (``search.calibration: none`` for that): nearer to the true
blur, better images, and no gradient descent. Of several passes this holds for the first: what it hands on is no image
blurred as those of training are, and there the search does better.

**Blur that varies over the image** (``spatial``, ``mosaic``). The code is a map, so each pixel may have its own. The
search then looks for a kernel in each cell and smooths the map; training has shown both networks images whose
regions run into each other. The paper claims as much; the public code has one kernel an image.

**Passes.** ``stages: [2, 2, 2]`` is one x2 network used three times, each time with a search of its own, on what the
pass before has made; ``[2, 4]`` and ``[8]`` have networks for x4 and x8, which are ours. The kernel that is saved
beside an HR image is that of all reductions one after the other.

**Training** (``training``, ``phases``, ``phased``). The generator first, on random kernels, L1; then the discriminator
on the generator at rest: 0.9 times its L1 for a wrong kernel and 0.1 times for the true one, where it has to say
zero; then the calibration on both. One checkpoint holds everything, with the number of steps that each part has been
trained for.

**Where we differ from the public code**, which is an independent re-implementation by the paper's first author, not
the code behind its figures. Kernels are aligned: the public ones shift an image by half a pixel at x2. They are not
cut off, and begin where they still have a gradient. The search begins with each kernel once, stays inside the space,
and takes one step for all of an image's patches. Wrong kernels in training are sometimes nearly right; LR images
have 8 bits. ``official_quirks`` does as the public code does; its weights (``official``) bring its kernels with them.
"""
