"""Clusters are split so that no constraint is broken, whatever the edges are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dunning_pipeline.identity.constraints import Edge, split_cluster
from dunning_pipeline.identity.stable_ids import settle

RECORDS = list(range(8))
EDGES = st.lists(st.builds(Edge, st.sampled_from(RECORDS), st.sampled_from(RECORDS), st.integers(1, 3)), max_size=16)
VALUES = st.dictionaries(st.sampled_from(RECORDS), st.sampled_from("xy"), max_size=5)
PAIRS = st.lists(st.tuples(st.sampled_from(RECORDS), st.sampled_from(RECORDS)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(edges=EDGES, tax=VALUES, form=VALUES, apart=PAIRS)
def test_no_part_breaks_a_constraint_and_no_record_is_lost(edges, tax, form, apart) -> None:
    parts = split_cluster(RECORDS, edges, {"tax_id": tax, "legal_form": form}, apart)

    assert sorted(record for part in parts for record in part) == RECORDS
    for part in parts:
        assert len({tax[r] for r in part if r in tax}) <= 1
        assert len({form[r] for r in part if r in form}) <= 1
        assert not any(left != right and left in part and right in part for left, right in apart)


def test_a_chain_of_blanks_between_two_values_joins_neither() -> None:
    edges = [Edge(1, 2, 1), Edge(2, 3, 1), Edge(3, 4, 1)]
    assert sorted(map(sorted, split_cluster([1, 2, 3, 4], edges, {"tax_id": {1: "x", 4: "y"}}))) == [[1], [2, 3], [4]]


def test_a_person_s_must_link_holds_against_two_values() -> None:
    parts = split_cluster([1, 2, 3], [Edge(1, 2, 0), Edge(2, 3, 1)], {"tax_id": {1: "x", 2: "y", 3: "z"}})
    assert sorted(map(sorted, parts)) == [[1, 2], [3]]


def test_ids_go_to_the_largest_overlap_but_open_cases_first() -> None:
    assert settle([(1, "A", 5), (1, "B", 2), (2, "A", 1)]) == {1: "A"}
    assert settle([(1, "A", 5), (1, "B", 2), (2, "A", 1)], pinned={"B"}) == {1: "B", 2: "A"}
    assert settle([(1, "B", 2), (1, "A", 2)]) == {1: "A"}
