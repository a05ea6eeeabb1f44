"""The project's error tree. Every message says what to do next.

::

    HydraError
    ├── UsageError            the caller asked for something impossible (exit code 2)
    ├── StoreError            the store can't be used (exit code 3)
    │   ├── StoreBusyError        another process holds the write lease (exit code 75)
    │   ├── SchemaError           the schema is older or newer than this program
    │   ├── FingerprintError      the store was built by another model or adapter
    │   └── CorruptionError       stored bytes do not match their checksum
    ├── ModelError            the model can't be used (exit code 3)
    │   ├── ModelNotFoundError    no such name or folder
    │   ├── AdapterError          missing, foreign or freshly initialised adapter keys
    │   ├── UnsupportedModelError a model family without a profile
    │   └── OutOfMemoryError      the device ran out of memory; this request alone is lost
    ├── FileError             one input file can't be read (exit code 1, the others go on)
    ├── NotFoundError         no such document, page, session or turn
    ├── MissingExtraError     an optional dependency is not installed
    └── CancelledError        the caller closed the stream or cancelled the job
"""

from __future__ import annotations

__all__ = [
    "AdapterError",
    "CancelledError",
    "CorruptionError",
    "FileError",
    "FingerprintError",
    "HydraError",
    "MissingExtraError",
    "ModelError",
    "ModelNotFoundError",
    "NotFoundError",
    "OutOfMemoryError",
    "SchemaError",
    "StoreBusyError",
    "StoreError",
    "UnsupportedModelError",
    "UsageError",
]


class HydraError(Exception):
    """Base of every error that this project raises on purpose.

    ``code`` is stable and machine readable; ``exit_code`` is what the command line returns;
    ``retryable`` says whether the same call may succeed later.
    """

    code: str = "error"
    exit_code: int = 3
    retryable: bool = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])


class UsageError(HydraError):
    code, exit_code = "usage", 2


class StoreError(HydraError):
    code = "store"


class StoreBusyError(StoreError):
    code, exit_code, retryable = "store_busy", 75, True


class SchemaError(StoreError):
    code = "schema"


class FingerprintError(StoreError):
    code = "fingerprint"


class CorruptionError(StoreError):
    code = "corruption"


class ModelError(HydraError):
    code = "model"


class ModelNotFoundError(ModelError):
    code = "model_not_found"


class AdapterError(ModelError):
    code = "adapter"


class UnsupportedModelError(ModelError):
    code = "unsupported_model"


class OutOfMemoryError(ModelError):
    code, retryable = "out_of_memory", True


class FileError(HydraError):
    """One input file can't be read. ``code`` is one of: ``not_found``, ``unreadable``, ``empty``,
    ``unsupported``, ``encrypted``, ``broken``, ``too_large``, ``too_many_pages``, ``timeout``,
    ``parser_crash``, ``storage``."""

    code, exit_code = "broken", 1


class NotFoundError(HydraError):
    code, exit_code = "not_found", 2


class MissingExtraError(HydraError):
    code = "missing_extra"


class CancelledError(HydraError):
    code, exit_code = "cancelled", 75
