"""One engine: videos in, outputs of a network in order out, for pipelines, evaluation, features and training.

- `engine`: decoded ahead, in batches, shared among processes, with a policy for what cannot be read, and a bar.
- `videos`: a video becomes the inputs of a network. `batches`: the inputs of several go through it together.
- `ahead`: work done ahead in threads. `loading`: the numbers of both. `modes`: networks that are not trained now.

Names are imported when they are used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
