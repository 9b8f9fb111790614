package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

var bundleChecks = []check{
	bundlesOfAll,
	{"GET /spiffe/bundle is a SPIFFE bundle with what the socket gives", func(ctx context.Context, known facts) error {
		published, err := publishedBundle(ctx, known)
		if err != nil {
			return err
		}
		x509Bundles, err := workloadapi.FetchX509Bundles(ctx)
		if err != nil {
			return err
		}
		jwtBundles, err := workloadapi.FetchJWTBundles(ctx)
		if err != nil {
			return err
		}
		certificates, _ := x509Bundles.Get(known.TrustDomain)
		keys, _ := jwtBundles.Get(known.TrustDomain)
		if certificates == nil || !certificates.Equal(published.X509Bundle()) {
			return errors.New("its X.509 authorities are others")
		}
		if keys == nil || !keys.Equal(published.JWTBundle()) {
			return errors.New("its JWT authorities are others")
		}
		if _, isThere := published.SequenceNumber(); !isThere {
			return errors.New("it has no sequence number")
		}
		if hint, isThere := published.RefreshHint(); !isThere || hint <= 0 {
			return errors.New("it has no refresh hint")
		}
		return nil
	}},
	{"an authority may sign certificates, and no SVID but its own trust domain's", func(ctx context.Context, known facts) error {
		published, err := publishedBundle(ctx, known)
		if err != nil {
			return err
		}
		for _, authority := range published.X509Authorities() {
			if err := demandAuthority(known, authority); err != nil {
				return err
			}
		}
		return nil
	}},
}

var bundlesOfAll = check{
	"FetchX509Bundles and FetchJWTBundles give our own trust domain and those federated with, and no other",
	func(ctx context.Context, known facts) error {
		x509Bundles, err := workloadapi.FetchX509Bundles(ctx)
		if err != nil {
			return err
		}
		jwtBundles, err := workloadapi.FetchJWTBundles(ctx)
		if err != nil {
			return err
		}
		expected := known.trustDomains()
		for _, trustDomain := range expected {
			certificates, isThere := x509Bundles.Get(trustDomain)
			if !isThere || len(certificates.X509Authorities()) == 0 {
				return fmt.Errorf("no X.509 authority of %s", trustDomain)
			}
			keys, isThere := jwtBundles.Get(trustDomain)
			if !isThere || len(keys.JWTAuthorities()) == 0 {
				return fmt.Errorf("no JWT authority of %s", trustDomain)
			}
		}
		if count := len(expected); x509Bundles.Len() != count || jwtBundles.Len() != count {
			return fmt.Errorf("%d and %d bundles instead of %d", x509Bundles.Len(), jwtBundles.Len(), count)
		}
		return nil
	},
}

func publishedBundle(ctx context.Context, known facts) (*spiffebundle.Bundle, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, known.BundleURL, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", known.BundleURL, response.Status)
	}
	return spiffebundle.Read(known.TrustDomain, response.Body)
}

// demandAuthority holds a certificate against X509-SVID, section 4.
func demandAuthority(known facts, authority *x509.Certificate) error {
	switch {
	case !authority.IsCA || !authority.BasicConstraintsValid:
		return errors.New("it is no certificate authority")
	case authority.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("it may not sign certificates")
	case len(authority.URIs) > 1 || len(authority.URIs) == 1 && authority.URIs[0].String() != known.TrustDomain.IDString():
		return fmt.Errorf("it is called %v", authority.URIs)
	}
	return nil
}
