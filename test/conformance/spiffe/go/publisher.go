package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// published is a trust domain that this program has, whose bundle go-spiffe's handler serves for the server to fetch.
type published struct {
	TrustDomain spiffeid.TrustDomain `json:"trustDomain"`
	// Address is where it is to be served.
	Address string `json:"address"`
	// ID is that of the endpoint by https_spiffe, and empty by https_web.
	ID spiffeid.ID `json:"endpointId"`
	// Proof is the file for what the operator is handed: the bundle, or the authority of the endpoint's certificate.
	Proof string `json:"proof"`
}

func publisherChecks(known facts) []check {
	var checks []check
	for _, one := range known.Published {
		checks = append(checks, checksOfPublished(one)...)
	}
	return checks
}

func checksOfPublished(one published) []check {
	var there *house
	name := "https_web under a CA of its own"
	if !one.ID.IsZero() {
		name = "https_spiffe"
	}
	return []check{
		{"what go-spiffe's handler serves by " + name + " is on the socket", func(ctx context.Context, known facts) (err error) {
			if there, err = newHouse(one.TrustDomain); err != nil {
				return err
			}
			return first(
				func() error { return there.serve(one) },
				func() error { return ask("federate-with-" + one.TrustDomain.Name()) },
				func() error { return demandOnSocket(ctx, there) },
			)
		}},
		{"mTLS with a workload of a trust domain by " + name + ", and its JWT-SVID is valid", func(ctx context.Context, known facts) error {
			return demandKnown(ctx, known, there)
		}},
		{"its new authorities by " + name + " come to running sources", func(ctx context.Context, known facts) error {
			certificates, err := workloadapi.NewX509Source(ctx)
			if err != nil {
				return err
			}
			defer certificates.Close()
			return first(
				there.rotate,
				func() error { return ask("refresh-" + one.TrustDomain.Name()) },
				func() error { return awaitBundle(ctx, certificates, there.bundle.X509Bundle()) },
				func() error { return demandOnSocket(ctx, there) },
				func() error { return demandKnown(ctx, known, there) },
			)
		}},
	}
}

// demandOnSocket holds the bundles of the socket against what is served.
func demandOnSocket(ctx context.Context, there *house) error {
	x509Bundles, err := workloadapi.FetchX509Bundles(ctx)
	if err != nil {
		return err
	}
	jwtBundles, err := workloadapi.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	certificates, _ := x509Bundles.Get(there.bundle.TrustDomain())
	keys, _ := jwtBundles.Get(there.bundle.TrustDomain())
	if certificates == nil || !certificates.Equal(there.bundle.X509Bundle()) {
		return errors.New("its X.509 authorities are others")
	}
	if keys == nil || !keys.Equal(there.bundle.JWTBundle()) {
		return errors.New("its JWT authorities are others")
	}
	return nil
}

// demandKnown has a workload of that house and one of the server's take each other's SVIDs.
func demandKnown(ctx context.Context, known facts, there *house) error {
	own, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer own.Close()
	foreign, err := there.workload(own)
	if err != nil {
		return err
	}
	token, err := there.jwtSVID(foreign.svid.ID, "here")
	if err != nil {
		return err
	}
	return first(
		func() error { return talk(ctx, own, foreign, known.Identities[0].ID, foreign.svid.ID) },
		func() error { return talk(ctx, foreign, own, foreign.svid.ID, known.Identities[0].ID) },
		func() error { return demandValidJWT(ctx, token, "here") },
		func() error { return validateRaw(ctx, token, "here") },
	)
}

// serve publishes the bundle until the program ends, and leaves what proves that it is the right one.
func (there *house) serve(one published) error {
	handler, err := federation.NewHandler(one.TrustDomain, there.bundle)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", one.Address)
	if err != nil {
		return err
	}
	config, proof, err := there.endpoint(one.ID)
	if err != nil {
		return err
	}
	if err := os.WriteFile(one.Proof, proof, 0o644); err != nil {
		return err
	}
	server := &http.Server{Handler: handler, TLSConfig: config, ReadHeaderTimeout: patience}
	go func() {
		if err := server.ServeTLS(listener, "", ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return nil
}

// endpoint is how it shows itself: by an SVID of its own trust domain, whose bundle is the proof, or by a CA that is.
func (there *house) endpoint(id spiffeid.ID) (*tls.Config, []byte, error) {
	if id.IsZero() {
		return webCertificate()
	}
	svid, err := there.x509SVID(id)
	if err != nil {
		return nil, nil, err
	}
	document, err := there.bundle.Marshal()
	return tlsconfig.TLSServerConfig(svid), document, err
}
