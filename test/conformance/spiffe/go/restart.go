package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/spiffe/go-spiffe/v2/logger"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// restartChecks stop and start the server, whoever gives its SVIDs out: the server itself, or a node.
var restartChecks = []check{
	{"an X509Source stays good while the server is stopped, and has the SVID of another authority once it is back", func(ctx context.Context, known facts) error {
		broken := &brokenStreams{Logger: logger.Null}
		source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(workloadapi.WithLogger(broken)))
		if err != nil {
			return err
		}
		defer source.Close()
		before, err := source.GetX509SVID()
		if err != nil {
			return err
		}
		if err := ask("stop-server"); err != nil {
			return err
		}
		if err := talkWithItself(source); err != nil {
			return fmt.Errorf("while it is stopped: %w", err)
		}
		if err := first(
			func() error { return ask("start-server") },
			func() error { return ask("taint-x509-authority") },
		); err != nil {
			return err
		}
		ctx, cancel := patient()
		defer cancel()
		return first(
			func() error { return awaitOther(ctx, source, before.Certificates[0].AuthorityKeyId) },
			func() error { return talkWithItself(source) },
			func() error { return broken.unlessOf(known) },
		)
	}},
	{"a JWTSource and a BundleSource stay good while the server is stopped, and have its new key once it is back", func(ctx context.Context, known facts) error {
		broken := &brokenStreams{Logger: logger.Null}
		options := workloadapi.WithClientOptions(workloadapi.WithLogger(broken))
		source, err := workloadapi.NewJWTSource(ctx, options)
		if err != nil {
			return err
		}
		defer source.Close()
		bundles, err := workloadapi.NewBundleSource(ctx, options)
		if err != nil {
			return err
		}
		defer bundles.Close()
		// An SVID for an audience is given again for a while: these are nobody else's.
		before, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "before-stop"})
		if err != nil {
			return err
		}
		if err := ask("stop-server"); err != nil {
			return err
		}
		if err := validateBy(source, before, "before-stop"); err != nil {
			return fmt.Errorf("while it is stopped: %w", err)
		}
		if err := first(
			func() error { return ask("start-server") },
			func() error { return ask("rotate-jwt-authority") },
		); err != nil {
			return err
		}
		ctx, cancel := patient()
		defer cancel()
		after, err := fetchOnceBack(ctx, source, "after-start")
		if err != nil {
			return err
		}
		return first(
			func() error { return awaitKey(ctx, source, after, "after-start") },
			func() error { return awaitKey(ctx, bundles, after, "after-start") },
			func() error { return validateBy(source, before, "before-stop") },
			func() error { return broken.unlessOf(known) },
		)
	}},
}

// nodeChecks are for the socket of a node.
var nodeChecks = []check{
	{"who comes while the server is stopped gets SVIDs and bundles from the node", func(ctx context.Context, known facts) error {
		// The node has what it needs once there is an SVID of each.
		if err := awaitEach(ctx, known); err != nil {
			return err
		}
		if err := ask("stop-server"); err != nil {
			return err
		}
		received, err := workloadapi.FetchX509Context(ctx)
		if err == nil {
			err = rememberAll(known, received)
		}
		if err == nil {
			err = bundlesOfAll.run(ctx, known)
		}
		return errors.Join(err, ask("start-server"))
	}},
}

// brokenStreams keeps what go-spiffe logs as an error: each stream that broke, which it then opens anew.
type brokenStreams struct {
	logger.Logger
	guard sync.Mutex
	lines []error
}

func (broken *brokenStreams) Errorf(format string, args ...any) {
	broken.guard.Lock()
	defer broken.guard.Unlock()
	broken.lines = append(broken.lines, fmt.Errorf(format, args...))
}

// unlessOf is what broke at a node, whose streams outlive the server; those of the server itself can't.
func (broken *brokenStreams) unlessOf(known facts) error {
	broken.guard.Lock()
	defer broken.guard.Unlock()
	if !known.IsNode {
		return nil
	}
	return errors.Join(broken.lines...)
}

// awaitEach waits until every identity has an SVID.
func awaitEach(ctx context.Context, known facts) error {
	var count atomic.Int64
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithDefaultX509SVIDPicker(func(svids []*x509svid.SVID) *x509svid.SVID {
		count.Store(int64(len(svids)))
		return svids[0]
	}))
	if err != nil {
		return err
	}
	defer source.Close()
	for count.Load() < int64(len(known.Identities)) {
		if err := source.WaitUntilUpdated(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fetchOnceBack asks again each time the source has heard from who is back: gRPC refuses at once until it has tried again.
func fetchOnceBack(ctx context.Context, source *workloadapi.JWTSource, audience string) (*jwtsvid.SVID, error) {
	for {
		svid, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
		if status.Code(err) != codes.Unavailable {
			return svid, err
		}
		if timeout := source.WaitUntilUpdated(ctx); timeout != nil {
			return nil, errors.Join(timeout, err)
		}
	}
}

// talkWithItself is mTLS by what a source has now, at both ends.
func talkWithItself(source *workloadapi.X509Source) error {
	ctx, cancel := patient()
	defer cancel()
	svid, err := source.GetX509SVID()
	if err != nil {
		return err
	}
	return talk(ctx, source, source, svid.ID, svid.ID)
}

// patient starts the patience anew: a server takes its time to start.
func patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}
