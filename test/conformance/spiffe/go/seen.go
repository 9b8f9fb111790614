package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// remember leaves an SVID, the intermediates that came with it and the authorities that were there at the time in files:
// <fingerprint>.leaf.pem, <fingerprint>.chain.pem and <fingerprint>.authorities.pem.
func remember(known facts, svid *x509svid.SVID, bundle *x509bundle.Bundle) error {
	fingerprint := sha256.Sum256(svid.Certificates[0].Raw)
	name := filepath.Join(known.Seen, hex.EncodeToString(fingerprint[:8]))
	return first(
		func() error { return write(name+".leaf.pem", svid.Certificates[:1]) },
		func() error { return write(name+".chain.pem", svid.Certificates[1:]) },
		func() error { return write(name+".authorities.pem", bundle.X509Authorities()) },
	)
}

func write(name string, certificates []*x509.Certificate) error {
	var text bytes.Buffer
	for _, certificate := range certificates {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}); err != nil {
			return err
		}
	}
	return os.WriteFile(name, text.Bytes(), 0o644)
}
