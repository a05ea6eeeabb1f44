"""What a client sends to `/v1/responses`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hydra_rag_api.server.deps import ID, Bool, Int, Number, Text
from hydra_rag_api.server.errors import ApiError
from hydra_rag_api.server.openai.chat import Metadata
from hydra_rag_api.server.openai.messages import InputItem, LongText, PassedItem
from hydra_rag_api.server.openai.raw import MOST_NEW_TOKENS

__all__ = ["ULID", "ResponsesRequest"]

ULID = ID.strip("^$")


class FileSearch(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: Literal["file_search"]
    vector_store_ids: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^vs_[A-Za-z0-9_-]{1,64}$")]],
        Field(min_length=1, max_length=1),
    ]
    max_num_results: Int | None = Field(None, ge=1, le=20)


class OtherTool(BaseModel):
    """The model calls no functions: they may be offered, and the answer comes without them."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["function", "custom"]


class ConversationRef(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, StringConstraints(pattern=f"^conv_{ULID}$")]


class ResponsesRequest(BaseModel):
    """Fields that are not listed are passed over."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"model": "hydra-rag", "input": "What is the total?"}]},
    )

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    input: LongText | Annotated[list[InputItem | PassedItem], Field(min_length=1, max_length=200)]
    instructions: Annotated[Text, StringConstraints(max_length=32_000)] | None = None
    previous_response_id: Annotated[str, StringConstraints(pattern=f"^resp_{ULID}$")] | None = None
    conversation: ConversationRef | Annotated[str, StringConstraints(pattern=f"^conv_{ULID}$")] | None = None
    tools: Annotated[list[FileSearch | OtherTool], Field(max_length=128)] | None = None
    store: Bool | None = None
    stream: Bool | None = None
    metadata: Metadata | None = None
    max_output_tokens: Int | None = Field(None, ge=1, le=100_000)
    temperature: Number | None = Field(None, ge=0, le=2)
    top_p: Number | None = Field(None, gt=0, le=1)

    @property
    def new_tokens(self) -> int | None:
        wanted = self.max_output_tokens
        return None if wanted is None else min(wanted, MOST_NEW_TOKENS)

    @property
    def search(self) -> FileSearch | None:
        """Where to look, when the request says so. Raises :class:`ApiError` 422 for more than one place."""
        found = [tool for tool in self.tools or () if isinstance(tool, FileSearch)]
        if len(found) > 1:
            raise ApiError(422, "invalid_request", "Give one file_search tool at most.", param="tools")
        return found[0] if found else None
