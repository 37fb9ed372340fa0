"""The trained model suggests and never merges; what its suggestions would be worth on the real sets, if all were accepted."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from pathlib import Path

import pytest

from dunning_pipeline.identity import resolve
from dunning_pipeline.identity.constraints import Groups
from dunning_pipeline.identity.rulesets import Probabilistic
from dunning_pipeline.identity.scoring import THRESHOLD
from tests.identity.conftest import NOW, ROOT, Parties
from tests.identity.test_real_data import load_fake_1000, load_febrl, precision_and_recall

pytest.importorskip("splink")

# (probability from which pairs are accepted, least precision, least recall); 0.3 and 0.7 show that THRESHOLD stands on no edge
FLOORS = {
    "febrl_dataset1.csv": [(THRESHOLD, 1.0, 0.998), (0.3, 1.0, 0.998), (0.7, 1.0, 0.996)],
    "splink_fake_1000.csv": [(THRESHOLD, 1.0, 0.95), (0.3, 1.0, 0.95), (0.7, 1.0, 0.94)],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOORS)
def test_accepted_suggestions_on_real_people(parties: Parties, shared_data: Path, name: str) -> None:
    load = load_febrl if "febrl" in name else load_fake_1000
    truth = load(parties, shared_data / "identity" / name)
    model = Probabilistic(model=str(ROOT / "policies" / "identity" / "individuals.splink.json"), threshold=0.3)
    rules = parties.rulesets | {
        "individual": parties.rulesets["individual"].model_copy(update={"probabilistic": model})
    }

    resolve(parties.con, None, run_id="r", now=NOW, rulesets=rules, processes=1, keep_work=True)

    assert precision_and_recall(parties.profiles(), truth)[0] == 1.0, "nothing merges by the model"
    assert parties.rows("select count(*) from identity.suggestions where rule = 'splink'")[0][0] > 0
    pairs = parties.rows(
        "select l.record_key, r.record_key, s.probability from identity_work.individual_scored as s"
        " join identity_work.individual_records as l on l.record_id = s.left_id"
        " join identity_work.individual_records as r on r.record_id = s.right_id"
    )
    for threshold, least_precision, least_recall in FLOORS[name]:
        groups = Groups(truth)
        for profile in parties.profiles():
            for other in profile[1:]:
                groups.join(profile[0], other)
        for left, right, probability in pairs:
            if probability >= threshold:
                groups.join(left.removeprefix("crm:"), right.removeprefix("crm:"))
        precision, recall = precision_and_recall(list(groups.members().values()), truth)
        assert precision >= least_precision, threshold
        assert recall >= least_recall, threshold
