"""A small server with the shapes of the real one: fixed answers, and every kind of trouble on demand.

Words in a question choose what happens: ``plates`` is not found, ``slowly`` takes its time, ``fails`` fails,
``markup`` answers with markup, ``weak`` is unsure, ``everything`` cites nine places. A file whose name holds
``broken`` can't be read.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image

from hydra_rag_api.web import mount
from tests.browser.fake_world import HEIGHT, WIDTH, World, answer_for, hits


def sse(name: str, data: Any, number: int = 0) -> str:
    return f"event: {name}\nid: {number}\ndata: {json.dumps(data)}\n\n"


def make_app(world: World, pause: float = 0.0) -> FastAPI:
    app = FastAPI()
    mount(app)

    def problem(status: int, detail: str) -> JSONResponse:
        body = {
            "title": detail,
            "status": status,
            "detail": detail,
            "error": {"code": "x", "message": detail},
        }
        return JSONResponse(body, status, media_type="application/problem+json")

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Any:
        if (
            world.key
            and request.url.path.startswith("/api")
            and request.url.path != "/api/login"
            and request.cookies.get("hydra_key") != world.key
        ):
            return problem(401, "A valid API key is needed.")
        return await call_next(request)

    @app.post("/api/login")
    async def login(request: Request) -> Response:
        key = (await request.json())["key"]
        if key != world.key:
            return problem(401, "That key is not known.")
        response = Response(status_code=204)
        response.set_cookie("hydra_key", key, httponly=True, samesite="strict")
        return response

    @app.get("/api/me")
    def me() -> Any:
        auth = "cookie" if world.key else "open"
        return {
            "tenant": "default",
            "auth": auth,
            "model": "nano",
            "collection": "default",
            "status": "ready",
        }

    def part(entries: list[Any], key: str, after: str | None) -> tuple[list[Any], bool]:
        ids = [entry[key] for entry in entries]
        rest = entries if after is None else entries[ids.index(after) + 1 :]
        return rest[: world.part], len(rest) > world.part

    @app.get("/api/documents")
    def documents(after: str | None = None) -> Any:
        found, more = part(list(world.documents.values()), "document_id", after)
        return {"documents": found, "has_more": more}

    @app.get("/api/documents/{document_id}")
    def document(document_id: str) -> Any:
        if document_id not in world.documents:
            return problem(404, "There is no such document.")
        one = world.documents[document_id]
        pages = [
            {
                "page": n,
                "width": WIDTH,
                "height": HEIGHT,
                "label": str(n),
                "has_text": True,
                "text_source": "layer",
            }
            for n in range(1, one["pages"] + 1)
        ]
        return {**one, "page_list": pages}

    @app.delete("/api/documents/{document_id}", status_code=204)
    def remove(document_id: str) -> None:
        del world.documents[document_id]

    @app.post("/api/documents", status_code=202)
    async def upload(files: list[UploadFile]) -> Any:
        job = world.id()
        world.jobs[job] = [
            {
                "name": f.filename,
                "state": "queued",
                "document_id": None,
                "outcome": None,
                "bytes": f.size,
                "pages_done": 0,
                "pages_total": None,
                "error": None,
            }
            for f in files
        ]
        return job_json(job)

    def job_json(job: str) -> dict[str, Any]:
        files = world.jobs[job]
        open_ = any(f["state"] in ("queued", "running") for f in files)
        good = any(f["state"] == "succeeded" for f in files)
        return {
            "job_id": job,
            "state": "running" if open_ else "succeeded" if good else "failed",
            "files": files,
        }

    @app.get("/api/jobs/{job}/events")
    async def job_events(job: str) -> Any:
        async def run() -> AsyncIterator[str]:
            for file in world.jobs[job]:
                file["state"] = "running"
                for done in range(3):
                    file |= {"pages_done": done, "pages_total": 2}
                    yield sse("progress", job_json(job), done)
                    await asyncio.sleep(pause)
                if "broken" in file["name"]:
                    file |= {
                        "state": "failed",
                        "error": {"code": "damaged", "message": "The PDF is damaged: save it anew."},
                    }
                else:
                    file |= {
                        "state": "succeeded",
                        "outcome": "indexed",
                        "document_id": world.add(file["name"], 2),
                    }
                yield sse("progress", job_json(job), 9)
            yield sse("done", job_json(job), 10)

        return StreamingResponse(run(), media_type="text/event-stream")

    @app.delete("/api/jobs/{job}")
    def cancel(job: str) -> Any:
        return job_json(job)

    def png(image: Image.Image) -> Response:
        out = io.BytesIO()
        image.save(out, "PNG")
        return Response(out.getvalue(), media_type="image/png")

    @app.get("/api/documents/{document_id}/pages/{page}.png")
    def page_image(document_id: str, page: int, width: int | None = None) -> Response:
        if document_id not in world.documents:
            return problem(404, "There is no such document.")
        image = world.image(document_id, page)
        return png(
            image if width is None else image.resize((width, round(image.height * width / image.width)))
        )

    @app.get("/api/documents/{document_id}/pages/{page}/crop.png")
    def crop(
        document_id: str, page: int, left: int, top: int, right: int, bottom: int, scale: float = 1.0
    ) -> Response:
        image = world.image(document_id, page)
        part = image.crop((left, top, min(right, image.width), min(bottom, image.height)))
        return png(part.resize((round(part.width * scale), round(part.height * scale))))

    @app.get("/api/documents/{document_id}/pages/{page}/heatmap")
    def heatmap(document_id: str, page: int, query: str, token: int | None = None) -> Any:
        rows, cols = 40, 28
        words = query.split()
        boxes = [
            [c * WIDTH // cols, r * HEIGHT // rows, (c + 1) * WIDTH // cols, (r + 1) * HEIGHT // rows]
            for r in range(rows)
            for c in range(cols)
        ]
        spots = [(950, 1015), (270, 318), (240, 620), (960, 740)]
        chosen = spots if token is None else [spots[token % len(spots)]]

        def value(box: list[int]) -> float:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            return max(
                2.718 ** (-(((x - a) / 130) ** 2) - ((y - b) / 60) ** 2) / (1 + 0.5 * i)
                for i, (a, b) in enumerate(chosen)
            )

        tokens = [{"index": i, "text": w, "weight": 1 / len(words)} for i, w in enumerate(words)]
        values = [round(value(box), 4) for box in boxes]
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "score": 12.5,
            "grid": [rows, cols],
            "boxes": boxes,
            "values": values,
            "tokens": tokens,
        }

    @app.post("/api/search")
    async def search(request: Request) -> Any:
        body = await request.json()
        return {"hits": [] if "nothing" in body["query"] else hits(world, body["k"])}

    @app.post("/api/ask")
    async def ask(request: Request) -> Any:
        body = await request.json()
        world.asked.append(body)
        question = body["question"]
        slow = max(pause, 0.15) if "slowly" in question else pause
        stamp = datetime.now(UTC).isoformat()
        session_id = body.get("session_id") or world.id()
        session = world.sessions.setdefault(
            session_id,
            {
                "session_id": session_id,
                "title": question[:80],
                "collection": "default",
                "created": stamp,
                "updated": stamp,
                "turns": [],
            },
        )
        session["updated"] = stamp
        turn = {
            "turn_id": world.id(),
            "question": question,
            "answer": None,
            "status": "interrupted",
            "confidence": None,
            "citations": [],
            "steps": [],
            "asked": stamp,
            "feedback": None,
            "has_image": bool(body.get("image")),
        }
        session["turns"].append(turn)
        end, steps = answer_for(world, question)

        async def run() -> AsyncIterator[str]:
            ids = {"session_id": session_id, "turn_id": turn["turn_id"]}
            try:
                yield sse("started", ids)
                for step in steps:
                    await asyncio.sleep(slow)
                    if "fails" in question and step["action"] != "search":
                        turn["status"] = "failed"
                        detail = "The model ran out of memory: ask again."
                        yield sse(
                            "error",
                            {
                                "status": 503,
                                "title": "x",
                                "detail": detail,
                                "error": {"code": "oom", "message": detail},
                            },
                        )
                        return
                    for letter in step.get("text", ""):
                        await asyncio.sleep(slow / 3)
                        yield sse("delta", {"text": letter, "pages": step["pages"]})
                    turn["steps"].append(step)
                    yield sse("step", step)
                last = {
                    "action": "answer",
                    **{k: end[k] for k in ("status", "confidence", "citations")},
                    "text": end["answer"],
                }
                turn["steps"].append(last)
                turn.update(end)
                yield sse("step", last)
                yield sse("answer", {**end, "steps": turn["steps"], **ids})
                yield sse("done", {})
            except (asyncio.CancelledError, GeneratorExit):
                world.closed_early += 1
                raise

        return StreamingResponse(run(), media_type="text/event-stream")

    def session_json(session: dict[str, Any]) -> dict[str, Any]:
        return {**session, "turns": len(session["turns"])}

    @app.get("/api/sessions")
    def sessions(after: str | None = None) -> Any:
        newest = sorted(world.sessions.values(), key=lambda s: s["updated"], reverse=True)
        found, more = part([session_json(s) for s in newest], "session_id", after)
        return {"sessions": found, "has_more": more}

    @app.get("/api/sessions/{session_id}")
    def session_(session_id: str, before: str | None = None) -> Any:
        if session_id not in world.sessions:
            return problem(404, "There is no such session.")
        session = world.sessions[session_id]
        found, more = part(session["turns"][::-1], "turn_id", before)
        return {"session": session_json(session), "turns": found[::-1], "has_more": more}

    @app.patch("/api/sessions/{session_id}")
    async def rename(session_id: str, request: Request) -> Any:
        world.sessions[session_id]["title"] = (await request.json())["title"]
        return session_json(world.sessions[session_id])

    @app.delete("/api/sessions/{session_id}", status_code=204)
    def drop(session_id: str) -> None:
        del world.sessions[session_id]

    @app.put("/api/turns/{turn_id}/feedback", status_code=204)
    async def rate(turn_id: str, request: Request) -> None:
        world.feedback.append((turn_id, (await request.json())["rating"]))

    return app
