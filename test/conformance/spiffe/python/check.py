"""Checks a SPIFFE Workload API socket with py-spiffe, which shares no code with the server behind it.

The runner starts it as it starts the Go program beside it: the socket in SPIFFE_ENDPOINT_SOCKET, what it knows of the
server as JSON in the only argument, `ask <what>` on stdout answered by a line on stdin.
"""

import hashlib
import json
import logging
import pathlib
import sys
import threading

import grpc
from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtSource, JwtSvid, SpiffeId, TrustDomain, WorkloadApiClient, X509Source
from spiffe.workloadapi.errors import FetchJwtSvidError, ValidateJwtSvidError

PATIENCE_SECONDS = 30
known = json.loads(sys.argv[1])
trust_domain = TrustDomain(known["trustDomain"])
ids = sorted(one["spiffeId"] for one in known["identities"])
checks = []
# It calls the end of a stream that we end an error.
logging.getLogger("spiffe").addHandler(logging.NullHandler())


def check(name):
    def add(run):
        checks.append((name, run))
        return run

    return add


def ask(what):
    print("ask", what, flush=True)
    answer = sys.stdin.readline().strip()
    assert answer == "done", f"the runner could not {what}: {answer}"


def pem(certificates):
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def remember(svid, authorities):
    """Leaves what was received in files, as the Go program does."""
    fingerprint = hashlib.sha256(svid.leaf.public_bytes(Encoding.DER)).hexdigest()[:16]
    seen = pathlib.Path(known["seen"])
    (seen / f"{fingerprint}.leaf.pem").write_bytes(pem([svid.leaf]))
    (seen / f"{fingerprint}.chain.pem").write_bytes(pem(svid.cert_chain[1:]))
    (seen / f"{fingerprint}.authorities.pem").write_bytes(pem(authorities))


def demand_status(code, error_type, call):
    try:
        call()
    except error_type as error:
        assert isinstance(error.__cause__, grpc.RpcError), error
        assert error.__cause__.code() == code, error
    else:
        raise AssertionError(f"it was answered, and not refused with {code}")


def demand_issued(svid, authorities):
    """That one of the authorities signed it: py-spiffe itself leaves the chain to TLS."""
    issuers = [*svid.cert_chain[1:], *authorities]
    issuer = next(one for one in issuers if one.subject == svid.leaf.issuer)
    svid.leaf.verify_directly_issued_by(issuer)


@check("fetch_x509_svid gives an identity of the caller's")
def _(client):
    assert str(client.fetch_x509_svid(timeout=PATIENCE_SECONDS).spiffe_id) in ids


@check("fetch_x509_svids gives every identity")
def _(client):
    svids = client.fetch_x509_svids(timeout=PATIENCE_SECONDS)
    assert sorted(str(svid.spiffe_id) for svid in svids) == ids


@check("fetch_x509_context: each X.509-SVID is issued by an authority of its bundle")
def _(client):
    context = client.fetch_x509_context(timeout=PATIENCE_SECONDS)
    authorities = context.x509_bundle_set.get_bundle_for_trust_domain(trust_domain).x509_authorities
    assert len(context.x509_svids) == len(ids)
    for svid in context.x509_svids:
        demand_issued(svid, authorities)
        remember(svid, authorities)


@check("fetch_x509_bundles gives our own trust domain, and no other")
def _(client):
    bundles = client.fetch_x509_bundles(timeout=PATIENCE_SECONDS).bundles
    assert [bundle.trust_domain.name for bundle in bundles] == [known["trustDomain"]]
    assert all(bundle.x509_authorities for bundle in bundles)


@check("fetch_jwt_bundles gives our own trust domain, and no other")
def _(client):
    bundles = client.fetch_jwt_bundles(timeout=PATIENCE_SECONDS).bundles
    assert [bundle.trust_domain.name for bundle in bundles] == [known["trustDomain"]]
    assert all(bundle.jwt_authorities for bundle in bundles)


@check("fetch_jwt_svid for one audience and for several, judged by parse_and_validate")
def _(client):
    bundle = client.fetch_jwt_bundles(timeout=PATIENCE_SECONDS).get_bundle_for_trust_domain(trust_domain)
    for audience in ({"https://one.example"}, {"https://one.example", "https://two.example", "three"}):
        svid = client.fetch_jwt_svid(audience, timeout=PATIENCE_SECONDS)
        validated = JwtSvid.parse_and_validate(svid.token, bundle, audience)
        assert str(validated.spiffe_id) in ids
        assert set(validated.audience) == audience


@check("fetch_jwt_svid for each SPIFFE ID by its name")
def _(client):
    for spiffe_id in ids:
        svid = client.fetch_jwt_svid({"one"}, subject=SpiffeId(spiffe_id), timeout=PATIENCE_SECONDS)
        assert str(svid.spiffe_id) == spiffe_id


@check("fetch_jwt_svids gives one for every identity")
def _(client):
    svids = client.fetch_jwt_svids({"one"}, timeout=PATIENCE_SECONDS)
    assert sorted(str(svid.spiffe_id) for svid in svids) == ids


@check("validate_jwt_svid takes a token for its audience, and refuses it for another with INVALID_ARGUMENT")
def _(client):
    svid = client.fetch_jwt_svid({"one"}, timeout=PATIENCE_SECONDS)
    validated = client.validate_jwt_svid(svid.token, "one", timeout=PATIENCE_SECONDS)
    assert validated.spiffe_id == svid.spiffe_id
    demand_status(
        grpc.StatusCode.INVALID_ARGUMENT,
        ValidateJwtSvidError,
        lambda: client.validate_jwt_svid(svid.token, "two", timeout=PATIENCE_SECONDS),
    )


@check("fetch_jwt_svid for the SPIFFE ID of another is PERMISSION_DENIED")
def _(client):
    other = SpiffeId(f"spiffe://{trust_domain.name}/somebody/else")
    demand_status(
        grpc.StatusCode.PERMISSION_DENIED,
        FetchJwtSvidError,
        lambda: client.fetch_jwt_svid({"one"}, subject=other, timeout=PATIENCE_SECONDS),
    )


@check("X509Source has an SVID of the new authority once the old one is tainted")
def _(_client):
    with X509Source(timeout_in_seconds=PATIENCE_SECONDS) as source:
        before = source.get_x509_context().default_svid
        changed = threading.Event()

        def look():
            if source.get_x509_context().default_svid.leaf.issuer != before.leaf.issuer:
                changed.set()

        source.subscribe_for_updates(look)
        ask("taint-x509-authority")
        assert changed.wait(PATIENCE_SECONDS), "no SVID of another authority came"
        context = source.get_x509_context()
        authorities = context.x509_bundle_set.get_bundle_for_trust_domain(trust_domain).x509_authorities
        demand_issued(context.default_svid, authorities)
        remember(context.default_svid, authorities)


@check("JwtSource has the key that signs after a rotation, and the one before")
def _(_client):
    with JwtSource(timeout_in_seconds=PATIENCE_SECONDS) as source:
        before = source.fetch_svid({"before"}, timeout=PATIENCE_SECONDS)
        ask("rotate-jwt-authority")
        after = source.fetch_svid({"after"}, timeout=PATIENCE_SECONDS)
        bundle = source.get_bundle_for_trust_domain(trust_domain)
        JwtSvid.parse_and_validate(after.token, bundle, {"after"})
        JwtSvid.parse_and_validate(before.token, bundle, {"before"})
        assert before.token.split(".")[0] != after.token.split(".")[0], "the same key still signs"


def main():
    failed = 0
    for name, run in checks:
        try:
            with WorkloadApiClient() as client:
                run(client)
            print("ok py-spiffe:", name, flush=True)
        except Exception as error:  # noqa: BLE001 whatever it is, the others are to run
            failed += 1
            print(f"FAILED py-spiffe: {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
