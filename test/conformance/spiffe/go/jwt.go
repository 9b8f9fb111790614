package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var jwtChecks = []check{
	{"FetchJWTSVID for one audience, judged by ParseAndValidate", func(ctx context.Context, known facts) error {
		svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "https://one.example"})
		if err != nil {
			return err
		}
		return first(
			func() error { return demandIdentities(known, map[spiffeid.ID]string{svid.ID: svid.Hint}, 1) },
			func() error { return demandValidJWT(ctx, svid, "https://one.example") },
		)
	}},
	{"FetchJWTSVID for several audiences is good for each, and for no other", func(ctx context.Context, known facts) error {
		audiences := []string{"https://one.example", "https://two.example", "three"}
		svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audiences[0], ExtraAudiences: audiences[1:]})
		if err != nil {
			return err
		}
		if !slices.Equal(slices.Sorted(slices.Values(svid.Audience)), slices.Sorted(slices.Values(audiences))) {
			return fmt.Errorf("it is for %q", svid.Audience)
		}
		for _, audience := range audiences {
			if err := demandValidJWT(ctx, svid, audience); err != nil {
				return fmt.Errorf("for %s: %w", audience, err)
			}
		}
		if err := demandValidJWT(ctx, svid, "four"); err == nil {
			return errors.New("it is good for an audience that was not asked for")
		}
		return nil
	}},
	{"FetchJWTSVID for each SPIFFE ID by its name", func(ctx context.Context, known facts) error {
		for _, one := range known.Identities {
			svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "https://one.example", Subject: one.ID})
			if err != nil {
				return err
			}
			if svid.ID != one.ID || svid.Hint != one.Hint {
				return fmt.Errorf("%s with the hint %q instead of %v", svid.ID, svid.Hint, one)
			}
		}
		return nil
	}},
	{"FetchJWTSVIDs gives one for every identity, with its hint", func(ctx context.Context, known facts) error {
		svids, err := workloadapi.FetchJWTSVIDs(ctx, jwtsvid.Params{Audience: "https://one.example"})
		if err != nil {
			return err
		}
		got := map[spiffeid.ID]string{}
		for _, svid := range svids {
			got[svid.ID] = svid.Hint
		}
		return demandIdentities(known, got, len(known.Identities))
	}},
	{"a JWT-SVID lives five minutes at most", func(ctx context.Context, known facts) error {
		svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "https://one.example"})
		if err != nil {
			return err
		}
		if life := time.Until(svid.Expiry); life > 5*time.Minute || life <= 0 {
			return fmt.Errorf("it is good for %s more", life)
		}
		return nil
	}},
	{"ValidateJWTSVID says whose it is, with its claims", func(ctx context.Context, known facts) error {
		svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "https://one.example"})
		if err != nil {
			return err
		}
		// go-spiffe reads the token again here; what the server said is held against it in validateRaw.
		validated, err := workloadapi.ValidateJWTSVID(ctx, svid.Marshal(), "https://one.example")
		if err != nil {
			return err
		}
		if validated.ID != svid.ID {
			return fmt.Errorf("%s turned into %s", svid.ID, validated.ID)
		}
		return validateRaw(ctx, svid, "https://one.example")
	}},
	{"ValidateJWTSVID refuses another audience and a changed signature", func(ctx context.Context, known facts) error {
		svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "https://one.example"})
		if err != nil {
			return err
		}
		token := []byte(svid.Marshal())
		_, err = workloadapi.ValidateJWTSVID(ctx, string(token), "https://two.example")
		if code := status.Code(err); code != codes.InvalidArgument {
			return fmt.Errorf("another audience: %v", err)
		}
		// Not the last letter of the signature, some bits of which say nothing.
		at := len(token) - 10
		token[at] = "AB"[(int(token[at])&1+1)%2]
		_, err = workloadapi.ValidateJWTSVID(ctx, string(token), "https://one.example")
		if code := status.Code(err); code != codes.InvalidArgument {
			return fmt.Errorf("a changed signature: %v", err)
		}
		return nil
	}},
}

// demandValidJWT judges a token by the bundles of the socket and go-spiffe's own code.
func demandValidJWT(ctx context.Context, svid *jwtsvid.SVID, audience string) error {
	bundles, err := workloadapi.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	validated, err := jwtsvid.ParseAndValidate(svid.Marshal(), bundles, []string{audience})
	if err == nil && validated.ID != svid.ID {
		err = fmt.Errorf("%s turned into %s", svid.ID, validated.ID)
	}
	return err
}

// validateRaw demands that the server itself said whose token it is.
func validateRaw(ctx context.Context, svid *jwtsvid.SVID, audience string) error {
	answer, err := validateOverSocket(ctx, svid.Marshal(), audience)
	if err != nil {
		return err
	}
	if answer.SpiffeId != svid.ID.String() || answer.Claims.AsMap()["sub"] != svid.ID.String() {
		return fmt.Errorf("the server says it is %s's: %v", answer.SpiffeId, answer.Claims)
	}
	return nil
}

// kidOf is the id of the key that signed a token, and "" where its header names none.
func kidOf(svid *jwtsvid.SVID) string {
	encoded, _, _ := strings.Cut(svid.Marshal(), ".")
	header, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	var read struct{ Kid string }
	if err := json.Unmarshal(header, &read); err != nil {
		return ""
	}
	return read.Kid
}
