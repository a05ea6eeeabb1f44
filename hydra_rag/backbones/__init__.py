"""Model families: one implementation over transformers, and a profile row for what differs."""

from hydra_rag.backbones.profile import PROFILES, Profile, profile_for

__all__ = ["PROFILES", "Profile", "profile_for"]
