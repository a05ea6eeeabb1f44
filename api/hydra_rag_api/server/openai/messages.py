"""From the message forms of both APIs to a question with its past, or to chat messages for the model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag_agents.memory import Past
from hydra_rag_api.server.deps import Text, decode_image
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.limits import ServerSettings

__all__ = [
    "ChatMessage", "InputItem", "PassedItem", "Said", "asked", "messages_of", "model_messages", "said",
]  # fmt: skip

LongText = Annotated[Text, StringConstraints(max_length=32_000)]


class _Open(BaseModel):
    """Clients send more than is used here."""

    model_config = ConfigDict(extra="ignore")


class ImageUrl(_Open):
    url: Annotated[str, StringConstraints(min_length=1)]
    detail: str | None = None


class TextPart(_Open):
    type: Literal["text"]
    text: LongText


class ImagePart(_Open):
    type: Literal["image_url"]
    image_url: ImageUrl


class InputText(_Open):
    type: Literal["input_text", "output_text"]
    text: LongText


class InputImage(_Open):
    type: Literal["input_image"]
    image_url: Annotated[str, StringConstraints(min_length=1)]
    detail: str | None = None


ChatPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]
InputPart = Annotated[InputText | InputImage, Field(discriminator="type")]


class ChatMessage(_Open):
    role: Literal["system", "developer", "user", "assistant"]
    content: LongText | Annotated[list[ChatPart], Field(max_length=64)] | None = None


class InputItem(_Open):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: LongText | Annotated[list[InputPart], Field(max_length=64)]


class PassedItem(_Open):
    """What an earlier answer brought with it and clients send back with the conversation: passed over."""

    type: Literal["file_search_call", "reasoning"]


@dataclass(frozen=True, slots=True)
class Said:
    """One message, its parts sorted out. ``images``: data URIs."""

    role: str
    text: str
    images: tuple[str, ...] = ()


def said(message: ChatMessage | InputItem) -> Said:
    role = "system" if message.role == "developer" else message.role
    content = message.content
    if content is None or isinstance(content, str):
        return Said(role, content or "")
    texts = [part.text for part in content if isinstance(part, TextPart | InputText)]
    images = [
        part.image_url.url if isinstance(part, ImagePart) else part.image_url
        for part in content
        if isinstance(part, ImagePart | InputImage)
    ]
    return Said(role, "\n".join(texts), tuple(images))


def messages_of(items: Sequence[InputItem | PassedItem]) -> list[Said]:
    """The messages among the items of a conversation."""
    return [said(item) for item in items if isinstance(item, InputItem)]


def asked(messages: Sequence[Said], settings: ServerSettings) -> tuple[str, Any, list[Past]]:
    """The question (the last user message), its image, and what was said before.

    Raises :class:`ApiError` 422 where the last message is nobody's question.
    """
    talk = [message for message in messages if message.role != "system"]
    if not talk or talk[-1].role != "user":
        raise ApiError(422, "no_question", "The last message must be the user's.", param="messages")
    last = talk[-1]
    if not last.text.strip():
        raise ApiError(422, "no_question", "The last message holds no text.", param="messages")
    if len(last.text) > 8000:
        raise ApiError(422, "too_long", "A question has at most 8000 characters.", param="messages")
    if len(last.images) > 1:
        raise ApiError(422, "too_many_images", "A question can come with one image.", param="messages")
    image = decode_image(last.images[0], settings) if last.images else None
    past: list[Past] = []
    for before, after in itertools.pairwise(talk):
        if before.role == "user" and after.role == "assistant" and before.text.strip():
            past.append(Past(before.text, after.text or None))
    return last.text, image, past


def model_messages(messages: Sequence[Said], settings: ServerSettings) -> list[dict[str, Any]]:
    """For the model without retrieval: everything that was said, images decoded."""
    if not any(message.role == "user" for message in messages):
        raise ApiError(422, "no_question", "There must be a message of the user.", param="messages")
    if sum(len(message.images) for message in messages) > settings.max_images:
        raise ApiError(422, "too_many_images", f"At most {settings.max_images} images are taken.")
    out: list[dict[str, Any]] = []
    for message in messages:
        content: list[dict[str, Any]] = [
            {"type": "image", "image": decode_image(uri, settings)} for uri in message.images
        ]
        out.append({"role": message.role, "content": [*content, {"type": "text", "text": message.text}]})
    return out
