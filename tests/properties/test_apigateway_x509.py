"""Certificates are what the library of TLS takes them for."""

import ssl
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cumulet.services.apigateway import x509

SECRETS = st.binary(min_size=x509.SECRET_BYTES, max_size=x509.SECRET_BYTES)


@settings(deadline=None, max_examples=10, phases=[Phase.generate])
@given(SECRETS, SECRETS, st.integers(1, 2**64 - 1), st.integers(0, 4_000_000_000), st.integers(1, 10_000_000))
def test_a_certificate_belongs_to_its_key_and_says_what_it_should(
    secret: bytes, nonce: bytes, serial: int, begins_s: int, lasts_s: int
) -> None:
    certificate, key = x509.make(secret, nonce, serial, "ApiGateway", begins_s, begins_s + lasts_s)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.write_text(certificate + key)
        context.load_cert_chain(file)  # refuses a key of another certificate
        told = ssl._ssl._test_decode_cert(str(file))  # type: ignore[attr-defined]
    assert told["subject"] == told["issuer"] == ((("commonName", "ApiGateway"),),)
    assert int(str(told["serialNumber"]), 16) == serial
    assert ssl.cert_time_to_seconds(str(told["notBefore"])) == begins_s
    assert ssl.cert_time_to_seconds(str(told["notAfter"])) == begins_s + lasts_s
    assert certificate == x509.make(secret, nonce, serial, "ApiGateway", begins_s, begins_s + lasts_s)[0]
