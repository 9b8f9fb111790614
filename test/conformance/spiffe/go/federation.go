package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// other is a workload of another trust domain, with which the caller's is federated both ways.
type other struct {
	Socket      string               `json:"socket"`
	TrustDomain spiffeid.TrustDomain `json:"trustDomain"`
	ID          spiffeid.ID          `json:"spiffeId"`
	// Endpoint serves the other trust domain's bundle by https_spiffe, as EndpointID.
	Endpoint   string      `json:"endpoint"`
	EndpointID spiffeid.ID `json:"endpointId"`
}

var federationChecks = []check{
	bundlesOfAll,
	{"the X.509-SVIDs come with the bundles of those federated with", func(ctx context.Context, known facts) error {
		received, err := workloadapi.FetchX509Context(ctx)
		if err != nil {
			return err
		}
		for _, trustDomain := range []spiffeid.TrustDomain{known.TrustDomain, known.Other.TrustDomain} {
			if bundle, isThere := received.Bundles.Get(trustDomain); !isThere || bundle.Empty() {
				return fmt.Errorf("no bundle of %s", trustDomain)
			}
		}
		return rememberAll(known, received)
	}},
	{"mTLS between workloads of two trust domains", func(ctx context.Context, known facts) error {
		server, err := workloadapi.NewX509Source(ctx)
		if err != nil {
			return err
		}
		defer server.Close()
		client, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithAddr(known.Other.Socket)))
		if err != nil {
			return err
		}
		defer client.Close()
		serverSVID, err := server.GetX509SVID()
		if err != nil {
			return err
		}
		return talk(ctx, server, client, serverSVID.ID, known.Other.ID)
	}},
	{"a JWT-SVID of the other trust domain is judged by ParseAndValidate and by ValidateJWTSVID", func(ctx context.Context, known facts) error {
		foreign, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "here"}, workloadapi.WithAddr(known.Other.Socket))
		if err != nil {
			return err
		}
		if foreign.ID != known.Other.ID {
			return errors.New("it is another's")
		}
		return first(
			func() error { return demandValidJWT(ctx, foreign, "here") },
			func() error { return validateRaw(ctx, foreign, "here") },
		)
	}},
	{"sources have the other trust domain's new authorities once it has rotated them", func(ctx context.Context, known facts) error {
		certificates, err := workloadapi.NewX509Source(ctx)
		if err != nil {
			return err
		}
		defer certificates.Close()
		keys, err := workloadapi.NewJWTSource(ctx)
		if err != nil {
			return err
		}
		defer keys.Close()
		if err := ask("rotate-authorities-of-other"); err != nil {
			return err
		}
		there := workloadapi.WithAddr(known.Other.Socket)
		published, err := workloadapi.FetchX509Bundles(ctx, there)
		if err != nil {
			return err
		}
		// An SVID for an audience is given again for a while: this one is nobody else's.
		token, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "rotated"}, there)
		if err != nil {
			return err
		}
		wanted, isThere := published.Get(known.Other.TrustDomain)
		if !isThere {
			return errors.New("it has no bundle of its own")
		}
		return first(
			func() error { return awaitBundle(ctx, certificates, wanted) },
			func() error { return awaitKey(ctx, keys, token, "rotated") },
		)
	}},
	{"the bundle endpoint of the other trust domain is fetched from by https_spiffe, as its very ID and no other", func(ctx context.Context, known facts) error {
		held, err := workloadapi.FetchX509Bundles(ctx)
		if err != nil {
			return err
		}
		fetched, err := fetchOther(ctx, known, held, known.Other.EndpointID)
		if err != nil {
			return err
		}
		if bundle, isThere := held.Get(known.Other.TrustDomain); !isThere || !bundle.Equal(fetched.X509Bundle()) {
			return errors.New("its X.509 authorities are others than the socket gives")
		}
		if len(fetched.JWTAuthorities()) == 0 {
			return errors.New("it has no JWT authority")
		}
		if _, err = fetchOther(ctx, known, held, known.Other.ID); err == nil || !strings.Contains(err.Error(), "unexpected ID") {
			return fmt.Errorf("by another ID: %v", err)
		}
		own, _ := held.Get(known.TrustDomain)
		if _, err = fetchOther(ctx, known, own, known.Other.EndpointID); err == nil || !strings.Contains(err.Error(), "could not get X509 bundle") {
			return fmt.Errorf("by our own authorities: %v", err)
		}
		return nil
	}},
}

func fetchOther(ctx context.Context, known facts, bundles x509bundle.Source, id spiffeid.ID) (*spiffebundle.Bundle, error) {
	auth := federation.WithSPIFFEAuth(bundles, id)
	return federation.FetchBundle(ctx, known.Other.TrustDomain, known.Other.Endpoint, auth)
}

// awaitBundle waits until a source has these authorities.
func awaitBundle(ctx context.Context, source *workloadapi.X509Source, wanted *x509bundle.Bundle) error {
	for {
		held, err := source.GetX509BundleForTrustDomain(wanted.TrustDomain())
		if err != nil {
			return err
		}
		if wanted.Equal(held) {
			return nil
		}
		if err := source.WaitUntilUpdated(ctx); err != nil {
			return fmt.Errorf("its new authorities did not come: %w", err)
		}
	}
}
