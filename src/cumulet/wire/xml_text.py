"""Text for XML, apart from the rest of XML so that rendering an error costs no import of a parser."""

import re

# XML 1.0 has no way to write most control characters; S3 and others write the reference all the same.
_CONTROLS = {chr(code): f"&#x{code:x};" for code in range(0x20) if chr(code) not in "\t\n"}
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", **_CONTROLS})


def escape(text: str) -> str:
    """Return text for an element or an attribute."""
    return text.translate(_ESCAPES)


_UNREADABLE = re.compile("&#x(?:[0-8bcef]|1[0-9a-f]);|[\ufffe\uffff]")


def readable(document: str) -> str:
    """Return a document of escaped text as any parser of XML 1.0 reads it: other characters become U+FFFD.

    S3's clients know about its references to control characters; those of the Query protocol would fail.
    """
    return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", document)
