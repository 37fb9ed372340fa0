"""Letters: e-mails rendered per second and core, and PDFs against bare typst doing the same letter.

python -m benchmarks.letters [--seconds 3]: CPU time of one process, so that other load hardly matters; medians of five
rounds; exit code 1 below a floor.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import typst

from dunning_pipeline.letters import pdf
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.compiling import compile_template
from dunning_pipeline.letters.paper.letter_data import letter_data
from dunning_pipeline.letters.rendering import letter_wording, render_email
from dunning_pipeline.letters.samples import sample_document
from dunning_pipeline.settings.workspace import Workspace

FLOOR_EMAILS, FLOOR_PDF_SHARE = 10_000, 0.90
ROUNDS = 5


def per_second(work: Callable[[int], object], seconds: float) -> float:
    """Calls per second of process CPU time; the argument counts the calls, so that no two are alike."""
    work(0)
    done, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        for _ in range(20):
            done += 1
            work(done)
    return done / (time.process_time() - started)


def measure(seconds: float) -> dict[str, float]:
    workspace = Workspace(Path(__file__).parents[1])
    catalogue = Catalogue(workspace)
    email = compile_template(catalogue.find("friendly_reminder", "email", "de"))
    letter = compile_template(catalogue.find("friendly_reminder", "letter", "de"))
    sample = sample_document(catalogue.root, "friendly_reminder", "de")
    labels, layout = letter.compiled["labels"], letter.compiled["layout"]

    def document(number: int) -> dict[str, object]:
        statement = {**sample["statement"], "number": f"D-2025-{number:06d}"}
        return {**sample, "statement": statement, "account": {**sample["account"], "name": f"Customer {number}"}}

    bare_data = letter_data(sample, wording=letter_wording(letter, sample), labels=labels, logo=None, draft=False)
    compiler = typst.Compiler(input=pdf._root(layout) / "letter.typ", root=pdf._root(layout), font_paths=pdf._fonts())

    def bare(number: int) -> object:
        data = {**bare_data, "title": f"D-2025-{number:06d}", "company": {"name": f"Customer {number}"}}
        return compiler.compile(
            format="pdf", sys_inputs={"data": orjson.dumps(data).decode()}, pdf_standards=[pdf.STANDARD], timestamp=0
        )

    rounds: dict[str, list[float]] = {"emails": [], "pdfs": [], "bare_typst": []}
    for _ in range(ROUNDS):
        rounds["emails"].append(per_second(lambda n: render_email(email, document(n)), seconds / ROUNDS))
        rounds["bare_typst"].append(per_second(bare, seconds))
        rounds["pdfs"].append(per_second(lambda n: pdf.render_pdf(document(n), version=letter), seconds))
    return {name: statistics.median(values) for name, values in rounds.items()}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0, help="CPU seconds per round")
    figures = measure(parser.parse_args().seconds)
    share = figures["pdfs"] / figures["bare_typst"]
    print(json.dumps({**{name: round(value) for name, value in figures.items()}, "pdf_share": round(share, 3)}))
    print(f"e-mails      {figures['emails']:>9,.0f} per second and core   floor {FLOOR_EMAILS:,}")
    print(f"PDF/A-3b     {figures['pdfs']:>9,.0f} per second and core   bare typst {figures['bare_typst']:,.0f}")
    print(f"share        {share:>9.0%} of bare typst              floor {FLOOR_PDF_SHARE:.0%}")
    return 0 if figures["emails"] >= FLOOR_EMAILS and share >= FLOOR_PDF_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
