"""Made documents: realistic pages with the exact box of every word and every answer."""

from hydra_rag.training.documents.made import LAYOUTS, make_page
from hydra_rag.training.documents.page import Fact, MadePage

__all__ = ["LAYOUTS", "Fact", "MadePage", "make_page"]
