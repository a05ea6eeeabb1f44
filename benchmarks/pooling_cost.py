"""What fewer vectors a page cost: nDCG and recall of visual search, and bytes, for every pooling.

    OMP_NUM_THREADS=1 python benchmarks/pooling_cost.py --pages 60 --keep vectors.npz --out pooling.json

Pages and queries are those of `hydra-rag eval --builtin`, the model is `nano` (`--model`). `--keep`: a file
with the vectors, made in the first run and used in the next. Every page is ranked exactly, so that the
figures show pooling alone.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from hydra_rag.maxsim import maxsim_many
from hydra_rag.metrics import ndcg, recall
from hydra_rag.values import MultiVector
from hydra_rag_indexing.pooling import Pooling

NAMES = ("none", *(f"{method}:{factor}" for method in ("hierarchical", "apet") for factor in (2, 3, 4)))


def embed(model_name: str, count: int) -> dict[str, Any]:
    """Vectors and boxes of pages, vectors of queries, and which pages each asks for."""
    from hydra_rag.model import HydraModel
    from hydra_rag_agents.eval_data import open_image, read_pages, read_queries
    from hydra_rag_agents.evaluation import builtin_folder

    made: dict[str, Any] = {}
    with HydraModel.load(model_name) as model, builtin_folder(None, count) as folder:
        pages = read_pages(folder)[:count]
        names = {page.image for page in pages}
        for number, page in enumerate(pages):
            [found] = model.embed_pages([open_image(folder, page.image)])
            made[f"page{number}"], made[f"boxes{number}"] = found.vectors.astype(np.float16), found.boxes
        queries = [q for q in read_queries(folder, names) if q.relevant <= names]
        for number, query in enumerate(queries):
            item: Any = query.query
            if query.image is not None:
                image = open_image(folder, query.image)
                item = {"text": query.query, "image": image} if query.query.strip() else image
            made[f"query{number}"] = model.embed_queries([item])[0].vectors
        made["names"] = np.array([page.image for page in pages])
        made["relevant"] = np.array(["\t".join(sorted(q.relevant)) for q in queries])
        made["model"] = np.array(model.name)
    return made


def measure(data: Any, name: str) -> dict[str, Any]:
    """Figures of one pooling over all pages."""
    pooling, names = Pooling.parse(name), data["names"].tolist()
    began = time.process_time()
    pages = [
        pooling(MultiVector(data[f"page{i}"].astype(np.float32), data[f"boxes{i}"]))
        for i in range(len(names))
    ]
    seconds = time.process_time() - began
    stored = [page.vectors.astype(np.float16) for page in pages]
    gains, recalls = [], []
    for number, relevant in enumerate(data["relevant"].tolist()):
        scores = maxsim_many(data[f"query{number}"], stored)
        found = [names[i] for i in np.argsort(-scores, kind="stable")]
        gains.append(ndcg(found, set(relevant.split("\t")), 5))
        recalls.append(recall(found, set(relevant.split("\t")), 5))
    vectors = float(np.mean([len(page) for page in pages]))
    return {
        "pooling": name,
        "ndcg@5": round(float(np.mean(gains)), 4),
        "ndcg_error": round(float(np.std(gains) / np.sqrt(len(gains))), 4),
        "recall@5": round(float(np.mean(recalls)), 4),
        "vectors_per_page": round(vectors, 1),
        "bytes_per_page": round(vectors * (2 * pages[0].vectors.shape[1] + 16)),
        "pooling_ms_per_page": round(1000 * seconds / len(pages), 1),
        "queries": len(gains),
        "pages": len(pages),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nano")
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.keep and arguments.keep.exists():
        data: Any = np.load(arguments.keep)
    else:
        data = embed(arguments.model, arguments.pages)
        if arguments.keep:
            np.savez(arguments.keep, **data)
    lines = []
    for name in NAMES:
        lines.append(json.dumps(measure(data, name)))
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
