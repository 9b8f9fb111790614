"""What the checks share: the runner's facts, what it is asked for, and what is demanded of answers."""

import hashlib
import json
import logging
import pathlib
import sys
import threading

import grpc
from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtSvid, TrustDomain

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


def await_change(source, look_for):
    """Waits until a source has what is looked for; it calls back on each update."""
    changed = threading.Event()

    def look():
        if look_for():
            changed.set()

    source.subscribe_for_updates(look)
    look()
    assert changed.wait(PATIENCE_SECONDS), "the update did not come"
    source.unsubscribe_for_updates(look)


def is_valid(token, bundle, audience):
    """Whether the keys of a bundle signed it; whatever is wrong with it, they may come yet."""
    try:
        JwtSvid.parse_and_validate(token, bundle, {audience})
    except Exception:  # noqa: BLE001 py-spiffe has an error for each thing that may be wrong
        return False
    return True
