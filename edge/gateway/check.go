//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/collector"
)

// Check does what collector.Check does, and asks the running gateway which of its sensors it has heard. Numbers that they sent are never
// told: the gateway has no call for them.
func Check(ctx context.Context, c collector.Checks) []collector.Finding {
	out := collector.Check(ctx, c)
	if c.Config.Listen.Address == "" {
		return out
	}
	subject := "listener " + c.Config.Listen.Address
	if _, err := newSensors(&c.Config, c.Root); err != nil {
		return append(out, collector.Finding{Subject: subject, Text: err.Error()})
	}
	heard, err := ask(ctx, &c)
	if err != nil {
		return append(out, collector.Finding{
			Subject: subject, Text: fmt.Sprintf("the gateway doesn't answer (%v); run it, then check again which sensors it hears", err),
		})
	}
	out = append(out, collector.Finding{Subject: subject, OK: true, Text: "answers"})
	seen := make(map[string]bool)
	for i := range c.Config.Sensors {
		if n := c.Config.Sensors[i].Network; n != nil && !seen[n.Name] {
			seen[n.Name] = true
			out = append(out, finding(n.Name, heard))
		}
	}
	return out
}

func finding(name string, heard map[string]Heard) collector.Finding {
	f := collector.Finding{Subject: "sensor " + name}
	h, known := heard[name]
	switch {
	case !known:
		f.Text = "is unknown to the running gateway; restart it with this edge.yaml"
	case h.SecondsAgo == nil:
		f.Text = "was not heard since the gateway began"
	default:
		f.OK = true
		f.Text = fmt.Sprintf("was heard %v ago, %d readings since the gateway began", time.Duration(*h.SecondsAgo)*time.Second, h.Taken)
	}
	return f
}

// askTimeout bounds the patience with the own gateway.
const askTimeout = 5 * time.Second

// answerMost bounds its answer.
const answerMost = 1 << 20

// ask lists who was heard, asking with each token once.
func ask(ctx context.Context, c *collector.Checks) (map[string]Heard, error) {
	client, address, err := client(&c.Config, c.Root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	heard := make(map[string]Heard)
	asked := make(map[string]bool)
	for i := range c.Config.Sensors {
		n := c.Config.Sensors[i].Network
		if n == nil || asked[n.TokenFile] {
			continue
		}
		asked[n.TokenFile] = true
		list, err := askOnce(ctx, client, address, c.Root, n.TokenFile)
		if err != nil {
			return nil, err
		}
		for _, h := range list {
			heard[h.Sensor] = h
		}
	}
	return heard, nil
}

func askOnce(ctx context.Context, client *http.Client, address string, files fs.FS, tokenFile string) ([]Heard, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/sensors", http.NoBody)
	if err != nil {
		return nil, err
	}
	if tokenFile != "" {
		token, err := readSecret(files, tokenFile)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, errors.Unwrap(err) // without the address, which the subject names
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s: another gateway, or another token", answer.Status)
	}
	var list []Heard
	err = json.NewDecoder(io.LimitReader(answer.Body, answerMost)).Decode(&list)
	return list, err
}

// client speaks to the gateway on this machine. With a certificate it trusts that one and no other.
func client(c *collector.Config, files fs.FS) (client *http.Client, address string, err error) {
	host, port, err := net.SplitHostPort(c.Listen.Address)
	if err != nil {
		return nil, "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if c.Listen.Certificate == "" {
		return &http.Client{Transport: transport}, "http://" + net.JoinHostPort(host, port), nil
	}
	own, err := readPublic(files, c.Listen.Certificate)
	if err != nil {
		return nil, "", err
	}
	transport.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // the certificate itself is compared, whatever name it has
		VerifyConnection:   func(s tls.ConnectionState) error { return same(own, s.PeerCertificates) },
	}
	return &http.Client{Transport: transport}, "https://" + net.JoinHostPort(host, port), nil
}

// errStranger says that another certificate came.
var errStranger = errors.New("it has another certificate")

func same(own []byte, came []*x509.Certificate) error {
	pair, err := firstCertificate(own)
	if err != nil {
		return err
	}
	if len(came) == 0 || !bytes.Equal(came[0].Raw, pair) {
		return errStranger
	}
	return nil
}

// firstCertificate returns the first certificate of a PEM file.
func firstCertificate(file []byte) ([]byte, error) {
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return block.Bytes, nil
		}
	}
	return nil, errStranger
}
