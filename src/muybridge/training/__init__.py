"""The loop on Accelerate: settings, what is trained, checkpoints that a killed run goes on from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
