//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quadrat-dev/quadrat/edge/collector"
)

// Parts is what a gateway is made of.
type Parts struct {
	Collector collector.Parts // its Voice is filled in; tokens and certificates are read from its Root
	// Listen opens the listener; nil for net.Listen.
	Listen func(network, address string) (net.Listener, error)
}

// Gateway is a running gateway.
type Gateway struct {
	*collector.Collector
	listener net.Listener // nil when no sensor sends its readings
	server   *http.Server
}

// How patient the listener is, how many lines it keeps open, and how long a request's head may be.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second
	idleTimeout   = 2 * time.Minute
	headerMost    = 8 << 10
	linesMost     = 256
)

// Open opens ledger, spool and listener and joins the parts. It fails when the ledger can't be trusted, or a token or certificate
// can't be used, and names all of the latter at once.
func Open(p Parts) (*Gateway, error) {
	c := &p.Collector.Config
	heard, err := newSensors(c, p.Collector.Root)
	certificate, certificateErr := certificates(&p)
	if err = errors.Join(err, certificateErr); err != nil {
		return nil, err
	}
	g := &Gateway{}
	if c.Listen.Address != "" {
		listen := p.Listen
		if listen == nil {
			listen = net.Listen
		}
		l, err := listen("tcp", c.Listen.Address)
		if err != nil {
			return nil, fmt.Errorf("listen.address: %w", err)
		}
		g.listener = &bounded{Listener: l, free: make(chan struct{}, linesMost)}
		if certificate != nil {
			g.listener = tls.NewListener(g.listener, &tls.Config{
				Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12,
			})
		}
	}
	p.Collector.Voice = NewCrew
	if g.Collector, err = collector.Open(p.Collector); err != nil {
		if g.listener != nil {
			_ = g.listener.Close()
		}
		return nil, err
	}
	h := &hearing{sensors: heard, clock: p.Collector.Clock, add: g.Add}
	g.server = &http.Server{
		Handler: h.handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerMost,
		ErrorLog: log.New(io.Discard, "", 0), // a panic's trace could hold what a sensor sent
	}
	return g, nil
}

// certificates reads the certificate and its key; nil when there is none.
func certificates(p *Parts) (*tls.Certificate, error) {
	l := &p.Collector.Config.Listen
	if l.Certificate == "" {
		return nil, nil
	}
	key, err := readSecret(p.Collector.Root, l.Key)
	if err != nil {
		return nil, fmt.Errorf("listen.key: %w", err)
	}
	certificate, err := readPublic(p.Collector.Root, l.Certificate)
	if err != nil {
		return nil, fmt.Errorf("listen.certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("listen: certificate and key don't fit: %w", err)
	}
	return &pair, nil
}

// Address is where the gateway listens; nil when it doesn't.
func (g *Gateway) Address() net.Addr {
	if g.listener == nil {
		return nil
	}
	return g.listener.Addr()
}

// Run hears sensors and releases until ctx ends, then closes everything. What was not sent waits in the spool for the next Run.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	var serveErr error
	if g.listener != nil {
		running.Go(func() {
			if err := g.server.Serve(g.listener); !errors.Is(err, http.ErrServerClosed) {
				serveErr = err
				cancel()
			}
		})
	}
	err := g.Collector.Run(ctx)
	_ = g.server.Close()
	running.Wait()
	return errors.Join(err, serveErr)
}

// bounded accepts no more lines than it has room for; the others wait in the kernel's queue.
type bounded struct {
	net.Listener
	free chan struct{}
}

// Accept waits for room, then for a line.
func (b *bounded) Accept() (net.Conn, error) {
	b.free <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &line{Conn: c, leave: sync.OnceFunc(func() { <-b.free })}, nil
}

// line gives its room back when it closes.
type line struct {
	net.Conn
	leave func()
}

// Close closes the line.
func (l *line) Close() error {
	err := l.Conn.Close()
	l.leave()
	return err
}
