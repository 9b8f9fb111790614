"""Over a stop and a start of the server, whoever gives its SVIDs out: the server itself, or a node."""

from conversation import PATIENCE_SECONDS, ask, await_change, check, demand_issued, is_valid, known, remember, trust_domain
from spiffe import JwtSource, X509Source


@check("X509Source and JwtSource stay good while the server is stopped, and have what it rotates once it is back")
def _(client):
    broken = []
    if known.get("isNode"):
        # Its own streams outlive the server.
        for stream in (client.stream_x509_contexts, client.stream_jwt_bundles):
            stream(lambda _: None, broken.append, retry_connect=False)
    with (
        X509Source(timeout_in_seconds=PATIENCE_SECONDS) as certificates,
        JwtSource(timeout_in_seconds=PATIENCE_SECONDS) as keys,
    ):
        before = certificates.svid
        # An SVID for an audience is given again for a while: these are nobody else's.
        token = keys.fetch_svid({"py-before-stop"}, timeout=PATIENCE_SECONDS).token
        ask("stop-server")
        assert certificates.svid.leaf == before.leaf
        assert is_valid(token, keys.get_bundle_for_trust_domain(trust_domain), "py-before-stop")
        ask("start-server")
        ask("taint-x509-authority")
        await_change(certificates, lambda: certificates.svid.leaf.issuer != before.leaf.issuer)
        context = certificates.get_x509_context()
        authorities = context.x509_bundle_set.get_bundle_for_trust_domain(trust_domain).x509_authorities
        demand_issued(context.default_svid, authorities)
        remember(context.default_svid, authorities)
        ask("rotate-jwt-authority")
        after = client.fetch_jwt_svid({"py-after-start"}, timeout=PATIENCE_SECONDS).token
        await_change(keys, lambda: is_valid(after, keys.get_bundle_for_trust_domain(trust_domain), "py-after-start"))
        assert is_valid(token, keys.get_bundle_for_trust_domain(trust_domain), "py-before-stop")
        assert not broken, broken
