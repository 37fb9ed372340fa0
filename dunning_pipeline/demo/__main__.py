"""`python -m dunning_pipeline.demo DIR [DATE] [SEED]`: writes only the demo's inbox, without running anything on it."""

import sys
from datetime import date
from pathlib import Path

from dunning_pipeline.demo.inbox import write_inbox

if __name__ == "__main__":
    folder, day, seed = (*sys.argv[1:], *("inbox", "2025-11-03", "7")[len(sys.argv) - 1 :])
    write_inbox(Path(folder), today=date.fromisoformat(day), seed=int(seed))
