"""Every operation of every service in both directions, with botocore at the other end of the wire."""

from random import Random

import pytest

from cumulet.wire.model import load_service
from cumulet.wire.protocols import parse, serialise
from cumulet.wire.resolve import resolve
from wire import oracle

# The client sends these to another host, which is how S3 tells them from ListBuckets and PutObject's neighbours.
OTHER_HOSTS = {"ListDirectoryBuckets", "WriteGetObjectResponse"}

# The client reads this answer by a handler of its own; tests/unit/wire/test_rest_xml.py has its bytes.
READ_BY_HANDLER = {"GetBucketLocation"}


@pytest.mark.slow
@pytest.mark.parametrize("service", oracle.SERVICES)
def test_what_botocore_sends_arrives(service: str) -> None:
    raw = service in oracle.RAW_SERVICES
    for operation in oracle.operations(service):
        if operation.name in OTHER_HOSTS or operation.input_shape is None:
            continue
        for turn in range(3):
            chance = Random(f"{service} {operation.name} {turn}")
            sent = oracle.make_values(operation.input_shape, chance, all_members=turn == 0)
            if "Body" not in operation.input_shape.members:
                sent.pop("ContentMD5", None)  # a document is compared with it
            request = oracle.send(operation, sent)
            target = resolve(request)
            assert target.operation.name == operation.name
            arrived = oracle.without_empty(parse(target, request))
            if "ContentLength" not in sent:
                arrived.pop("ContentLength", None)  # HTTP's own header, bound to a member of S3's inputs
            assert arrived == oracle.without_empty(oracle.as_params(sent, raw=raw)), operation.name


@pytest.mark.slow
@pytest.mark.parametrize("service", oracle.SERVICES)
def test_what_is_answered_is_what_botocore_reads(service: str) -> None:
    raw = service in oracle.RAW_SERVICES
    for operation in oracle.operations(service):
        if operation.output_shape is None or operation.name in READ_BY_HANDLER:
            continue
        for turn in range(3):
            chance = Random(f"{service} {operation.name} {turn}")
            output = oracle.make_values(operation.output_shape, chance, all_members=turn == 0)
            model = load_service(service).find_operation(operation.name)
            assert model is not None
            response = serialise(model, oracle.as_params(output, raw=True) if raw else output, "REQUEST-ID")
            assert oracle.without_empty(oracle.receive(operation, response)) == oracle.without_empty(output), operation
