"""Splits clusters that break a constraint: a value that may occur once, or a pair that people keep apart. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Record = int


class Edge(NamedTuple):
    left: Record
    right: Record
    strength: int  # 0 is a person's decision, then the rules in their order


class Groups:
    """Union-find over records."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.parent = {record: record for record in records}

    def root(self, record: Record) -> Record:
        while self.parent[record] != record:
            self.parent[record] = self.parent[self.parent[record]]
            record = self.parent[record]
        return record

    def join(self, left: Record, right: Record) -> Record:
        least, other = sorted((self.root(left), self.root(right)))
        self.parent[other] = least
        return least

    def members(self) -> dict[Record, list[Record]]:
        found: dict[Record, list[Record]] = defaultdict(list)
        for record in self.parent:
            found[self.root(record)].append(record)
        return found


def split_cluster(
    records: Sequence[Record],
    edges: Sequence[Edge],
    attributes: Mapping[str, Mapping[Record, str]],
    cannot_link: Iterable[tuple[Record, Record]] = (),
) -> list[list[Record]]:
    """The parts of one cluster in which each attribute has one value and no cannot-link pair.

    `attributes` is attribute → record → value, the most telling attribute first. A record without a value that would
    join two parts with different values joins neither: which one it belongs to cannot be told. Must-links (strength 0)
    hold whatever the values are; a cannot-link beats everything.
    """
    parts = _apart(list(records), edges, list(attributes.values()))
    forbidden = {frozenset(pair) for pair in cannot_link}
    if not forbidden:
        return parts
    return [piece for part in parts for piece in _keep_apart(part, edges, forbidden)]


def _apart(records: list[Record], edges: Sequence[Edge], attributes: list[Mapping[Record, str]]) -> list[list[Record]]:
    for index, values in enumerate(attributes):
        if len({values[record] for record in records if record in values}) > 1:
            parts = _by_value(records, edges, values)
            return [piece for part in parts for piece in _apart(part, edges, attributes[index + 1 :])]
    return _connected(records, edges)


def _by_value(records: list[Record], edges: Sequence[Edge], values: Mapping[Record, str]) -> list[list[Record]]:
    """Records of one value stay together where they are connected; records without one join if only one value fits."""
    groups = Groups(records)
    inside = [edge for edge in edges if edge.left in groups.parent and edge.right in groups.parent]
    value_of = dict(values)
    for edge in inside:
        if edge.strength == 0:  # decided by a person: one node from here on, with the value of its first record
            value = value_of.get(edge.left, value_of.get(edge.right))
            groups.join(edge.left, edge.right)
            if value is not None:
                value_of[edge.left] = value_of[edge.right] = value
    for edge in inside:
        if (edge.left in value_of) == (edge.right in value_of) and value_of.get(edge.left) == value_of.get(edge.right):
            groups.join(edge.left, edge.right)
    fitting: dict[Record, set[str]] = defaultdict(set)
    bridges: dict[Record, list[Edge]] = defaultdict(list)
    for edge in inside:
        if (edge.left in value_of) != (edge.right in value_of):
            blank, valued = (edge.right, edge.left) if edge.left in value_of else (edge.left, edge.right)
            fitting[groups.root(blank)].add(value_of[valued])
            bridges[groups.root(blank)].append(edge)
    for blank, fits in fitting.items():
        if len(fits) == 1:
            for edge in bridges[blank]:
                groups.join(edge.left, edge.right)
    return list(groups.members().values())


def _connected(records: list[Record], edges: Sequence[Edge]) -> list[list[Record]]:
    groups = Groups(records)
    for edge in edges:
        if edge.left in groups.parent and edge.right in groups.parent:
            groups.join(edge.left, edge.right)
    return list(groups.members().values())


def _keep_apart(records: list[Record], edges: Sequence[Edge], forbidden: set[frozenset[Record]]) -> list[list[Record]]:
    """Join by the strongest edges first, and never two groups that hold a cannot-link pair."""
    groups = Groups(records)
    inside = sorted(e for e in edges if e.left in groups.parent and e.right in groups.parent)
    enemies: dict[Record, set[Record]] = defaultdict(set)
    for left, right in (tuple(pair) for pair in forbidden if len(pair) == 2):
        if left in groups.parent and right in groups.parent:
            enemies[left].add(right)
            enemies[right].add(left)
    for edge in sorted(inside, key=lambda e: (e.strength, e.left, e.right)):
        left, right = groups.root(edge.left), groups.root(edge.right)
        if left == right or any(groups.root(enemy) == right for enemy in enemies[left]):
            continue
        root = groups.join(left, right)
        enemies[root] = enemies[left] | enemies[right]
    return list(groups.members().values())
