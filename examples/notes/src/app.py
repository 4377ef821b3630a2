"""The HTTP side of the notes: from an API Gateway event to a note operation, and back to JSON."""

import base64
import binascii
import json
from typing import Any

import notes

TITLE_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 10_000
LIST_MAX = 100

Event = dict[str, Any]
Response = dict[str, Any]


class Problem(Exception):
    """A request that gets an error as its answer."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


def handler(event: Event, context: Any) -> Response:
    """Answer one request."""
    try:
        methods = ROUTES.get(event["resource"])
        if methods is None:
            raise Problem(404, f"there is nothing at {event['path']}")
        operation = methods.get(event["httpMethod"])
        if operation is None:
            raise Problem(405, f"{event['httpMethod']} is not possible here", Allow=", ".join(sorted(methods)))
        return operation(event)
    except Problem as problem:
        return respond(problem.status, {"message": problem.message}, **problem.headers)
    except notes.NoteNotFound as missing:
        return respond(404, {"message": f"there is no note {missing}"})
    except notes.NoteChanged as changed:
        return respond(412, {"message": f"the note is at version {changed.version} by now"})


def list_notes(event: Event) -> Response:
    query = event.get("queryStringParameters") or {}
    limit = query.get("limit", "25")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= LIST_MAX):
        raise Problem(400, f"limit must be a whole number from 1 to {LIST_MAX}")
    before = query.get("before")
    if before is not None and not notes.is_note_id(before):
        raise Problem(400, "before must be the id of a note")
    found, more_before = notes.list_notes(int(limit), before)
    return respond(200, {"notes": found} | ({"next": more_before} if more_before else {}))


def create_note(event: Event) -> Response:
    note = notes.create_note(*parse_note(event))
    return respond(201, note, Location=f"{event['requestContext']['path'].rstrip('/')}/{note['id']}", ETag=etag(note))


def read_note(event: Event) -> Response:
    note = notes.read_note(note_id(event))
    return respond(200, note, ETag=etag(note))


def update_note(event: Event) -> Response:
    note = notes.update_note(note_id(event), *parse_note(event), expected_version=expected_version(event))
    return respond(200, note, ETag=etag(note))


def delete_note(event: Event) -> Response:
    notes.delete_note(note_id(event), expected_version=expected_version(event))
    return respond(204)


ROUTES = {
    "/notes": {"GET": list_notes, "POST": create_note},
    "/notes/{id}": {"GET": read_note, "PUT": update_note, "DELETE": delete_note},
}


def note_id(event: Event) -> str:
    found = event["pathParameters"]["id"]
    if not notes.is_note_id(found):
        raise notes.NoteNotFound(found)
    return found


def expected_version(event: Event) -> int | None:
    """Return the version that an If-Match header asks for; None if any will do."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    match = headers.get("if-match", "*").strip()
    if match == "*":
        return None
    version = match.strip('"')
    if not (version.isascii() and version.isdigit()):
        raise Problem(400, "If-Match must be the ETag of a note")
    return int(version)


def parse_note(event: Event) -> tuple[str, str]:
    """Return the title and the text that the request's body gives."""
    body = event.get("body") or ""
    try:
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body, validate=True).decode()
        given = json.loads(body)
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError):
        raise Problem(400, "the body must be JSON") from None
    if not isinstance(given, dict):
        raise Problem(400, "the body must be a JSON object")
    if unknown := sorted(given.keys() - {"title", "text"}):
        raise Problem(400, f"unknown member: {unknown[0]}")
    title, text = given.get("title"), given.get("text", "")
    if not isinstance(title, str) or not 1 <= len(title) <= TITLE_CHARACTERS_MAX:
        raise Problem(400, f"title must be a string of 1 to {TITLE_CHARACTERS_MAX} characters")
    if not isinstance(text, str) or len(text) > TEXT_CHARACTERS_MAX:
        raise Problem(400, f"text must be a string of at most {TEXT_CHARACTERS_MAX} characters")
    return title, text


def etag(note: notes.Note) -> str:
    return f'"{note["version"]}"'


def respond(status: int, body: Any = None, **headers: str) -> Response:
    if body is None:
        return {"statusCode": status, "headers": headers, "body": ""}
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **headers},
        "body": json.dumps(body, ensure_ascii=False),
    }
