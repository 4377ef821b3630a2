"""Certificates by which backends know that an API asks them; both the control plane and the pipeline read them."""

import msgspec

from cumulet.store.keyspace import CLIENT_CERTIFICATE
from cumulet.store.records import Records


class ClientCertificate(msgspec.Struct, omit_defaults=True):
    """A certificate and its key, both as PEM."""

    certificate_id: str
    created_s: int
    expires_s: int
    certificate: str
    key: str
    description: str | None = None
    tags: dict[str, str] = {}


CERTIFICATES = Records(CLIENT_CERTIFICATE, ClientCertificate)
