"""AWS's service models as botocore ships them: shapes, operations and errors of one service, read once, lazily.

Only the JSON is used, never botocore's own classes: importing those costs a tenth of a second, reading a model a few
milliseconds. The text of the documentation is skipped while decoding and never lies in memory.
"""

import gzip
import importlib.util
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

from cumulet.errors import InvariantViolated


class _XmlNamespace(msgspec.Struct, frozen=True):
    uri: str
    prefix: str = ""


class _ErrorTrait(msgspec.Struct, rename="camel"):
    code: str = ""
    http_status_code: int | None = None


class _Reference(msgspec.Struct, rename="camel"):
    """One place where a shape is used, with the traits that belong to the place."""

    shape: str
    location: str | None = None
    location_name: str | None = None
    result_wrapper: str | None = None
    timestamp_format: str | None = None
    xml_namespace: Any = None
    xml_attribute: bool = False
    flattened: bool = False
    streaming: bool = False
    eventpayload: bool = False
    idempotency_token: bool = False


class _RawShape(msgspec.Struct, rename="camel"):
    type: str
    members: dict[str, _Reference] = {}
    member: _Reference | None = None
    key: _Reference | None = None
    value: _Reference | None = None
    required: list[str] = []
    enum: list[str] | None = None
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    payload: str | None = None
    location_name: str | None = None
    timestamp_format: str | None = None
    xml_namespace: Any = None
    flattened: bool = False
    streaming: bool = False
    eventstream: bool = False
    document: bool = False
    sensitive: bool = False
    exception: bool = False
    fault: bool = False
    error: _ErrorTrait | None = None


class _Http(msgspec.Struct, rename="camel"):
    method: str = "POST"
    request_uri: str = "/"
    response_code: int | None = None


class _RawOperation(msgspec.Struct, rename="camel"):
    name: str
    http: _Http = msgspec.field(default_factory=_Http)
    input: _Reference | None = None
    output: _Reference | None = None
    errors: list[_Reference] = []
    deprecated: bool = False


class _Metadata(msgspec.Struct, rename="camel"):
    api_version: str
    protocol: str
    endpoint_prefix: str
    json_version: str = "1.1"
    target_prefix: str = ""
    signing_name: str = ""
    xml_namespace: str = ""
    service_id: str = ""


class _RawModel(msgspec.Struct):
    metadata: _Metadata
    operations: dict[str, _RawOperation]
    shapes: dict[str, _RawShape]


class Member:
    """One use of a shape: a structure's member, a list's element, a map's key or value."""

    __slots__ = (
        "_service",
        "_shape",
        "_shape_name",
        "event_payload",
        "flattened",
        "location",
        "location_name",
        "name",
        "streaming",
        "timestamp_format",
        "wire_name",
        "xml_attribute",
        "xml_namespace",
    )

    def __init__(self, service: "ServiceModel", name: str, raw: _Reference) -> None:
        self._service = service
        self._shape: Shape | None = None
        self._shape_name = raw.shape
        # Traits of the place win over those of the shape.
        shape = service.raw_shape(raw.shape)
        self.name = name
        self.location = raw.location
        self.location_name = raw.location_name or shape.location_name
        """The name on the wire where the model gives one."""
        self.wire_name = self.location_name or name
        self.timestamp_format = raw.timestamp_format or shape.timestamp_format
        self.flattened = raw.flattened or shape.flattened
        self.streaming = raw.streaming or shape.streaming
        self.event_payload = raw.eventpayload
        self.xml_attribute = raw.xml_attribute
        self.xml_namespace = _namespace(raw.xml_namespace or shape.xml_namespace)

    @property
    def shape(self) -> "Shape":
        """The shape itself, shared by every use of it."""
        if self._shape is None:
            self._shape = self._service.shape(self._shape_name)
        return self._shape


class Shape:
    """One type of the model. What a member refers to is made when somebody asks."""

    __slots__ = (
        "_key",
        "_member",
        "_members",
        "_raw",
        "_service",
        "_value",
        "enum",
        "is_document",
        "is_eventstream",
        "max",
        "min",
        "name",
        "pattern",
        "payload",
        "required",
        "sensitive",
        "type",
    )

    def __init__(self, service: "ServiceModel", name: str, raw: _RawShape) -> None:
        self._service = service
        self._raw = raw
        self._members: dict[str, Member] | None = None
        self._member: Member | None = None
        self._key: Member | None = None
        self._value: Member | None = None
        self.name = name
        self.type = raw.type
        """structure, list, map, string, character, integer, long, float, double, boolean, blob or timestamp."""
        self.required = raw.required
        self.enum = raw.enum
        self.min = raw.min
        self.max = raw.max
        self.pattern = raw.pattern
        self.payload = raw.payload
        self.sensitive = raw.sensitive
        self.is_document = raw.document
        self.is_eventstream = raw.eventstream

    def __repr__(self) -> str:
        return f"<{self.type} {self._service.name}.{self.name}>"

    @property
    def members(self) -> Mapping[str, Member]:
        """A structure's members in the model's order."""
        if self._members is None:
            self._members = {name: Member(self._service, name, raw) for name, raw in self._raw.members.items()}
        return self._members

    @property
    def member(self) -> Member:
        """A list's element."""
        if self._member is None:
            self._member = Member(self._service, "member", _given(self._raw.member))
        return self._member

    @property
    def key(self) -> Member:
        """A map's key."""
        if self._key is None:
            self._key = Member(self._service, "key", _given(self._raw.key))
        return self._key

    @property
    def value(self) -> Member:
        """A map's value."""
        if self._value is None:
            self._value = Member(self._service, "value", _given(self._raw.value))
        return self._value


class OperationModel:
    """One operation: its place in HTTP, its input and output. Compiled parsers and checks hang on it."""

    def __init__(self, service: "ServiceModel", raw: _RawOperation) -> None:
        self.service = service
        self.name = raw.name
        self.http_method = raw.http.method
        self.request_uri = raw.http.request_uri
        self.success_status = raw.http.response_code or 200
        self.deprecated = raw.deprecated
        self.result_wrapper = raw.output.result_wrapper if raw.output else None
        self.input_location_name = raw.input.location_name if raw.input else None
        """The XML element that holds the input, where the model names one on the operation."""
        self.input_xml_namespace = _namespace(raw.input.xml_namespace) if raw.input else None
        self._input_name = raw.input.shape if raw.input else None
        self._output_name = raw.output.shape if raw.output else None
        self.compiled: dict[str, Any] = {}
        """What the wire layer has compiled for this operation, by the name of the compiler."""

    def __repr__(self) -> str:
        return f"<{self.service.name}.{self.name}>"

    @cached_property
    def input(self) -> Shape | None:
        """The input's structure; None if the operation takes nothing."""
        return self.service.shape(self._input_name) if self._input_name else None

    @cached_property
    def output(self) -> Shape | None:
        """The output's structure; None if the operation answers with an empty body."""
        return self.service.shape(self._output_name) if self._output_name else None


class ServiceModel:
    """One service as its model describes it."""

    def __init__(self, name: str, raw: _RawModel) -> None:
        metadata = raw.metadata
        self.name = name
        """As botocore's data folder has it: dynamodb, lambda, apigatewayv2."""
        self.protocol = metadata.protocol
        self.json_version = metadata.json_version
        self.target_prefix = metadata.target_prefix
        self.signing_name = metadata.signing_name or metadata.endpoint_prefix
        self.api_version = metadata.api_version
        self.xml_namespace = metadata.xml_namespace
        self.error_namespace = _ERROR_NAMESPACES.get(name, "")
        """What `__type` is prefixed with, with its `#`; empty for services that send the bare name."""
        self.raw_values = name in _RAW_VALUES
        """Params and outputs are the wire's JSON itself."""
        self.operation_names = tuple(raw.operations)
        self._raw = raw
        self._shapes: dict[str, Shape] = {}
        self._operations: dict[str, OperationModel] = {}

    def __repr__(self) -> str:
        return f"<ServiceModel {self.name}>"

    def find_operation(self, name: str) -> OperationModel | None:
        """Return an operation, or None if AWS has none of that name."""
        found = self._operations.get(name)
        if found is None and (raw := self._raw.operations.get(name)) is not None:
            found = self._operations[name] = OperationModel(self, raw)
        return found

    def shape(self, name: str) -> Shape:
        """Return a shape of the model by its name."""
        found = self._shapes.get(name)
        if found is None:
            found = self._shapes[name] = Shape(self, name, self._raw.shapes[name])
        return found

    def raw_shape(self, name: str) -> _RawShape:
        """Return a shape as the model has it, for the traits that its uses inherit."""
        return self._raw.shapes[name]

    def error_shape(self, code: str) -> Shape | None:
        """Return the structure of an error by its code on the wire; None if it is not modelled."""
        name = self._errors.get(code)
        return self.shape(name) if name else None

    def error_status(self, code: str) -> int | None:
        """Return the HTTP status that the model gives an error; None if it gives none."""
        name = self._errors.get(code)
        if name is None:
            return None
        raw = self._raw.shapes[name]
        if raw.error and raw.error.http_status_code:
            return raw.error.http_status_code
        return 500 if raw.fault else None

    @cached_property
    def _errors(self) -> dict[str, str]:
        errors: dict[str, str] = {}
        for name, raw in self._raw.shapes.items():
            if raw.exception:
                errors[name] = name
                if raw.error and raw.error.code:
                    errors[raw.error.code] = name
        return errors


_RAW_VALUES = frozenset({"dynamodb", "dynamodbstreams"})

_ERROR_NAMESPACES = {
    "dynamodb": "com.amazonaws.dynamodb.v20120810#",
    "dynamodbstreams": "com.amazonaws.dynamodb.v20120810#",
}


@cache
def load_service(name: str) -> ServiceModel:
    """Return the model of a service by its botocore name. Raises LookupError if botocore has none."""
    folder = _data_folder() / name
    versions = sorted(folder.glob("*/service-2.json*"))
    models = [path for path in versions if path.name in ("service-2.json", "service-2.json.gz")]
    if not models:
        raise LookupError(f"botocore has no model of a service '{name}'")
    content = models[-1].read_bytes()
    if models[-1].suffix == ".gz":
        content = gzip.decompress(content)
    return ServiceModel(name, msgspec.json.decode(content, type=_RawModel))


@cache
def _data_folder() -> Path:
    # find_spec does not import the package.
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise InvariantViolated("botocore, whose data holds the service models, is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _namespace(raw: Any) -> _XmlNamespace | None:
    # The model writes either the bare URI or an object with a prefix.
    if raw is None:
        return None
    return _XmlNamespace(raw) if isinstance(raw, str) else msgspec.convert(raw, _XmlNamespace)


def _given(raw: _Reference | None) -> _Reference:
    if raw is None:
        raise InvariantViolated("a shape was asked for what its type does not have")
    return raw
