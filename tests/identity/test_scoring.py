"""The trained model suggests and never merges; if people accepted it all, the real sets would come out right."""

from pathlib import Path

import pytest

from dunning_pipeline.identity import resolve
from dunning_pipeline.identity.constraints import Groups
from dunning_pipeline.identity.rulesets import Probabilistic
from dunning_pipeline.identity.scoring import THRESHOLD
from tests.identity.conftest import NOW, ROOT, Parties
from tests.identity.test_real_data import load_fake_1000, load_febrl, precision_and_recall

pytest.importorskip("splink")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least_recall"), [("febrl_dataset1.csv", 0.96), ("splink_fake_1000.csv", 0.742)])
def test_accepted_suggestions_on_real_people(
    parties: Parties, shared_data: Path, name: str, least_recall: float
) -> None:
    load = load_febrl if "febrl" in name else load_fake_1000
    truth = load(parties, shared_data / "identity" / name)
    model = Probabilistic(model=str(ROOT / "policies" / "identity" / "individuals.splink.json"), threshold=THRESHOLD)
    rules = parties.rulesets | {
        "individual": parties.rulesets["individual"].model_copy(update={"probabilistic": model})
    }

    resolve(parties.con, None, run_id="r", now=NOW, rulesets=rules, processes=1)

    assert precision_and_recall(parties.profiles(), truth)[0] == 1.0, "nothing merges by the model"
    groups = Groups(truth)
    for profile in parties.profiles():
        for other in profile[1:]:
            groups.join(profile[0], other)
    for left, right in parties.rows("select left_record, right_record from identity.suggestions where rule = 'splink'"):
        groups.join(left.removeprefix("crm:"), right.removeprefix("crm:"))
    precision, recall = precision_and_recall(list(groups.members().values()), truth)
    assert precision >= 0.999
    assert recall >= least_recall
