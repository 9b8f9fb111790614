package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

var rotationChecks = []check{
	{"a tainted X.509 authority is replaced under running sources, and mTLS goes on", func(ctx context.Context, known facts) error {
		server, client, closeBoth, err := twoSources(ctx, known)
		if err != nil {
			return err
		}
		defer closeBoth()
		before, err := server.GetX509SVID()
		if err != nil {
			return err
		}
		if err := ask("taint-x509-authority"); err != nil {
			return err
		}
		for _, source := range []*workloadapi.X509Source{server, client} {
			if err := awaitOther(ctx, source, before.Certificates[0].AuthorityKeyId); err != nil {
				return err
			}
		}
		received, err := workloadapi.FetchX509Context(ctx)
		if err != nil {
			return err
		}
		return first(
			func() error { return rememberAll(known, received) },
			func() error { return talk(ctx, server, client, known.Identities[0].ID, known.Identities[1].ID) },
		)
	}},
	{"after a rotation of the JWT authority the sources verify tokens of both keys", func(ctx context.Context, known facts) error {
		source, err := workloadapi.NewJWTSource(ctx)
		if err != nil {
			return err
		}
		defer source.Close()
		before, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "before"})
		if err != nil {
			return err
		}
		if err := ask("rotate-jwt-authority"); err != nil {
			return err
		}
		after, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "after"})
		if err != nil {
			return err
		}
		if kidOf(before) == kidOf(after) || kidOf(after) == "" {
			return errors.New("the same key still signs")
		}
		if err := awaitKey(ctx, source, after, "after"); err != nil {
			return err
		}
		return validateBy(source, before, "before")
	}},
	{"GET /spiffe/bundle and the socket agree after the rotations, under a higher sequence number", func(ctx context.Context, known facts) error {
		before, err := publishedBundle(ctx, known)
		if err != nil {
			return err
		}
		if err := ask("rotate-jwt-authority"); err != nil {
			return err
		}
		after, err := publishedBundle(ctx, known)
		if err != nil {
			return err
		}
		earlier, _ := before.SequenceNumber()
		if later, _ := after.SequenceNumber(); !before.JWTBundle().Equal(after.JWTBundle()) && later <= earlier {
			return fmt.Errorf("other keys under the sequence number %d after %d", later, earlier)
		}
		bundles, err := workloadapi.FetchJWTBundles(ctx)
		if err != nil {
			return err
		}
		if socket, isThere := bundles.Get(known.TrustDomain); !isThere || !socket.Equal(after.JWTBundle()) {
			return errors.New("the socket gives other keys")
		}
		return nil
	}},
}

// awaitOther waits until a source has an SVID of another authority.
func awaitOther(ctx context.Context, source *workloadapi.X509Source, keyID []byte) error {
	for {
		svid, err := source.GetX509SVID()
		if err != nil {
			return err
		}
		if string(svid.Certificates[0].AuthorityKeyId) != string(keyID) {
			return demandVerified(svid, source)
		}
		if err := source.WaitUntilUpdated(ctx); err != nil {
			return fmt.Errorf("no SVID of another authority came: %w", err)
		}
	}
}

// updates are a source's, of JWT bundles.
type updates interface {
	jwtbundle.Source
	WaitUntilUpdated(ctx context.Context) error
}

// awaitKey waits until a source has the key that a token is signed with.
func awaitKey(ctx context.Context, source updates, svid *jwtsvid.SVID, audience string) error {
	err := validateBy(source, svid, audience)
	for ; err != nil; err = validateBy(source, svid, audience) {
		if timeout := source.WaitUntilUpdated(ctx); timeout != nil {
			return fmt.Errorf("the new key did not come: %w", errors.Join(timeout, err))
		}
	}
	return nil
}

func validateBy(source jwtbundle.Source, svid *jwtsvid.SVID, audience string) error {
	_, err := jwtsvid.ParseAndValidate(svid.Marshal(), source, []string{audience})
	return err
}
