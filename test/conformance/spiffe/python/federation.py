"""For a workload of one of two servers that are federated with each other."""

from conversation import PATIENCE_SECONDS, ask, await_change, check, demand_issued, is_valid, known, remember, trust_domain
from spiffe import JwtSource, JwtSvid, TrustDomain, WorkloadApiClient, X509Source

other = known["other"]
other_domain = TrustDomain(other["trustDomain"])
both = sorted([trust_domain.name, other_domain.name])


def names(bundles):
    return sorted(bundle.trust_domain.name for bundle in bundles)


@check("fetch_x509_bundles and fetch_jwt_bundles give our own trust domain and the one federated with, and no other")
def _(client):
    certificates = client.fetch_x509_bundles(timeout=PATIENCE_SECONDS).bundles
    keys = client.fetch_jwt_bundles(timeout=PATIENCE_SECONDS).bundles
    assert names(certificates) == names(keys) == both
    assert all(bundle.x509_authorities for bundle in certificates)
    assert all(bundle.jwt_authorities for bundle in keys)


@check("fetch_x509_context comes with both bundles, each of which has issued its own trust domain's SVID")
def _(client):
    bundles = client.fetch_x509_context(timeout=PATIENCE_SECONDS).x509_bundle_set
    assert names(bundles.bundles) == both
    with WorkloadApiClient(other["socket"]) as there:
        foreign = there.fetch_x509_svid(timeout=PATIENCE_SECONDS)
    assert str(foreign.spiffe_id) == other["spiffeId"]
    own = client.fetch_x509_svid(timeout=PATIENCE_SECONDS)
    for svid, domain in ((own, trust_domain), (foreign, other_domain)):
        authorities = bundles.get_bundle_for_trust_domain(domain).x509_authorities
        demand_issued(svid, authorities)
        remember(svid, authorities)


@check("a JWT-SVID of the other trust domain is judged by parse_and_validate and by validate_jwt_svid")
def _(client):
    with WorkloadApiClient(other["socket"]) as there:
        foreign = there.fetch_jwt_svid({"here"}, timeout=PATIENCE_SECONDS)
    bundle = client.fetch_jwt_bundles(timeout=PATIENCE_SECONDS).get_bundle_for_trust_domain(other_domain)
    assert str(JwtSvid.parse_and_validate(foreign.token, bundle, {"here"}).spiffe_id) == other["spiffeId"]
    validated = client.validate_jwt_svid(foreign.token, "here", timeout=PATIENCE_SECONDS)
    assert str(validated.spiffe_id) == other["spiffeId"]


@check("X509Source and JwtSource have the other trust domain's new authorities once it has rotated them")
def _(_client):
    with (
        X509Source(timeout_in_seconds=PATIENCE_SECONDS) as certificates,
        JwtSource(timeout_in_seconds=PATIENCE_SECONDS) as keys,
        WorkloadApiClient(other["socket"]) as there,
    ):
        ask("rotate-authorities-of-other")
        foreign = there.fetch_x509_svid(timeout=PATIENCE_SECONDS)
        # An SVID for an audience is given again for a while: this one is nobody else's.
        token = there.fetch_jwt_svid({"py-rotated"}, timeout=PATIENCE_SECONDS).token
        published = there.fetch_x509_bundles(timeout=PATIENCE_SECONDS).get_bundle_for_trust_domain(other_domain)
        held = lambda: certificates.get_bundle_for_trust_domain(other_domain)  # noqa: E731
        await_change(certificates, lambda: held().x509_authorities == published.x509_authorities)
        demand_issued(foreign, held().x509_authorities)
        known_keys = lambda: keys.get_bundle_for_trust_domain(other_domain)  # noqa: E731
        await_change(keys, lambda: is_valid(token, known_keys(), "py-rotated"))
