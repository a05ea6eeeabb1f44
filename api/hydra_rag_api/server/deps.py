"""What endpoints ask for: the principal, the engine, images, and parameter types with their bounds."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, Strict, StringConstraints

from hydra_rag_agents.facade import HydraRAG
from hydra_rag_api.server.admission import Place
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.guard import Principal
from hydra_rag_api.server.limits import ServerSettings
from hydra_rag_api.server.services import Services

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "After", "Booked", "Bool", "DataUri", "DocumentId", "Engine", "Id", "Int", "JobId", "Number",
    "PageNumber", "Served", "SessionId", "Text", "TurnId", "Who", "decode_image", "decode_images",
]  # fmt: skip

ID = r"^[0-9A-HJKMNP-TV-Z]{26}$"
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not hold NUL characters")
    return value


#: JSON numbers and booleans as they are: `true` is no number, `0` is no boolean.
Int = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Bool = Annotated[bool, Strict()]
#: Text that goes into the store.
Text = Annotated[str, AfterValidator(_no_nul)]
Id = Annotated[str, StringConstraints(pattern=ID)]
DataUri = Annotated[
    str, StringConstraints(pattern=r"^data:image/[a-z0-9.+-]{1,40};base64,[A-Za-z0-9+/=\s]+$")
]


# Coroutines: they do next to nothing, and as functions each would wait for a thread.
async def _served(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _principal(request: Request) -> Principal:
    found = request.scope["state"]["principal"]
    if found is None:  # a route under a public path that asks for a principal
        raise ApiError(401, "invalid_api_key", "A valid API key is needed.")
    assert isinstance(found, Principal)
    return found


Served = Annotated[Services, Depends(_served)]
Who = Annotated[Principal, Depends(_principal)]


async def _engine(
    services: Served,
    who: Who,
    collection: Annotated[
        str | None,
        Query(
            pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Collection of documents (default: the server's)."
        ),
    ] = None,
) -> HydraRAG:
    return services.engine(who.tenant, collection)


Engine = Annotated[HydraRAG, Depends(_engine)]


async def _place(services: Served, who: Who, request: Request) -> AsyncIterator[Place]:
    place = request.scope["state"].get("place") or services.admission.enter(who.tenant)
    try:
        yield place
    finally:
        place.leave()  # where the question came to an end before its turn


#: A place in the queue of questions: refused with a status of its own, before any work and any answer.
Booked = Annotated[Place, Depends(_place)]
DocumentId = Annotated[str, Path(pattern=ID, description="A document's id.")]
SessionId = Annotated[str, Path(pattern=ID, description="A session's id.")]
TurnId = Annotated[str, Path(pattern=ID, description="A turn's id.")]
JobId = Annotated[str, Path(pattern=ID, description="An ingest job's id.")]
#: Where a list goes on. The entry itself may be gone by then; an id that never was ends the list.
After = Annotated[str | None, Query(pattern=ID, description="Id of the last entry of the part before.")]
PageNumber = Annotated[int, Path(ge=1, le=1_000_000, description="Page number, counted from 1.")]


def decode_image(uri: str, settings: ServerSettings) -> Image.Image:
    """An image that came as a data URI: RGB, turned as its EXIF says, bounded before it is decoded."""
    from PIL import Image, ImageOps

    head, _, body = uri.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise ApiError(
            422,
            "image_url",
            "Images are taken as data URIs only (data:image/png;base64,...); nothing is fetched.",
        )
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            width, height = opened.size
            if width * height > settings.max_image_pixels or max(width, height) > 200 * min(width, height):
                raise ApiError(422, "image_geometry", f"An image of {width} x {height} pixels is not taken.")
            turned = ImageOps.exif_transpose(opened)
            return turned.convert("RGB")
    except ApiError:
        raise
    except (
        binascii.Error, OSError, ValueError, SyntaxError, TypeError, ArithmeticError, LookupError,
        MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        raise ApiError(422, "image_broken", "The image can't be read.") from error


def decode_images(uris: list[str], settings: ServerSettings) -> list[Any]:
    if len(uris) > settings.max_images:
        raise ApiError(422, "too_many_images", f"At most {settings.max_images} images are taken.")
    return [decode_image(uri, settings) for uri in uris]
