"""Client certificates: what REST APIs show the backends of their HTTP integrations.

https://docs.aws.amazon.com/apigateway/latest/developerguide/getting-started-client-side-ssl-authentication.html
"""

from typing import Any

from cumulet.errors import ServiceError
from cumulet.services.apigateway import limits, x509
from cumulet.services.apigateway.certificates import CERTIFICATES, ClientCertificate
from cumulet.services.apigateway.control import tagging
from cumulet.services.apigateway.control.arns import DELETE, GET, PATCH, POST, at
from cumulet.services.apigateway.control.v1 import patching
from cumulet.services.apigateway.control.v1.paging import page
from cumulet.services.apigateway.control.v1.plane import RestPlane
from cumulet.services.apigateway.model import STAGES
from cumulet.services.kit import Call, Output, Params, operation
from cumulet.store.api import ReadTx, WriteTx

ALL = at("/clientcertificates")
ONE = at("/clientcertificates/{clientCertificateId}")

_COMMON_NAME = "ApiGateway"
_SERIAL_BYTES = 8
_PATCHABLE = patching.table("/description text replace")


@operation("GenerateClientCertificate", action=POST, resource=ALL, params="description tags")
async def generate_client_certificate(call: Call, plane: RestPlane, params: Params) -> Output:
    """A new certificate is there, which stages can use for a year."""
    now_s = call.now_ms // 1000
    expires_s = now_s + limits.CERTIFICATE_DAYS * 86_400
    serial = int.from_bytes(call.ids.secret(_SERIAL_BYTES))
    # Made outside of the transaction, which may run twice: it takes a while.
    secrets = call.ids.secret(x509.SECRET_BYTES), call.ids.secret(x509.SECRET_BYTES)
    certificate, key = x509.make(*secrets, serial, _COMMON_NAME, now_s, expires_s)
    made = ClientCertificate(
        certificate_id=call.ids.token(6),
        created_s=now_s,
        expires_s=expires_s,
        certificate=certificate,
        key=key,
        description=params.get("description") or None,
        tags=tagging.checked(params.get("tags") or {}),
    )

    def save(tx: WriteTx) -> None:
        if sum(1 for _ in CERTIFICATES.scan(tx, call.scope)) >= limits.CERTIFICATES_MAX:
            raise ServiceError(
                "LimitExceededException", "Maximum number of client certificates for this account has been reached."
            )
        CERTIFICATES.save(tx, call.scope, made.certificate_id, record=made)

    await plane.ground.store.write(save)
    return show(made)


def get_certificate(tx: ReadTx, call: Call, certificate_id: str) -> ClientCertificate:
    """Return the certificate of that id. Raises NotFoundException."""
    if (found := CERTIFICATES.find(tx, call.scope, certificate_id)) is None:
        raise ServiceError("NotFoundException", "Invalid Client Certificate identifier specified")
    return found


@operation("GetClientCertificate", action=GET, resource=ONE, params="clientCertificateId")
def get_client_certificate(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return one certificate, without its key."""
    return show(get_certificate(tx, call, params["clientCertificateId"]))


@operation("GetClientCertificates", action=GET, resource=ALL, params="position limit")
def get_client_certificates(call: Call, tx: ReadTx, params: Params) -> Output:
    """Return the certificates of an account in a region, a page at a time."""
    return page(
        params,
        lambda behind, limit: CERTIFICATES.scan(tx, call.scope, behind=(behind,) if behind else None, limit=limit),
        lambda certificate: certificate.certificate_id,
        show,
    )


@operation("UpdateClientCertificate", action=PATCH, resource=ONE, params="clientCertificateId patchOperations")
def update_client_certificate(call: Call, tx: WriteTx, params: Params) -> Output:
    """The certificate has another description."""
    certificate = get_certificate(tx, call, params["clientCertificateId"])
    members = patching.patched(show(certificate), params.get("patchOperations"), _PATCHABLE)
    certificate.description = members.get("description")
    CERTIFICATES.save(tx, call.scope, certificate.certificate_id, record=certificate)
    return show(certificate)


@operation("DeleteClientCertificate", action=DELETE, resource=ONE, params="clientCertificateId")
def delete_client_certificate(call: Call, tx: WriteTx, params: Params) -> Output:
    """The certificate is gone. Refused while a stage uses it."""
    certificate = get_certificate(tx, call, params["clientCertificateId"])
    if any(stage.client_certificate_id == certificate.certificate_id for stage in STAGES.scan(tx, call.scope)):
        raise ServiceError(
            "ConflictException", f"Client Certificate {certificate.certificate_id} is in use by an API stage"
        )
    CERTIFICATES.delete(tx, call.scope, certificate.certificate_id)
    return {}


def show(certificate: ClientCertificate) -> dict[str, Any]:
    """Return a certificate as AWS shows it."""
    shown: dict[str, Any] = {
        "clientCertificateId": certificate.certificate_id,
        "description": certificate.description,
        "pemEncodedCertificate": certificate.certificate,
        "createdDate": certificate.created_s,
        "expirationDate": certificate.expires_s,
        "tags": certificate.tags or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
