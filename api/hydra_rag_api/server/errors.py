"""One error body for everybody: RFC 9457 problem details that also carry OpenAI's ``error`` object."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from hydra_rag.errors import HydraError

__all__ = ["ApiError", "install", "problem", "problem_body"]

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request", 401: "Not authenticated", 403: "Forbidden", 404: "Not found",
    405: "Method not allowed", 406: "Not acceptable", 409: "Conflict", 411: "Length required",
    413: "Too large", 415: "Unsupported media type", 421: "Misdirected request", 422: "Unprocessable request",
    429: "Too many requests", 500: "Internal error", 501: "Not supported", 503: "Not available now",
    507: "Disk full",
}  # fmt: skip
_OPENAI_TYPES = {
    401: "authentication_error", 403: "permission_error", 429: "rate_limit_error",
    500: "server_error", 503: "server_error", 507: "server_error",
}  # fmt: skip
#: Status for each code of the project's own errors; what is missing is 500 and its text stays in the log.
_STATUS = {
    "usage": 422, "not_found": 404, "store_busy": 503, "out_of_memory": 503, "cancelled": 503,
    "fingerprint": 409, "schema": 503, "store": 503, "storage": 507, "missing_extra": 501,
    "adapter": 503, "model": 503, "model_not_found": 503, "unsupported_model": 503,
    "too_large": 413, "too_many_pages": 422, "unsupported": 415, "encrypted": 422, "broken": 422,
    "empty": 422, "timeout": 422, "unreadable": 422, "parser_crash": 422,
}  # fmt: skip
#: Codes whose messages may name folders and addresses of this machine.
_PRIVATE = {"store", "storage", "schema", "adapter", "model", "model_not_found", "unsupported_model"}


class ApiError(Exception):
    """An error answer made on purpose. ``message`` is shown to the client."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})


def problem_body(
    status: int, code: str, message: str, *, instance: str | None = None, param: str | None = None
) -> dict[str, Any]:
    kind = _OPENAI_TYPES.get(status, "invalid_request_error")
    return {
        "type": f"urn:hydra-rag:error:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": message,
        "instance": instance,
        "error": {"message": message, "type": kind, "param": param, "code": code},
    }


def problem(
    status: int,
    code: str,
    message: str,
    *,
    request: Request | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    instance = None if request is None else request.url.path
    body = problem_body(status, code, message, instance=instance, param=param)
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def api_error(error: BaseException) -> ApiError:
    """Any error in the form that a client may see."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HydraError):
        status = _STATUS.get(error.code, 500)
        headers = {"Retry-After": "5"} if status in (429, 503) else {}
        if status == 500 or error.code in _PRIVATE:
            log.error("%s: %s", error.code, error)
            return ApiError(
                status, error.code, "The server can't do this now; its log says why.", headers=headers
            )
        return ApiError(status, error.code, error.message, headers=headers)
    if isinstance(error, SQLAlchemyError):
        log.error("database: %s", type(error).__name__, exc_info=error)
        return ApiError(503, "database", "The database is not available.", headers={"Retry-After": "5"})
    log.error("unexpected error", exc_info=error)
    return ApiError(500, "internal", "Something unexpected went wrong; the server's log says what.")


def _methods_at(request: Request) -> list[str]:
    """All methods of a path; the router knows only those of the first route that fits."""
    found: set[str] = set()
    for template, methods in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), request.url.path):
            found |= {method.upper() for method in methods}
    return sorted(found)


def install(app: FastAPI) -> None:
    """Handlers for every kind of error."""

    async def on_error(request: Request, error: Exception) -> Response:
        known = api_error(error)
        return problem(
            known.status,
            known.code,
            known.message,
            request=request,
            param=known.param,
            headers=known.headers,
        )

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = error.errors()
        first = faults[0] if faults else {"loc": (), "msg": "invalid"}
        place = ".".join(str(part) for part in first["loc"])
        if first.get("type") == "json_invalid":
            return problem(400, "invalid_json", "The body is not valid JSON.", request=request)
        message = "; ".join(
            f"{'.'.join(str(p) for p in fault['loc'])}: {fault['msg']}" for fault in faults[:5]
        )
        message = message.encode("utf-8", "replace").decode()
        return problem(422, "invalid_request", message[:2000], request=request, param=place[:200] or None)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "http")
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := _methods_at(request)):
            headers["Allow"] = ", ".join(methods)
        return problem(error.status_code, code, str(error.detail)[:2000], request=request, headers=headers)

    app.add_exception_handler(ApiError, on_error)
    app.add_exception_handler(HydraError, on_error)
    app.add_exception_handler(SQLAlchemyError, on_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_error)
