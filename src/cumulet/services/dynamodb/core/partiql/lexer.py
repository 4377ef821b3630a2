"""Statement text to tokens, in one linear pass.

Source: the PartiQL reference of DynamoDB's developer guide. Keywords have no case; names in double quotes are never
keywords; `--` and `/* */` are comments.
"""

import re
from typing import NamedTuple, NoReturn

from cumulet.services.dynamodb.core.values import invalid

_TOKEN = re.compile(
    r"""(?:[ \t\r\n\f\v]+ | --[^\n]* | /\*(?:[^*]|\*(?!/))*\*/)*(?:
        (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_$]))
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<symbol><<|>>|<>|<=|>=|!=|\|\||/(?!\*)|[=<>()\[\]{},.:;*+\-%?])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

# What PartiQL reserves: SQL-92's words, less the parts of a date, and its own.
_KEYWORDS = """
absolute action add all allocate alter and any are as asc assertion at authorization avg begin between bit bit_length by
cascade cascaded case cast catalog char char_length character character_length check close coalesce collate collation
column commit connect connection constraint constraints continue convert corresponding count create cross current
current_date current_time current_timestamp current_user cursor date deallocate dec decimal declare default deferrable
deferred delete desc describe descriptor diagnostics disconnect distinct domain double drop else end escape except
exception exec execute exists external extract false fetch first float for foreign found from full get global go goto
grant group having identity immediate in index indicator initially inner input insensitive insert int integer intersect
interval into is isolation join key language last left level like limit local lower match max min missing module names
national natural nchar next no not null nullif numeric octet_length of on only open option or order outer output
overlaps pad partial pivot position precision prepare preserve primary prior privileges procedure public read real
references relative remove restrict returning revoke right rollback rows schema scroll section select session
session_user set size smallint some space sql sqlcode sqlerror sqlstate substring sum system_user table temporary then
time timestamp to transaction translate translation trim true tuple union unique unknown unpivot update upper usage user
using value values varchar varying view when whenever where with work write zone
"""
KEYWORDS = frozenset(_KEYWORDS.split())


class Token(NamedTuple):
    """One token: "name", "keyword", "number", "text", "quoted", "symbol" or "end".

    `value` is what it stands for: a keyword in capitals, a text or quoted name without its quotes.
    """

    kind: str
    value: str
    start: int
    end: int


def tokenize(statement: str) -> list[Token]:
    """Return the tokens; the last one, and only that, is of kind "end". Raises ValidationException for what is none."""
    tokens: list[Token] = []
    at = 0
    while True:
        match = _TOKEN.match(statement, at)
        if match is None:
            not_well_formed("")
        kind = match.lastgroup or "end"
        value, start, at = match[kind], match.start(kind), match.end(kind)
        if kind == "name" and value.lower() in KEYWORDS:
            kind, value = "keyword", value.upper()
        elif kind == "text":
            value = value[1:-1].replace("''", "'")
        elif kind == "quoted":
            value = value[1:-1].replace('""', '"')
        tokens.append(Token(kind, value, start, at))
        if kind == "end":
            return tokens


def position(statement: str, token: Token) -> str:
    """Return where a token lies, as AWS writes it: line:column:length, counted from 1."""
    line_start = statement.rfind("\n", 0, token.start) + 1
    line = statement.count("\n", 0, token.start) + 1
    return f"{line}:{token.start - line_start + 1}:{token.end - token.start}"


def not_well_formed(detail: str) -> NoReturn:
    """Raise what AWS says of a text that is no statement."""
    invalid(f"Statement wasn't well formed, can't be processed: {detail}")
