package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// house is a trust domain that is none of the server's: its authorities, which sign, and its bundle, which has them all.
type house struct {
	bundle    *spiffebundle.Bundle
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	jwtKey    *ecdsa.PrivateKey
	keyID     string
}

// outsider is a workload of a house.
type outsider struct {
	svid *x509svid.SVID
	x509bundle.Source
}

func (one *outsider) GetX509SVID() (*x509svid.SVID, error) { return one.svid, nil }

func newHouse(trustDomain spiffeid.TrustDomain) (*house, error) {
	there := &house{bundle: spiffebundle.New(trustDomain)}
	there.bundle.SetRefreshHint(time.Hour)
	return there, there.rotate()
}

// rotate signs by new authorities from now on; those before stay in the bundle.
func (there *house) rotate() error {
	sequence, _ := there.bundle.SequenceNumber()
	id := there.bundle.TrustDomain().ID()
	authority, key, err := newAuthority(fmt.Sprintf("authority %d", sequence+1), id.URL())
	if err != nil {
		return err
	}
	jwtKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	there.authority, there.key, there.jwtKey = authority, key, jwtKey
	there.keyID = fmt.Sprintf("key-%d", sequence+1)
	there.bundle.AddX509Authority(authority)
	there.bundle.SetSequenceNumber(sequence + 1)
	return there.bundle.AddJWTAuthority(there.keyID, jwtKey.Public())
}

func (there *house) x509SVID(id spiffeid.ID) (*x509svid.SVID, error) {
	certificate, key, err := issue(&x509.Certificate{URIs: []*url.URL{id.URL()}}, there.authority, there.key)
	if err != nil {
		return nil, err
	}
	return &x509svid.SVID{ID: id, Certificates: []*x509.Certificate{certificate}, PrivateKey: key}, nil
}

func (there *house) jwtSVID(id spiffeid.ID, audience string) (*jwtsvid.SVID, error) {
	key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: there.jwtKey, KeyID: there.keyID}}
	signer, err := jose.NewSigner(key, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	claims := jwt.Claims{
		Subject:  id.String(),
		Audience: jwt.Audience{audience},
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(patience)),
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return nil, err
	}
	return jwtsvid.ParseInsecure(token, []string{audience})
}

// workload is one of the house's, that verifies others by the bundles that are given.
func (there *house) workload(others x509bundle.Source) (*outsider, error) {
	id, err := spiffeid.FromPath(there.bundle.TrustDomain(), "/workload")
	if err != nil {
		return nil, err
	}
	svid, err := there.x509SVID(id)
	return &outsider{svid, others}, err
}

// webCertificate is for a TLS server at loopback, with the authority that signed it, in PEM.
func webCertificate() (*tls.Config, []byte, error) {
	authority, key, err := newAuthority("web authority")
	if err != nil {
		return nil, nil, err
	}
	certificate, own, err := issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, authority, key)
	if err != nil {
		return nil, nil, err
	}
	shown := tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: own}
	pinned := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	return &tls.Config{Certificates: []tls.Certificate{shown}, MinVersion: tls.VersionTLS12}, pinned, nil
}

func newAuthority(name string, ids ...*url.URL) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	return issue(&x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		URIs:                  ids,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil, nil)
}

// issue signs what a template says for a new key, by that key where there is no issuer.
func issue(template, issuer *x509.Certificate, by crypto.Signer) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	if !template.IsCA {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if issuer == nil {
		issuer, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), by)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}
