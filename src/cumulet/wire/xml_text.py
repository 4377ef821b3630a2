"""Text for XML, apart from the rest of XML so that rendering an error costs no import of a parser."""

# XML 1.0 has no way to write most control characters; S3 and others write the reference all the same.
_CONTROLS = {chr(code): f"&#x{code:x};" for code in range(0x20) if chr(code) not in "\t\n"}
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", **_CONTROLS})


def escape(text: str) -> str:
    """Return text for an element or an attribute."""
    return text.translate(_ESCAPES)
