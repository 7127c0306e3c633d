package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// healthMethods is the prefix of the calls that need no token.
	healthMethods = "/grpc.health.v1.Health/"
	// handshake is the call by which clients of tables change a password into a bearer token.
	handshake = "/arrow.flight.protocol.FlightService/Handshake"
)

// GRPC makes a server with KappaService, reflection and health. Every call but health needs the token, when there is
// one; errors leave it as gRPC statuses with details. The caller may register further services, which are held to the same, serves
// it and stops it.
func (s *Service) GRPC(options ...grpc.ServerOption) *grpc.Server {
	options = append(options,
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(int(s.cfg.BodyBytesMax)),
	)
	server := grpc.NewServer(options...)
	quadratv1.RegisterKappaServiceServer(server, s)
	checks := health.NewServer()
	checks.SetServingStatus(quadratv1.KappaService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(server, checks)
	reflection.Register(server)
	return server
}

func (s *Service) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (reply any, err error) {
	defer func() { err = s.outgoing(info.FullMethod, recovered(recover(), err)) }()
	if err := s.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Service) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = s.outgoing(info.FullMethod, recovered(recover(), err)) }()
	if err := s.admit(ss.Context(), info.FullMethod); err != nil {
		return err
	}
	return s.patiently(ss, func(ss grpc.ServerStream) error { return next(srv, ss) })
}

// recovered turns a panic into an error.
func recovered(panicked any, err error) error {
	if panicked == nil {
		return err
	}
	return fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
}

// outgoing turns an error into the status that the caller sees, and logs what he doesn't.
func (s *Service) outgoing(call string, err error) error {
	if err == nil {
		return nil
	}
	st, known := statusOf(err)
	if !known {
		s.cfg.Logger.Error("call failed", "call", call, "error", err)
	}
	return st.Err()
}

// admit checks the token of a gRPC call.
func (s *Service) admit(ctx context.Context, method string) error {
	if s.cfg.Token == "" || strings.HasPrefix(method, healthMethods) {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if slices.ContainsFunc(md.Get("authorization"), s.authorized) {
		return nil
	}
	if method == handshake && slices.ContainsFunc(md.Get("authorization"), func(header string) bool {
		password, ok := Password(header)
		return ok && s.authorized("Bearer "+password)
	}) {
		return nil
	}
	return errNoToken()
}

// Password is that of an Authorization header of the scheme Basic, padded or not; the user's name doesn't count.
func Password(header string) (password string, ok bool) {
	scheme, coded, _ := strings.Cut(header, " ")
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(coded, "="))
	if err != nil || !strings.EqualFold(scheme, "basic") {
		return "", false
	}
	_, password, ok = strings.Cut(string(raw), ":")
	return password, ok
}

// authorized compares the value of an Authorization header with the token, in a time that says nothing about either.
func (s *Service) authorized(header string) bool {
	scheme, token, _ := strings.Cut(header, " ")
	given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.cfg.Token))
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1 && strings.EqualFold(scheme, "bearer")
}

func errNoToken() error {
	return &Error{Code: Unauthenticated, Message: "a valid bearer token is needed: Authorization: Bearer <token>"}
}
