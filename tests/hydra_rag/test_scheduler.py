"""Who gets the device when; what one request can do to another (nothing)."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hydra_rag.errors import CancelledError, HydraError, ModelError
from hydra_rag.model import HydraModel
from hydra_rag.scheduler import Job, Scheduler, in_turn
from hydra_rag.vision import VisionCache, compute, encoder_outputs

from .conftest import ask, noise


def test_results_errors_and_context() -> None:
    scheduler = Scheduler()
    name = contextvars.ContextVar("name", default="nobody")

    def steps() -> Generator[None, None, tuple[str, str]]:
        first = name.get()
        name.set("changed inside")
        yield
        return first, name.get()

    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("mine")

    name.set("caller")
    assert scheduler.run("chat", steps) == ("caller", "changed inside")
    assert name.get() == "caller"
    with pytest.raises(ValueError, match="mine"):
        scheduler.run("bulk", failing)
    assert scheduler.run("bulk", steps)[0] == "caller"
    scheduler.close()
    scheduler.close()
    with pytest.raises(ModelError):
        scheduler.run("chat", steps)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_chat_goes_first_and_bulk_gets_its_share(share: float) -> None:
    scheduler = Scheduler(bulk_share=share)
    order: list[str] = []
    start = threading.Event()

    def gate() -> Generator[None, None, None]:
        start.wait()
        yield

    def work(name: str, count: int) -> Generator[bool, None, None]:
        for _ in range(count):
            order.append(name)
            time.sleep(0.002)
            yield True

    held = scheduler.submit("chat", gate)
    jobs = [
        scheduler.submit("bulk", lambda: work("bulk", 20)),
        scheduler.submit("chat", lambda: work("chat", 20)),
    ]
    start.set()
    for job in (held, *jobs):
        job.result()
    scheduler.close()
    assert order.count("bulk") == order.count("chat") == 20
    until = order[: len(order) - order[::-1].index("chat")]
    if share:
        assert 2 <= until.count("bulk") < until.count("chat")
    else:
        assert "bulk" not in until


def test_chat_runs_between_the_layers_of_a_bulk_slice() -> None:
    scheduler = Scheduler()
    seen: list[str] = []
    chat_ready = threading.Event()

    def chat() -> Generator[None, None, None]:
        seen.append("chat")
        yield

    def bulk() -> Generator[None, None, None]:
        seen.append("bulk starts")
        chat_ready.wait()
        scheduler.poll()  # what a layer's hook does
        seen.append("bulk ends")
        yield

    slow = scheduler.submit("bulk", bulk)
    while not seen:
        time.sleep(0.001)
    quick = scheduler.submit("chat", chat)
    chat_ready.set()
    quick.result()
    slow.result()
    scheduler.close()
    assert seen == ["bulk starts", "chat", "bulk ends"]


def test_cancel_reaches_a_running_slice() -> None:
    scheduler = Scheduler()
    running, closed = threading.Event(), threading.Event()

    def endless() -> Generator[None, None, None]:
        try:
            running.set()
            while True:
                scheduler.poll()
        finally:
            closed.set()
        yield

    job = scheduler.submit("bulk", endless)
    assert running.wait(5)
    job.cancel()
    with pytest.raises(CancelledError):
        job.result()
    assert closed.is_set()
    scheduler.close()


def test_a_job_may_submit_a_job() -> None:
    scheduler = Scheduler()

    def inner() -> Generator[None, None, int]:
        yield
        return 20

    def outer() -> Generator[None, None, int]:
        yield
        return scheduler.run("bulk", inner) + 1

    assert scheduler.run("chat", outer) == 21
    scheduler.close()


def test_jobs_are_made_while_the_last_ones_run() -> None:
    scheduler = Scheduler()
    made: list[int] = []
    told: list[int] = []

    def jobs() -> Iterator[tuple[int, Job[int]]]:
        for number in range(6):
            made.append(number)

            def steps(number: int = number) -> Generator[None, None, int]:
                yield
                return number * number

            yield number, scheduler.submit("bulk", steps)

    for name, square in in_turn(jobs()):
        assert square == name * name
        told.append(name)
        assert len(made) == min(6, len(told) + 1), "one runs while the caller looks at another"
    assert told == made == list(range(6))
    scheduler.close()


def test_what_is_under_way_ends_with_the_job_that_failed() -> None:
    scheduler = Scheduler()
    begun, closed = threading.Event(), threading.Event()
    behind: list[Job[None]] = []

    def failing() -> Generator[None, None, None]:
        begun.wait()
        raise ValueError("mine")
        yield

    def waiting() -> Generator[None, None, None]:
        while True:
            yield

    def jobs() -> Iterator[tuple[str, Job[None]]]:
        try:
            yield "fails", scheduler.submit("bulk", failing)
            behind.append(scheduler.submit("bulk", waiting))
            begun.set()
            yield "waits", behind[0]
            pytest.fail("no job is made after one that failed")
        finally:
            closed.set()

    with pytest.raises(ValueError, match="mine"):
        list(in_turn(jobs()))
    assert closed.is_set()
    with pytest.raises(CancelledError):
        behind[0].result()
    scheduler.close()


def test_close_ends_waiting_requests(folders: dict[str, Path]) -> None:
    model = HydraModel.load(str(folders["qwen3_vl"]), device="cpu")
    stream = model.stream(ask(text="hello"), max_new_tokens=100000, eos_token_id=999999)
    next(stream)
    model.close()
    with pytest.raises(CancelledError):
        list(stream)
    with pytest.raises(HydraError):
        model.generate(ask(text="hello"))


def test_a_dropped_model_stops_its_thread(folders: dict[str, Path]) -> None:
    model = HydraModel.load(str(folders["qwen3_vl"]), device="cpu")
    model.embed_queries(["x"])
    thread = model.scheduler._thread
    assert thread is not None
    del model
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_many_threads_get_their_own_results(engine: HydraModel) -> None:
    pages = [noise(100 + 10 * i, 90, i) for i in range(4)]
    wanted = [engine.embed_pages([page])[0].vectors for page in pages]
    answers = [engine.generate(ask(page), max_new_tokens=5).token_ids for page in pages]
    problems: list[str] = []

    def worker(index: int) -> None:
        for _ in range(3):
            if not np.array_equal(engine.embed_pages([pages[index]])[0].vectors, wanted[index]):
                problems.append(f"vectors {index}")
            if engine.generate(ask(pages[index]), max_new_tokens=5).token_ids != answers[index]:
                problems.append(f"answer {index}")

    threads = [threading.Thread(target=worker, args=(i,)) for i in range(len(pages))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_vision_features_are_computed_once(engine: HydraModel) -> None:
    page = noise(133, 99, 77)
    engine.vision.clear()
    misses = engine.vision.misses
    budget = engine.processor.answer_tokens
    engine.embed_pages([page], max_tokens=budget)
    engine.generate(ask(page), max_new_tokens=2)
    engine.attend(ask(page))
    engine.embed_queries([page], max_tokens=budget)
    assert engine.vision.misses == misses + 1


def test_vision_cache_is_bounded_and_exact(engine: HydraModel, tmp_path: Path) -> None:
    images = [engine.processor.image(noise(120, 90, i)) for i in range(5)]
    direct = [compute(engine.base_model, [image], engine.device)[0] for image in images]
    one = direct[0].nbytes
    cache = VisionCache("tower", memory_bytes=2 * one, folder=tmp_path, disk_bytes=3 * (one + 400))
    for _ in range(2):
        for image, wanted in zip(images, direct, strict=True):
            got = cache.features(engine.base_model, [image], engine.device)[0]
            assert torch.equal(got.pooled, wanted.pooled)
            assert all(torch.equal(a, b) for a, b in zip(got.deep, wanted.deep, strict=True))
            assert cache.nbytes <= 2 * one
    files = list((tmp_path / "tower").iterdir())
    assert 1 <= len(files) <= 3
    again = VisionCache("tower", folder=tmp_path)
    again.features(engine.base_model, [images[-1]], engine.device)
    assert (again.hits, again.misses) == (1, 0)
    for file in files:
        file.write_bytes(b"broken")
    fresh = VisionCache("tower", folder=tmp_path)
    assert torch.equal(
        fresh.features(engine.base_model, [images[-1]], engine.device)[0].pooled, direct[-1].pooled
    )
    assert fresh.misses == 1


def test_cached_features_give_the_same_logits(engine: HydraModel) -> None:
    prompt = engine.processor.chat(ask(noise(90, 120), noise(140, 70, 1)))
    features = compute(engine.base_model, prompt.images, engine.device)
    with torch.no_grad():
        plain = engine.base_model(**prompt.tensors()).logits
        inputs = prompt.tensors(pixels=False)
        cached = engine.base_model(**inputs, mm_encoder_outputs=encoder_outputs(features)).logits
    assert torch.equal(plain, cached)
