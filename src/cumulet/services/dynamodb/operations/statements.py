"""PartiQL statements as item operations: what the three operations that take statements share.

A statement becomes the same `ItemWrite` that PutItem, UpdateItem and DeleteItem make, or a read of some ranges of keys.
Nothing here evaluates anything of its own: conditions and updates are the trees of expressions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from cumulet.errors import NotImplementedHere, ServiceError
from cumulet.services.dynamodb.core.expressions.ast import Condition
from cumulet.services.dynamodb.core.expressions.ast import Update as Actions
from cumulet.services.dynamodb.core.expressions.conditions import Test, bind_condition_tree
from cumulet.services.dynamodb.core.expressions.placeholders import Placeholders
from cumulet.services.dynamodb.core.expressions.updates import bind_update_tree
from cumulet.services.dynamodb.core.limits import ITEM_BYTES_MAX
from cumulet.services.dynamodb.core.partiql.ast import Delete, Exists, Insert, Select, Statement, Update
from cumulet.services.dynamodb.core.partiql.grammar import parse_statement
from cumulet.services.dynamodb.core.partiql.plan import KeyPlan, plan_key
from cumulet.services.dynamodb.core.partiql.values import bind_values, check_count, resolve
from cumulet.services.dynamodb.core.values import Value, canonical_item, canonical_value, invalid
from cumulet.services.dynamodb.operations.item_writes import ItemWrite, Outcome, locate_write, perform_write
from cumulet.services.dynamodb.operations.update_item import returned_attributes
from cumulet.services.dynamodb.tables import OpenTable, open_table
from cumulet.services.kit import Call, Params
from cumulet.store.api import WriteTx

RETURN_VALUES = {
    "ALL OLD": "ALL_OLD",
    "ALL NEW": "ALL_NEW",
    "MODIFIED OLD": "UPDATED_OLD",
    "MODIFIED NEW": "UPDATED_NEW",
}
_IGNORED = "WHERE"
"""What binding calls the clause; statements' errors do not name it."""

Write: TypeAlias = Insert | Update | Delete | Exists


class Prepared(NamedTuple):
    """A statement with its parameters."""

    text: str
    statement: Statement
    values: Mapping[str, Value]
    parameters: Sequence[Value]

    @property
    def select(self) -> Select | None:
        """The statement if it reads."""
        return self.statement if isinstance(self.statement, Select) else None

    @property
    def table_name(self) -> str:
        """The table that the statement names."""
        return table_of(self.statement)


def table_of(statement: Statement) -> str:
    """Return the table that a statement names."""
    return statement.select.table if isinstance(statement, Exists) else statement.table


def read_parameters(given: Sequence[Any] | None) -> list[Value]:
    """Return the parameters of a statement in canonical form. Raises ValidationException for bad values."""
    return [canonical_value(value)[0] for value in given or ()]


def prepare(text: str, parameters: Sequence[Value]) -> Prepared:
    """Return the statement with its parameters in place. Raises ValidationException for what is none."""
    statement = parse_statement(text)
    values = statement.select.values if isinstance(statement, Exists) else statement.values
    return Prepared(text, statement, bind_values(values, parameters), parameters)


def prepare_alone(text: str, parameters: Sequence[Value]) -> Prepared:
    """Return a statement that is not part of a transaction. Raises ValidationException for one that only can be."""
    prepared = prepare(text, parameters)
    if isinstance(prepared.statement, Exists):
        invalid("EXISTS can only be used in ExecuteTransaction write requests.")  # DynamoDB Local's words
    return prepared


# --- conditions and keys


def bind_where(where: Condition | None, values: Mapping[str, Value]) -> tuple[Test | None, set[str]]:
    """Return a condition as a test, or None for none, and the attributes that it mentions.

    Raises ValidationException where its operands do not fit.
    """
    if where is None:
        return None, set()
    try:
        return bind_condition_tree(where, _IGNORED, Placeholders.of_canonical(values))
    except ServiceError as error:
        raise ServiceError(error.code, error.message.removeprefix(f"Invalid {_IGNORED}: ")) from None


def find_key(table: OpenTable, where: Condition | None, values: Mapping[str, Value]) -> KeyPlan | None:
    """Return the one item that a clause names, or None. Raises if a value has another type than the key."""
    plan = plan_key(where, values, table.key_names)
    if plan is not None:
        for name, value in plan.key.items():
            check_kind(table.record.attributes[name], value)
    return plan


def check_kind(kind: str, value: Value) -> None:
    """Raise ValidationException unless a key has its type."""
    if kind not in value:
        invalid("Key attribute's data type should match its data type in table's schema")


# --- writes


def bind_write(table: OpenTable, prepared: Prepared, params: Params) -> ItemWrite:
    """Return the write that a statement asks for; `params` are the statement's request."""
    statement = prepared.statement
    if isinstance(statement, Insert):
        check_count(statement.values, prepared.parameters)
        given = resolve(statement.item, prepared.parameters)
        if "M" not in given:
            invalid("Unsupported data type: the item of an INSERT is a map")
        item, size = canonical_item(given["M"])
        if size > ITEM_BYTES_MAX:
            invalid("Item size has exceeded the maximum allowed size")
        return ItemWrite("Put", params, item, size, _is_new)
    if isinstance(statement, Exists):
        where, kind = statement.select.where, "ConditionCheck"
    elif isinstance(statement, (Update, Delete)):
        where, kind = statement.where, type(statement).__name__
    else:
        raise NotImplementedHere("A SELECT among writes")
    bind_where(where, prepared.values)
    plan = find_key(table, where, prepared.values)
    if plan is None:
        invalid("Where clause does not contain a mandatory equality on all key attributes")
    key, size = canonical_item(plan.key)
    rest, _ = bind_where(plan.rest, prepared.values)
    if isinstance(statement, Delete):
        # What is not there is no failure, whatever else the clause says of it.
        return ItemWrite(kind, params, key, size, None if rest is None else lambda item: not item or rest(item))
    update = None
    if isinstance(statement, Update):
        update = bind_update_tree(Actions(statement.actions), Placeholders.of_canonical(prepared.values))
    return ItemWrite(kind, params, key, size, lambda item: bool(item) and (rest is None or rest(item)), update)


def _is_new(stored: Mapping[str, Value]) -> bool:
    if stored:
        raise ServiceError("DuplicateItemException", "Duplicate primary key exists in table")
    return True


class Done(NamedTuple):
    """A write that was done."""

    outcome: Outcome
    returned: object | None
    """What RETURNING asked for, if there is something."""


def perform_statement(tx: WriteTx, call: Call, prepared: Prepared, params: Params) -> Done:
    """Do the write of a statement. Raises DuplicateItemException where an INSERT finds an item."""
    try:
        table = open_table(tx, call, prepared.table_name)
    except ServiceError:
        if isinstance(prepared.statement, (Update, Delete)):
            # What does not fit in the clause is told before its table is looked for.
            bind_where(prepared.statement.where, prepared.values)
        raise
    write = bind_write(table, prepared, params)
    outcome = perform_write(tx, call, table, write, locate_write(table, write), wants_old=True)
    returning = prepared.statement.returning if isinstance(prepared.statement, (Update, Delete)) else None
    wanted = None if returning is None else RETURN_VALUES[returning]
    return Done(outcome, returned_attributes(wanted, write.update, outcome))
