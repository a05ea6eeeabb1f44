"""Every number that bounds what a client can ask for, in one place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["ServerSettings"]


class ServerSettings(BaseModel):
    """The ``server`` part of the settings (``HYDRA_RAG_SERVER__PORT=9000`` and so on)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; any but loopback requires keys")
    port: int = Field(8000, ge=0, le=65_535, description="port to listen on")
    hosts: str = Field("", description="further names it is called by (Host header), commas between them")
    max_file_bytes: int = Field(200 << 20, ge=1, description="one uploaded file")
    max_files: int = Field(100, ge=1, description="files of one upload")
    max_upload_bytes: int = Field(512 << 20, ge=1, description="one upload request, all files together")
    max_body_bytes: int = Field(24 << 20, ge=1024, description="any other request (images are in its JSON)")
    max_image_pixels: int = Field(40_000_000, ge=1, description="one image of a question")
    max_images: int = Field(4, ge=1, description="images of one request")
    chat_running: int = Field(4, ge=1, description="questions worked on at once")
    chat_waiting: int = Field(64, ge=0, description="questions that may wait")
    chat_per_tenant: int = Field(64, ge=1, description="questions of one tenant, waiting and running")
    chat_wait_seconds: float = Field(120.0, gt=0, description="longest wait before a question is refused")
    stream_seconds: float = Field(600.0, gt=0, description="longest answer")
    ingest_queue: int = Field(1000, ge=1, description="files that may wait to be ingested")
    ingest_per_tenant: int = Field(500, ge=1, description="files of one tenant that may wait")
    drain_seconds: float = Field(30.0, ge=0, description="time that running answers get when stopping")
    min_free_bytes: int = Field(1 << 30, ge=0, description="free disk space under which uploads are refused")
    page_cache_bytes: int = Field(64 << 20, ge=0, description="memory for scaled page images")

    @field_validator("hosts", mode="before")
    @classmethod
    def _joined(cls, value: object) -> object:
        """A list, as a settings file may have it, is as good."""
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else value

    @property
    def host_names(self) -> frozenset[str]:
        """``hosts``, each in lower case."""
        return frozenset(name.strip().lower() for name in self.hosts.split(",") if name.strip())
