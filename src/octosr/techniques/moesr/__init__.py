"""MoESR, mixture of experts for blind super-resolution (Emad, Peemen & Corporaal, WACV 2022): how it works.

**Model.** An LR image is its HR image blurred with one Gaussian and shrunk: ``LR = (HR * k)`` at every s-th pixel,
the kernel's mean placed so that LR pixels sit where bicubic resizing has them (``octosr.degradation.aligned``).

**Experts** (``grid``, ``bank``, ``network``, ``symmetry``). 85 kernels cover the blurs that are expected: five
variances for each axis and eight angles. An expert is one plain convolutional network for x2, two in a row for x4,
three for x8, each trained for one kernel. Turning or flipping the image turns the blur, so 25 networks serve all 85
kernels.

**Gate** (``gating``, ``judge``, ``sharpness``, ``kernel_estimator``). All 85 enlarge the image. ISE looks at each
result beside the bicubic enlargement and says how much too sharp or too blurred it is; the mean square of its map is
the setting's score. KEN reads the blur, (lambda_1, lambda_2, theta), off the 85 scores. Every network runs once, on all
images in all their turns. A few crops with most gradient can stand in for whole images (``gate_crop``).

**Fine-tuning** (``finetune``, ``plan``). The expert nearest to the estimated kernel is optimised on the image itself,
with the estimated kernel and not the grid's: enlarging and reducing again must give the image back, reducing and
enlarging too, and where there are no edges bicubic interpolation is right. The images of a batch are optimised
together, each with weights of its own, and what does not depend on the weights is computed once for a block of steps.

**Stages.** ``[2, 4]``: x2, then x4 on its result, each with experts, ISE and KEN of its own; the kernel that is saved
beside an HR image is that of both reductions. ``[8]``: experts of three levels, which is ours.

**Training** (``training``, ``phases``, ``phased``). Only networks, inference and weights were published. Phase by
phase: the experts, from a common warm start, all 25 at once; ISE on random experts and kernels; KEN on pairs of
scores and kernel. One checkpoint holds everything, with the number of steps that each part has been trained for.

**Where we differ from the public code**, unless ``official_quirks`` is on: filters are turned the way that belongs to
the image's turn; angles wrap at 0 and pi; of two variances the larger is the first; Adam's beta1 is the 0.5 that the
options say and not what the schedule makes of it; crops do not depend on NumPy's global state; flat and small images
work.
"""
