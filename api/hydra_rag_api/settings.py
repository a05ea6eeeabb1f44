"""Settings: the only place that reads environment variables and configuration files.

Order: command line, ``HYDRA_RAG_*`` variables, ``hydra_rag.toml`` in the working folder, the user's
``config.toml``, defaults. ``HYDRA_RAG_HOME`` moves data, cache and configuration into one folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError

from hydra_rag.errors import UsageError
from hydra_rag_api.server.limits import ServerSettings

__all__ = ["PROJECT_FILE", "Settings", "load_settings", "user_config_file"]

_APP = "hydra_rag"
PROJECT_FILE = "hydra_rag.toml"


def _home() -> Path | None:
    home = os.environ.get("HYDRA_RAG_HOME")
    return Path(home).expanduser() if home else None


def user_config_file() -> Path:
    """The user's configuration file, whether it exists or not."""
    home = _home()
    return (home or Path(platformdirs.user_config_dir(_APP, appauthor=False))) / "config.toml"


def _default_store() -> Path:
    home = _home()
    return (home or Path(platformdirs.user_data_dir(_APP, appauthor=False))) / "store"


def _default_cache() -> Path:
    home = _home()
    return home / "cache" if home else Path(platformdirs.user_cache_dir(_APP, appauthor=False))


class Settings(BaseSettings):
    """Everything that can be set. Field ``store`` is read from ``HYDRA_RAG_STORE``, and so on."""

    model_config = SettingsConfigDict(
        env_prefix="HYDRA_RAG_", env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    store: Path = Field(default_factory=_default_store, description="folder of the store")
    database_url: SecretStr | None = Field(None, description="SQL database elsewhere (postgresql://...)")
    cache_dir: Path = Field(default_factory=_default_cache, description="folder for caches")
    tenant: str = Field("default", min_length=1, description="whose documents")
    collection: str = Field("default", min_length=1, description="which collection of documents")
    model: str = Field("nano", min_length=1, description="nano, a model folder, or a hub name")
    adapter: str | None = Field(None, description="retrieval adapter (default: the one beside the model)")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N")
    dtype: str | None = Field(None, description="float32, bfloat16, float16 (default: the device's)")
    pooling: str | None = Field(
        None,
        pattern=r"^(none|(hierarchical|apet):\d+(\.\d+)?)$",
        description="fewer vectors a page: hierarchical:2, apet:2, none (default: as stored)",
    )
    first_stage: str = Field(
        "lists",
        pattern="^(lists|product|none)$",
        description="what finds candidates in large collections: lists, product (codes), none (all pages)",
    )
    ocr: str = Field(
        "auto",
        pattern="^(auto|always|model|never)$",
        description="text of scans: auto, always (the ocr extra), model (its own reading) or never",
    )
    mode: str = Field("hybrid", pattern="^(visual|text|hybrid)$", description="how pages are searched")
    pages: int = Field(3, ge=1, le=100, description="pages shown to the model per question, at most")
    text_layer: bool = Field(True, description="let prompts and checks use the text layer of pages")
    threshold: float | None = Field(None, ge=0, le=1, description="confidence under which: not found")
    max_new_tokens: int | None = Field(None, ge=1, description="length of an answer (default: the model's)")
    max_seconds: float = Field(600.0, gt=0, description="time limit of one answer")
    server: ServerSettings = Field(
        default_factory=lambda: ServerSettings(),  # type: ignore[call-arg]
        description="address and limits of `hydra-rag serve`",
    )

    @field_validator("store", "cache_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = [
            TomlConfigSettingsSource(settings_cls, path) for path in (Path(PROJECT_FILE), user_config_file())
        ]
        return (init_settings, env_settings, *files)


def load_settings(**given: Any) -> Settings:
    """The effective settings; ``given`` (command line) wins where it is not ``None``.

    Raises :class:`UsageError` that names the setting and what is wrong with it.
    """
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise UsageError(
            f"Settings can't be used ({faults}): check options, HYDRA_RAG_* variables and {PROJECT_FILE}."
        ) from error
    except (SettingsError, OSError, ValueError) as error:
        raise UsageError(
            f"The settings can't be read ({error}): mend the HYDRA_RAG_* variable or the file."
        ) from error
