// Checks a SPIFFE Workload API socket with go-spiffe, which shares no code with the server behind it.
//
// The runner starts it with the socket in SPIFFE_ENDPOINT_SOCKET and what it knows of the server as JSON in its only
// argument. What only the runner can bring about is asked for by a line `ask <what>` on stdout; it answers with a line on
// stdin once it has done it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// patience is longer than anything takes on a machine that is slow for a while.
const patience = 30 * time.Second

// identity is one of the caller's, as its RegistrationEntry has it.
type identity struct {
	ID   spiffeid.ID `json:"spiffeId"`
	Hint string      `json:"hint"`
}

// facts are what the runner knows of the server by other means than the socket.
type facts struct {
	TrustDomain spiffeid.TrustDomain `json:"trustDomain"`
	// Identities are two with a hint each, in no order.
	Identities []identity `json:"identities"`
	BundleURL  string     `json:"bundleUrl"`
	// Seen is the directory for every certificate that was received, for others to look at.
	Seen string `json:"seen"`
	// Other is who federation is checked with, instead of everything else.
	Other *other `json:"other"`
	// IsNode says that the socket is a node's: what is then checked is how it bears a server that stops.
	IsNode bool `json:"isNode"`
	// Published are the trust domains that this program is to have: how the server fetches their bundles is then checked.
	Published []published `json:"published"`
}

// trustDomains are those whose bundles are for the caller.
func (known facts) trustDomains() []spiffeid.TrustDomain {
	if known.Other == nil {
		return []spiffeid.TrustDomain{known.TrustDomain}
	}
	return []spiffeid.TrustDomain{known.TrustDomain, known.Other.TrustDomain}
}

type check struct {
	name string
	run  func(context.Context, facts) error
}

var runner = bufio.NewReader(os.Stdin)

func main() {
	var known facts
	if err := json.Unmarshal([]byte(os.Args[1]), &known); err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	checks := checksFor(known)
	passed, failed := 0, 0
	for _, one := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := one.run(ctx, known)
		cancel()
		if err == nil {
			passed++
			fmt.Printf("ok go-spiffe: %s\n", one.name)
		} else {
			failed++
			fmt.Printf("FAILED go-spiffe: %s: %v\n", one.name, err)
		}
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func checksFor(known facts) []check {
	switch {
	case known.Other != nil:
		return federationChecks
	case len(known.Published) > 0:
		return publisherChecks(known)
	case known.IsNode:
		return slices.Concat(nodeChecks, restartChecks)
	default:
		return slices.Concat(x509Checks, jwtChecks, bundleChecks, refusalChecks, rotationChecks, restartChecks, withdrawalChecks)
	}
}

// ask has the runner bring something about, and returns once it has.
func ask(what string) error {
	fmt.Printf("ask %s\n", what)
	answer, err := runner.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the runner did not answer %q: %w", what, err)
	}
	if answer = strings.TrimSpace(answer); answer != "done" {
		return fmt.Errorf("the runner could not %s: %s", what, answer)
	}
	return nil
}

// first is the error of the first of them that fails.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
