package service_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

func asService(err error, e **service.Error) bool { return errors.As(err, e) }

// stuckStream is a reader that takes one result and then nothing until stuck is closed.
type stuckStream struct {
	grpc.ServerStreamingServer[quadratv1.Result]

	ctx          context.Context //nolint:containedctx // a stream has its context
	begun, stuck chan struct{}
	sent         bool
}

func (s *stuckStream) Context() context.Context { return s.ctx }

func (s *stuckStream) Send(*quadratv1.Result) error {
	if !s.sent {
		s.sent = true
		close(s.begun)
	}
	<-s.stuck
	return nil
}

// dial serves gRPC and connects to it.
func (s *stack) dial() *grpc.ClientConn {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server := s.service.GRPC()
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			s.t.Error(err)
		}
		server.Stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	return conn
}

func TestGRPC(t *testing.T) {
	s := newStack(t, nil)
	client := quadratv1.NewKappaServiceClient(s.dial())
	put, err := client.PutKappa(t.Context(), &quadratv1.PutKappaRequest{Script: indoor})
	if err != nil || !put.GetCreated() {
		t.Fatal(put, err)
	}
	_, err = client.PutKappa(t.Context(), &quadratv1.PutKappaRequest{Script: "BROKEN"})
	detail, ok := status.Convert(err).Details()[0].(*quadratv1.ScriptError)
	if status.Code(err) != codes.InvalidArgument || !ok || detail.GetLine() != 2 || detail.GetHint() == "" {
		t.Errorf("broken script: %v", err)
	}
	_, err = client.Explain(t.Context(), &quadratv1.ExplainRequest{Script: "IMPOSSIBLE"})
	best, ok := status.Convert(err).Details()[0].(*quadratv1.Infeasible)
	if status.Code(err) != codes.FailedPrecondition || !ok || best.GetBestPanel() != 200 {
		t.Errorf("infeasible script: %v", err)
	}
	if _, err = client.PutKappa(t.Context(), &quadratv1.PutKappaRequest{Script: indoor + " "}); status.Code(err) != codes.AlreadyExists {
		t.Errorf("other script: %v", err)
	}
	if _, err = client.GetPlan(t.Context(), &quadratv1.GetPlanRequest{Ref: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown reference: %v", err)
	}
	watch, err := client.WatchKappa(t.Context(), &quadratv1.WatchKappaRequest{Ref: put.GetRef(), Since: result("", 0, 0, nil).GetWindowStart()})
	if err != nil {
		t.Fatal(err)
	}
	s.publish(result(put.GetRef(), 10, 1, nil))
	if got, err := watch.Recv(); err != nil || got.GetValue() != 21 {
		t.Errorf("watch: %v %v", got, err)
	}
	found, err := client.ListDevices(t.Context(), &quadratv1.ListDevicesRequest{Where: "asia", Limit: 1})
	if err != nil || found.GetTotal() != 2 || found.GetNext() != "a" {
		t.Errorf("devices: %v %v", found, err)
	}
	export, err := client.ExportKappa(t.Context(), &quadratv1.ExportKappaRequest{Ref: "indoor", What: "results"})
	if err != nil {
		t.Fatal(err)
	}
	if chunk, err := export.Recv(); err != nil || string(chunk.GetData()) != "results of "+put.GetRef() {
		t.Errorf("export: %v %v", chunk, err)
	}
	if _, err := client.DeleteKappa(t.Context(), &quadratv1.DeleteKappaRequest{Ref: "indoor"}); err != nil {
		t.Error(err)
	}
}

// TestReflection calls a method that is known from reflection alone.
func TestReflection(t *testing.T) {
	s := newStack(t, nil)
	s.put(indoor)
	conn := s.dial()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	listed := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if !slices.ContainsFunc(listed.GetListServicesResponse().GetService(), func(r *reflectionv1.ServiceResponse) bool {
		return r.GetName() == "quadrat.v1.KappaService"
	}) {
		t.Fatalf("services %v", listed)
	}
	described := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: "quadrat.v1.KappaService",
	}})
	files := &protoregistry.Files{}
	raw := described.GetFileDescriptorResponse().GetFileDescriptorProto()
	for len(raw) > 0 {
		rest := raw[:0:0]
		for _, b := range raw {
			d := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(b, d); err != nil {
				t.Fatal(err)
			}
			file, err := protodesc.NewFile(d, files)
			if err != nil {
				rest = append(rest, b)
				continue
			}
			if err := files.RegisterFile(file); err != nil {
				t.Fatal(err)
			}
		}
		if len(rest) == len(raw) {
			t.Fatal("reflection left out a file")
		}
		raw = rest
	}
	found, err := files.FindDescriptorByName("quadrat.v1.KappaService")
	if err != nil {
		t.Fatal(err)
	}
	method := found.(protoreflect.ServiceDescriptor).Methods().ByName("ListKappas")
	reply := dynamicpb.NewMessage(method.Output())
	if err := conn.Invoke(t.Context(), "/quadrat.v1.KappaService/ListKappas", dynamicpb.NewMessage(method.Input()), reply); err != nil {
		t.Fatal(err)
	}
	if got := reply.Get(method.Output().Fields().ByName("kappas")).List().Len(); got != 1 {
		t.Errorf("%d kappas", got)
	}
}

func TestToken(t *testing.T) {
	const token = "a-token-of-the-test"
	s := newStack(t, func(c *service.Config) { c.Token = token })
	for _, path := range []string{"/kappa", "/metrics", "/openapi.json", "/", "/devices", "/kappa/x/export?what=reports"} {
		for _, header := range []string{"", "Bearer wrong", "Basic " + token, "Bearer", "Bearer " + token + "x"} {
			status, reply, body := s.call(http.MethodGet, path, "", "Authorization", header)
			if status != http.StatusUnauthorized || !strings.Contains(body, `"code":16`) || reply.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %d %s", path, header, status, body)
			}
		}
	}
	for path, header := range map[string]string{"/kappa": "Bearer " + token, "/": "bearer " + token, "/healthz": ""} {
		if status, _, body := s.call(http.MethodGet, path, "", "Authorization", header); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	conn := s.dial()
	client := quadratv1.NewKappaServiceClient(conn)
	if _, err := client.ListKappas(t.Context(), &quadratv1.ListKappasRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	watch, err := client.WatchKappa(t.Context(), &quadratv1.WatchKappaRequest{Ref: "x"})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stream without a token: %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	if _, err := client.ListKappas(ctx, &quadratv1.ListKappasRequest{}); err != nil {
		t.Errorf("with the token: %v", err)
	}
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "quadrat.v1.KappaService"}); err != nil {
		t.Errorf("health: %v", err)
	}
}
