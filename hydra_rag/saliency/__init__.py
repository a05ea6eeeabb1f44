"""Where a model looks: maps over the cells of a page, made from its own attention, and boxes from maps.

``signals.py``: what a pass recorded; ``methods.py``: signals to a map; ``filters.py``: cleaning before that;
``gather.py``: the passes; ``probes.py``: :func:`~hydra_rag.saliency.probes.look`, all of it in one call;
``boxes.py``: maps to boxes; ``calibration.py``: which layers and heads of a checkpoint to trust.
Importing this package costs numpy, never torch.
"""

from hydra_rag.saliency.maps import SaliencyMap

__all__ = ["SaliencyMap"]
