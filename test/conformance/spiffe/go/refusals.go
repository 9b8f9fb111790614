package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// call is one of the socket's methods, told of by its first answer's error.
type call struct {
	name string
	run  func(context.Context, workload.SpiffeWorkloadAPIClient) error
}

var calls = []call{
	{"FetchX509SVID", func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		stream, err := api.FetchX509SVID(ctx, &workload.X509SVIDRequest{})
		return firstError(stream, err)
	}},
	{"FetchX509Bundles", func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		stream, err := api.FetchX509Bundles(ctx, &workload.X509BundlesRequest{})
		return firstError(stream, err)
	}},
	{"FetchJWTBundles", func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		stream, err := api.FetchJWTBundles(ctx, &workload.JWTBundlesRequest{})
		return firstError(stream, err)
	}},
	{"FetchJWTSVID", func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		_, err := api.FetchJWTSVID(ctx, &workload.JWTSVIDRequest{Audience: []string{"one"}})
		return err
	}},
	{"ValidateJWTSVID", func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		_, err := api.ValidateJWTSVID(ctx, &workload.ValidateJWTSVIDRequest{Audience: "one", Svid: "e30.e30.AA"})
		return err
	}},
}

var refusalChecks = []check{
	{"a call without the metadata workload.spiffe.io: true is INVALID_ARGUMENT", func(ctx context.Context, _ facts) error {
		wrong := metadata.AppendToOutgoingContext(ctx, "workload.spiffe.io", "false")
		return first(
			func() error { return demandOfAll(ctx, codes.InvalidArgument) },
			func() error { return demandOfAll(wrong, codes.InvalidArgument) },
		)
	}},
	{"FetchJWTSVID without an audience is INVALID_ARGUMENT", func(ctx context.Context, _ facts) error {
		return first(
			func() error { return demandOfJWT(ctx, codes.InvalidArgument, &workload.JWTSVIDRequest{}) },
			func() error {
				return demandOfJWT(ctx, codes.InvalidArgument, &workload.JWTSVIDRequest{Audience: []string{""}})
			},
		)
	}},
	{"FetchJWTSVID for a malformed SPIFFE ID is INVALID_ARGUMENT", func(ctx context.Context, known facts) error {
		for _, id := range []string{"workload", "spiffe://", known.TrustDomain.IDString() + "/a//b", known.TrustDomain.IDString() + "/a/../b"} {
			request := &workload.JWTSVIDRequest{Audience: []string{"one"}, SpiffeId: id}
			if err := demandOfJWT(ctx, codes.InvalidArgument, request); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		return nil
	}},
	{"FetchJWTSVID for the SPIFFE ID of another is PERMISSION_DENIED", func(ctx context.Context, known facts) error {
		id := known.TrustDomain.IDString() + "/somebody/else"
		return demandOfJWT(ctx, codes.PermissionDenied, &workload.JWTSVIDRequest{Audience: []string{"one"}, SpiffeId: id})
	}},
	{"ValidateJWTSVID of what is no token, or for no audience, is INVALID_ARGUMENT", func(ctx context.Context, _ facts) error {
		for _, svid := range []string{"", "x", "e30.e30.AA", strings.Repeat("x", 30_000)} {
			if _, err := validateOverSocket(ctx, svid, "one"); status.Code(err) != codes.InvalidArgument {
				return fmt.Errorf("%.10q: %v", svid, err)
			}
		}
		if _, err := validateOverSocket(ctx, "e30.e30.AA", ""); status.Code(err) != codes.InvalidArgument {
			return fmt.Errorf("no audience: %v", err)
		}
		return nil
	}},
	{"the methods for WIT-SVIDs are UNIMPLEMENTED", func(ctx context.Context, _ facts) error {
		return overSocket(ctx, func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
			svids, err := api.FetchWITSVID(ctx, &workload.WITSVIDRequest{})
			if code := status.Code(firstError(svids, err)); code != codes.Unimplemented {
				return fmt.Errorf("FetchWITSVID: %s", code)
			}
			bundles, err := api.FetchWITBundles(ctx, &workload.WITBundlesRequest{})
			if code := status.Code(firstError(bundles, err)); code != codes.Unimplemented {
				return fmt.Errorf("FetchWITBundles: %s", code)
			}
			return nil
		})
	}},
}

// withdrawalChecks come last: nothing is given to this process from then on.
var withdrawalChecks = []check{
	{"who loses the last identity has the stream ended and every call refused with PERMISSION_DENIED", func(ctx context.Context, _ facts) error {
		return overSocket(ctx, func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
			stream, err := api.FetchX509SVID(ctx, &workload.X509SVIDRequest{})
			if err := firstError(stream, err); err != nil {
				return err
			}
			if err := ask("withdraw-identities"); err != nil {
				return err
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if code := status.Code(err); code != codes.PermissionDenied {
				return fmt.Errorf("the stream ended with %w", err)
			}
			return demandOfAll(ctx, codes.PermissionDenied)
		})
	}},
}

func demandOfAll(ctx context.Context, code codes.Code) error {
	return dial(func(api workload.SpiffeWorkloadAPIClient) error {
		for _, one := range calls {
			if err := one.run(ctx, api); status.Code(err) != code {
				return fmt.Errorf("%s: %v", one.name, err)
			}
		}
		return nil
	})
}

func demandOfJWT(ctx context.Context, code codes.Code, request *workload.JWTSVIDRequest) error {
	return overSocket(ctx, func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		if _, err := api.FetchJWTSVID(ctx, request); status.Code(err) != code {
			return fmt.Errorf("%v instead of %s", err, code)
		}
		return nil
	})
}

func validateOverSocket(ctx context.Context, svid, audience string) (answer *workload.ValidateJWTSVIDResponse, err error) {
	err = overSocket(ctx, func(ctx context.Context, api workload.SpiffeWorkloadAPIClient) error {
		answer, err = api.ValidateJWTSVID(ctx, &workload.ValidateJWTSVIDRequest{Svid: svid, Audience: audience})
		return err
	})
	return answer, err
}

// overSocket calls the methods as they are, without what go-spiffe checks before and after.
func overSocket(ctx context.Context, use func(context.Context, workload.SpiffeWorkloadAPIClient) error) error {
	return dial(func(api workload.SpiffeWorkloadAPIClient) error { return use(withHeader(ctx), api) })
}

func dial(use func(workload.SpiffeWorkloadAPIClient) error) error {
	connection, err := grpc.NewClient(os.Getenv("SPIFFE_ENDPOINT_SOCKET"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	return use(workload.NewSpiffeWorkloadAPIClient(connection))
}

func withHeader(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "workload.spiffe.io", "true")
}

func firstError[Answer any](stream grpc.ServerStreamingClient[Answer], err error) error {
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}
