"""Tensors become features and scores: one folder an architecture.

- `registry`: which tasks and architectures there are. `loading`: a checkpoint becomes a network and its processor.
- `base`, `image_base`, `video_base`, `image_encoder`: what architectures share; `layers`: what they are made of.
- `heads`: what makes logits of features.
- `vocabulary`: what may be asked of any network; `adapters`: how those of transformers come to understand it.
- `inputs`: the names of inputs. `inspection`, `optimization`, `inflation`: a network counted, made faster, made of one
  for images.

Importing this package loads neither torch nor transformers: names are imported when they are used.
"""

import lazy_loader

from muybridge.models import (  # noqa: F401  # each registers itself
    alexnet,
    c3d,
    cnn_m,
    ensemble,
    frame_pooling,
    fusion_cnn,
    googlenet,
    i3d,
    lrcn,
    resnet,
    simple_cnn,
    timesformer,
    vgg,
    video_resnet,
    videomae,
    videoprism,
    vivit,
    vjepa2,
    zfnet,
)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
