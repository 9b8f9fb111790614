package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

var x509Checks = []check{
	{"FetchX509SVID gives an identity of the caller's", func(ctx context.Context, known facts) error {
		svid, err := workloadapi.FetchX509SVID(ctx)
		if err != nil {
			return err
		}
		return demandIdentities(known, map[spiffeid.ID]string{svid.ID: svid.Hint}, 1)
	}},
	{"FetchX509SVIDs gives every identity with its hint", func(ctx context.Context, known facts) error {
		svids, err := workloadapi.FetchX509SVIDs(ctx)
		if err != nil {
			return err
		}
		got := map[spiffeid.ID]string{}
		for _, svid := range svids {
			got[svid.ID] = svid.Hint
		}
		return demandIdentities(known, got, len(known.Identities))
	}},
	{"X.509-SVIDs verify by the bundle that came with them, and by FetchX509Bundles'", func(ctx context.Context, known facts) error {
		received, err := workloadapi.FetchX509Context(ctx)
		if err != nil {
			return err
		}
		bundles, err := workloadapi.FetchX509Bundles(ctx)
		if err != nil {
			return err
		}
		for _, svid := range received.SVIDs {
			if err := first(
				func() error { return demandVerified(svid, received.Bundles) },
				func() error { return demandVerified(svid, bundles) },
				func() error { return rememberAll(known, received) },
			); err != nil {
				return err
			}
		}
		return nil
	}},
	{"an X.509-SVID lives an hour at most, and not beyond its authority", func(ctx context.Context, known facts) error {
		received, err := workloadapi.FetchX509Context(ctx)
		if err != nil {
			return err
		}
		bundle, err := received.Bundles.GetX509BundleForTrustDomain(known.TrustDomain)
		if err != nil {
			return err
		}
		for _, svid := range received.SVIDs {
			leaf := svid.Certificates[0]
			if time.Until(leaf.NotAfter) > time.Hour {
				return fmt.Errorf("%s is good until %s", svid.ID, leaf.NotAfter)
			}
			for _, authority := range bundle.X509Authorities() {
				if leaf.CheckSignatureFrom(authority) == nil && leaf.NotAfter.After(authority.NotAfter) {
					return fmt.Errorf("%s outlives its authority", svid.ID)
				}
			}
		}
		return nil
	}},
	{"mTLS between two sources, each demanding the other's SPIFFE ID", func(ctx context.Context, known facts) error {
		server, client, closeBoth, err := twoSources(ctx, known)
		if err != nil {
			return err
		}
		defer closeBoth()
		return talk(ctx, server, client, known.Identities[0].ID, known.Identities[1].ID)
	}},
	{"mTLS is refused to who is not the one that is expected", func(ctx context.Context, known facts) error {
		server, client, closeBoth, err := twoSources(ctx, known)
		if err != nil {
			return err
		}
		defer closeBoth()
		if err := talk(ctx, server, client, known.Identities[1].ID, known.Identities[1].ID); err == nil {
			return errors.New("the server was taken for another")
		}
		if err := talk(ctx, server, client, known.Identities[0].ID, known.Identities[0].ID); err == nil {
			return errors.New("the client was taken for another")
		}
		return nil
	}},
}

func demandIdentities(known facts, got map[spiffeid.ID]string, count int) error {
	if len(got) != count {
		return fmt.Errorf("%d identities instead of %d: %v", len(got), count, got)
	}
	for id, hint := range got {
		if !isKnown(known, id, hint) {
			return fmt.Errorf("%s with the hint %q is none of the caller's", id, hint)
		}
	}
	return nil
}

func isKnown(known facts, id spiffeid.ID, hint string) bool {
	for _, one := range known.Identities {
		if one.ID == id && one.Hint == hint {
			return true
		}
	}
	return false
}

func demandVerified(svid *x509svid.SVID, bundles x509bundle.Source) error {
	id, _, err := x509svid.Verify(svid.Certificates, bundles)
	if err == nil && id != svid.ID {
		err = fmt.Errorf("%s turned into %s", svid.ID, id)
	}
	return err
}

func rememberAll(known facts, received *workloadapi.X509Context) error {
	bundle, err := received.Bundles.GetX509BundleForTrustDomain(known.TrustDomain)
	if err != nil {
		return err
	}
	for _, svid := range received.SVIDs {
		if err := remember(known, svid, bundle); err != nil {
			return err
		}
	}
	return nil
}

// twoSources are one for each identity of the caller's.
func twoSources(ctx context.Context, known facts) (server, client *workloadapi.X509Source, closeBoth func(), err error) {
	if server, err = sourceOf(ctx, known.Identities[0]); err != nil {
		return nil, nil, nil, err
	}
	if client, err = sourceOf(ctx, known.Identities[1]); err != nil {
		return nil, nil, nil, errors.Join(err, server.Close())
	}
	return server, client, func() { _ = errors.Join(server.Close(), client.Close()) }, nil
}

// sourceOf is a source that has picked one identity by its hint.
func sourceOf(ctx context.Context, one identity) (*workloadapi.X509Source, error) {
	return workloadapi.NewX509Source(ctx, workloadapi.WithDefaultX509SVIDPicker(func(svids []*x509svid.SVID) *x509svid.SVID {
		for _, svid := range svids {
			if svid.Hint == one.Hint {
				return svid
			}
		}
		return nil
	}))
}

// peer has an SVID and what it verifies others by.
type peer interface {
	x509svid.Source
	x509bundle.Source
}

// talk sends a word there and back over TLS, both sides presenting their SVID.
func talk(ctx context.Context, server, client peer, serverID, clientID spiffeid.ID) error {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(server, server, tlsconfig.AuthorizeID(clientID)))
	if err != nil {
		return err
	}
	defer listener.Close()
	echoed := make(chan error, 1)
	go func() { echoed <- echo(listener) }()
	dialer := tls.Dialer{Config: tlsconfig.MTLSClientConfig(client, client, tlsconfig.AuthorizeID(serverID))}
	connection, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return errors.Join(err, <-echoed)
	}
	defer connection.Close()
	word := []byte("hello")
	if _, err := connection.Write(word); err != nil {
		return errors.Join(err, <-echoed)
	}
	back := make([]byte, len(word))
	_, err = io.ReadFull(connection, back)
	return errors.Join(err, <-echoed)
}

func echo(listener net.Listener) error {
	connection, err := listener.Accept()
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = io.CopyN(connection, connection, int64(len("hello")))
	return err
}
