//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/internal/clock"
)

// certified returns a certificate of its own making and its key, as PEM.
func certified(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"gateway.local"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// With a certificate sensors speak TLS and nothing else, and check trusts that certificate and no other.
func TestCheckOverTLS(t *testing.T) {
	root := maps.Clone(secrets)
	var certificate, key fstest.MapFile
	certificate.Data, key.Data = certified(t)
	key.Mode = 0o600
	root["etc/c"], root["etc/k"] = &certificate, &key
	data := t.TempDir()
	text := strings.Replace(strings.Replace(house, "/data", data, 1), "token_file: /etc/all}", "token_file: /etc/all, certificate: /etc/c, key: /etc/k}", 1)
	config, err := collector.Parse([]byte(text), "/")
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Listen.Address = free.Addr().String()
	checks := collector.Checks{Config: config, Data: disk.OS(data), Root: root, Clock: clock.NewManual(begin), Patience: time.Millisecond}
	g, err := Open(Parts{
		Collector: collector.Parts{
			Config: config, Data: disk.OS(data), Clock: clock.NewManual(begin), Random: rand.Reader, Root: root,
			Log: slog.New(slog.DiscardHandler),
		},
		Listen: func(string, string) (net.Listener, error) { return free, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		ServerName: "gateway.local", RootCAs: pool(certificate.Data), MinVersion: tls.VersionTLS13,
	}}}
	if code := postTo(t, client, "https://"+config.Listen.Address); code != http.StatusNoContent {
		t.Error(code)
	}
	if code := postTo(t, http.DefaultClient, "http://"+config.Listen.Address); code == http.StatusNoContent {
		t.Error("a reading was taken without TLS")
	}
	if got := told(t, checks); !strings.Contains(got, "ok sensor hall was heard 0s ago, 1 readings") || !strings.Contains(got, "-- sensor bath was not heard") {
		t.Error(got)
	}
	other := fstest.MapFile{}
	other.Data, _ = certified(t)
	root["etc/c"] = &other
	if got := told(t, checks); !strings.Contains(got, "another certificate") {
		t.Error(got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func pool(certificate []byte) *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(certificate)
	return p
}

// postTo sends a reading and returns the status, 0 when there was no answer.
func postTo(t *testing.T, client *http.Client, address string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/readings", strings.NewReader(`{"sensor": "hall", "value": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokenA)
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// told returns the findings as lines.
func told(t *testing.T, c collector.Checks) string {
	t.Helper()
	var b strings.Builder
	for _, f := range Check(t.Context(), c) {
		mark := "-- "
		if f.OK {
			mark = "ok "
		}
		b.WriteString(mark + f.Subject + " " + f.Text + "\n")
	}
	return b.String()
}
