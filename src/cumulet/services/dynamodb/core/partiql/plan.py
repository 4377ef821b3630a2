"""From a WHERE clause to the items that it can be about: one key, some partitions, or all.

As AWS plans it ("PartiQL select statements for DynamoDB"): an equality or IN on the partition key in every branch of
the clause makes queries, anything else a scan. The clause as a whole is the filter of whatever is read, so a plan
decides what is read, never what is answered.
"""

from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from cumulet.services.dynamodb.core.expressions.ast import (
    And,
    Arithmetic,
    Between,
    Comparison,
    Condition,
    Function,
    In,
    Not,
    Operand,
    Or,
    Path,
    ValueRef,
)
from cumulet.services.dynamodb.core.expressions.key_conditions import KeyCondition
from cumulet.services.dynamodb.core.limits import STATEMENT_READS_MAX
from cumulet.services.dynamodb.core.values import Value, invalid

BRANCHES_MAX = 1000
"""Ours: the most branches that are worked out of two conditions that both have to hold."""

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Access(NamedTuple):
    """A partition, and conditions on the sort key that all hold."""

    partition: Value
    sorts: tuple[KeyCondition, ...]


class ReadPlan(NamedTuple):
    """What a SELECT reads."""

    accesses: tuple[Access, ...] | None
    """None is a scan."""
    filtered: bool
    """Whether the clause says more than which keys are read."""


class _Branch(NamedTuple):
    partition: Value | None
    sorts: tuple[KeyCondition, ...]
    negates_sort: bool
    """Whether it says which sort keys it is not about: AWS then does not mind that it overlaps with another."""
    is_only_keys: bool


_ANYTHING = _Branch(None, (), False, False)


def plan_read(
    where: Condition | None,
    values: Mapping[str, Value],
    hash_name: str,
    range_name: str | None,
    reads_max: int = STATEMENT_READS_MAX,
) -> ReadPlan:
    """Return how to read what a WHERE clause can be about. Raises ValidationException for too many reads by key."""
    if where is None:
        return ReadPlan(None, False)
    branches = _Planner(values, hash_name, range_name).branches(where)
    by_partition: dict[tuple[str, str], list[_Branch]] = {}
    for branch in branches:
        if branch.partition is None:
            return ReadPlan(None, True)
        ((kind, content),) = branch.partition.items()
        by_partition.setdefault((kind, str(content)), []).append(branch)
    accesses: list[Access] = []
    filtered = not all(branch.is_only_keys for branch in branches)
    for same in by_partition.values():
        partition = same[0].partition or {}
        if len(same) > 1 and any(branch.negates_sort for branch in same):
            accesses.append(Access(partition, ()))
        else:
            accesses += [Access(partition, branch.sorts) for branch in same]
    if len(accesses) > reads_max:
        _too_many_reads()
    return ReadPlan(tuple(accesses), filtered)


def _too_many_reads() -> NoReturn:
    invalid("Too many decomposed read operations for a given query.")  # DynamoDB Local's words


class KeyPlan(NamedTuple):
    """The one item that a clause is about, and what else it says of it."""

    key: dict[str, Value]
    rest: Condition | None


def plan_key(where: Condition | None, values: Mapping[str, Value], key_names: tuple[str, ...]) -> KeyPlan | None:
    """Return the item whose every key attribute the clause gives, or None if it does not give all of them."""
    if where is None:
        return None
    key: dict[str, Value] = {}
    rest: Condition | None = None
    for node in _conjuncts(where):
        found = _equality(node)
        if found is not None and found[0] in key_names and found[0] not in key:
            key[found[0]] = values[found[1].name]
        else:
            rest = node if rest is None else And(rest, node)
    return KeyPlan(key, rest) if len(key) == len(key_names) else None


def _conjuncts(where: Condition) -> list[Condition]:
    """Return the conditions that all have to hold, from left to right."""
    found: list[Condition] = []
    waiting = [where]
    while waiting:
        node = waiting.pop()
        if isinstance(node, And):
            waiting += (node.right, node.left)
        else:
            found.append(node)
    return found


def _equality(node: Condition) -> tuple[str, ValueRef] | None:
    if not isinstance(node, Comparison) or node.operator != "=":
        return None
    for path, ref in ((node.left, node.right), (node.right, node.left)):
        if isinstance(path, Path) and len(path.elements) == 1 and isinstance(ref, ValueRef):
            return str(path.elements[0]), ref
    return None


class _Planner:
    """Finds the branches of one clause."""

    def __init__(self, values: Mapping[str, Value], hash_name: str, range_name: str | None) -> None:
        self._values = values
        self._hash_name = hash_name
        self._range_name = range_name

    def branches(self, node: Condition) -> list[_Branch]:
        """Return branches of which at least one holds where the condition does."""
        if isinstance(node, And):
            return self._both(self.branches(node.left), self.branches(node.right))
        if isinstance(node, Or):
            either = self.branches(node.left) + self.branches(node.right)
            return either if any(branch != _ANYTHING for branch in either) else [_ANYTHING]
        if isinstance(node, Comparison):
            return self._comparison(node)
        if isinstance(node, In):
            return self._in(node)
        if isinstance(node, Between):
            if self._is_sort(node.operand) and isinstance(node.low, ValueRef) and isinstance(node.high, ValueRef):
                return [self._sort("BETWEEN", node.low, node.high)]
        elif isinstance(node, Function):
            if node.name == "begins_with" and len(node.operands) == 2 and self._is_sort(node.operands[0]):
                prefix = node.operands[1]
                if isinstance(prefix, ValueRef) and not self._values[prefix.name].keys().isdisjoint(("S", "B")):
                    return [self._sort("begins_with", prefix)]
        elif isinstance(node, Not) and self._mentions_sort(node.condition):
            return [_ANYTHING._replace(negates_sort=True)]
        return [_ANYTHING]

    @staticmethod
    def _both(left: list[_Branch], right: list[_Branch]) -> list[_Branch]:
        if len(left) * len(right) > BRANCHES_MAX:
            if any(all(one.partition is not None for one in side) for side in (left, right)):
                _too_many_reads()
            return [_ANYTHING]
        return [
            _Branch(
                one.partition if one.partition is not None else other.partition,
                one.sorts + other.sorts,
                one.negates_sort or other.negates_sort,
                one.is_only_keys and other.is_only_keys,
            )
            for one in left
            for other in right
            # Two partitions at once: no item is in that branch.
            if one.partition is None or other.partition is None or one.partition == other.partition
        ]

    def _comparison(self, node: Comparison) -> list[_Branch]:
        path, ref, operator = node.left, node.right, node.operator
        if isinstance(path, ValueRef):
            path, ref, operator = ref, path, _MIRRORED.get(operator, operator)
        if isinstance(ref, ValueRef):
            if operator == "=" and self._is(path, self._hash_name):
                return [_Branch(self._values[ref.name], (), False, True)]
            if self._is_sort(path):
                return [_ANYTHING._replace(negates_sort=True)] if operator == "<>" else [self._sort(operator, ref)]
        return [_ANYTHING]

    def _in(self, node: In) -> list[_Branch]:
        refs = [option for option in node.options if isinstance(option, ValueRef)]
        if len(refs) == len(node.options):
            if self._is(node.operand, self._hash_name):
                return [_Branch(self._values[ref.name], (), False, True) for ref in refs]
            if self._is_sort(node.operand):
                return [self._sort("=", ref) for ref in refs]
        return [_ANYTHING]

    def _sort(self, operator: str, *refs: ValueRef) -> _Branch:
        values = tuple([self._values[ref.name] for ref in refs])
        return _Branch(None, (KeyCondition(operator, values),), False, True)

    def _is(self, node: Operand, name: str) -> bool:
        return isinstance(node, Path) and node.elements == (name,)

    def _is_sort(self, node: Operand) -> bool:
        return self._range_name is not None and self._is(node, self._range_name)

    def _mentions_sort(self, node: Condition | Operand) -> bool:
        if isinstance(node, Path):
            return self._is_sort(node)
        if isinstance(node, (And, Or, Comparison, Arithmetic)):
            return self._mentions_sort(node.left) or self._mentions_sort(node.right)
        if isinstance(node, Not):
            return self._mentions_sort(node.condition)
        if isinstance(node, (Between, In)):
            return self._mentions_sort(node.operand)
        return isinstance(node, Function) and any(map(self._mentions_sort, node.operands))
